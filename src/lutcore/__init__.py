"""Generate, verify and measure lookup-table tensor cores for low-bit LLM inference.

The configuration is the object, these are the functions on it; ``__init__.pyi`` is the list. Each
is loaded when it is first used: ``import lutcore`` alone loads no hardware description.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
