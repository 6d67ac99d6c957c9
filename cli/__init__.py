"""The command ``lutcore``: parse, call, print.

Above everything: it computes nothing itself.
"""
