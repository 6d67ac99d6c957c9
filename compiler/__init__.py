"""From a quantised checkpoint to what a core reads: import, packing, schedules, programs.

The way's first half: checkpoint -> planes -> program.
"""
