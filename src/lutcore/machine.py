"""The machines that the package runs on."""

import platform
import sys

from lutcore.errors import InputError

#: As Python names them: system, and processor.
SYSTEM, PROCESSOR = "linux", "x86_64"


def check_platform() -> None:
    """Refuse a machine for which the simulator has no wheel.

    Raises
    ------
    InputError
    """
    if (sys.platform, platform.machine()) != (SYSTEM, PROCESSOR):
        raise InputError(
            f"this is {platform.system()} on {platform.machine()}; lutcore runs on Linux on "
            "x86-64, for which all of its tools have wheels: use such a machine, a container, or "
            "WSL 2"
        )
