"""The command ``lutcore`` as a user runs it, for tests."""

import os
import subprocess
import sys


def lutcore(*arguments, cwd=None, text=None, **environment):
    """Run a command to its end; ``environment``: variables, None takes one away."""
    variables = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-m", "lutcore.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        input=text,
        env={name: value for name, value in variables.items() if value is not None},
    )
