"""Regressions of any configuration: what is drawn and played, what that reached, and reports.

Above the benches of ``verif``, which judge; below campaigns and commands.
"""
