"""Checkpoints of every kind, read strictly: GGUF, GPTQ, AWQ, BitNet, MXFP4.

The first step of the data's way.
"""
