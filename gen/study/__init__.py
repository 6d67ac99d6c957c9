"""The paper's figures and tables, one file each.

At the end: measured points, compared with the paper's.
"""
