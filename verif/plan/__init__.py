"""Test plans as data, one file for each kind of design: features, and what shows each of them."""
