"""Boards: a core with memory behind a serial link."""
