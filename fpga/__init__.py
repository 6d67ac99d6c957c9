"""Boards: a core with memory behind a serial link, the host's driver, a virtual board."""
