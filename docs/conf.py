"""Sphinx configuration of the manual."""

import importlib.metadata

project = "LUT Tensor Core"
release = importlib.metadata.version("lut-tensor-core")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"{project} {release}"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
napoleon_google_docstring = False
napoleon_custom_sections = [("Members", "params_style")]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
nitpicky = False
