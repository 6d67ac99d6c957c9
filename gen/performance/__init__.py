"""Cycles, bytes and energy of whole models, from the shapes of their layers."""
