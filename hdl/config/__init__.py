"""What a core is: the configuration, its rules, number formats, forms of tables, presets.

Everything else reads it; it reads nothing but the errors.
"""
