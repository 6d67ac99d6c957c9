"""Damaged checkpoints, which are refused in one line."""

import pytest

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError


def check_refused(path, raw, message):
    """A file of these bytes is refused with that message, in one line that names the file."""
    path.write_bytes(raw)
    with pytest.raises(InputError, match=message) as caught:
        open_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
