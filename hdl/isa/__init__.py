"""Instructions and registers: one definition for decoder, models, assembler and documents.

Programs arrive at the core in these words.
"""
