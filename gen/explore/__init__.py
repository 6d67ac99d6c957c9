"""Search of a design space for the configurations that no other one beats.

Beside the studies: the same measured points, chosen by a model.
"""
