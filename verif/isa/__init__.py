"""The ISA model: what each instruction does to memory, right to the bit.

Beside the core: programs in, memory out.
"""
