"""What tests need that does not come with pip: OpenSTA."""

import pytest

from lutcore.gen.tools.opensta import sta_command

needs_opensta = pytest.mark.skipif(sta_command() is None, reason="OpenSTA is not installed")
