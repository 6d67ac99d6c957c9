"""From a product or a whole network to programs and one memory image.

The compiler's last step: what comes out here, a core runs.
"""
