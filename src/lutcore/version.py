"""The version of the package, as it is installed."""

import importlib.metadata

__version__ = importlib.metadata.version("lut-tensor-core")
