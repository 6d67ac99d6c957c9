"""Regressions of any configuration: what is played into its design, how much of it that reached,
and a report. Above the benches of ``verif``, which judge; below the commands.
"""
