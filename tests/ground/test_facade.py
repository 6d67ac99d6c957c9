"""``import lutcore``: what it names, what it loads, and that nothing else is at the top level."""

import ast
import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import lutcore
from lutcore import machine
from lutcore.errors import InputError

STUB = Path(lutcore.__file__).with_suffix(".pyi")
NAMED = {
    alias.asname: f"lutcore.{node.module}"
    for node in ast.parse(STUB.read_text()).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}


def test_the_facade_has_what_users_were_promised():
    promised = "preset CoreConfig generate simulate matmul synthesise energy open_checkpoint pack"
    promised += " compile_network InputError ToolError __version__"
    assert set(promised.split()) <= set(dir(lutcore)) == NAMED.keys()


@pytest.mark.parametrize("name", NAMED)
def test_each_name_is_that_of_its_module(name):
    assert getattr(lutcore, name) is getattr(importlib.import_module(NAMED[name]), name)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        lutcore.nonsense  # noqa: B018


def loaded(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_it_loads_nothing_heavy():
    heavy = {"amaranth", "numpy", "cocotb", "typer", "gguf", "lutcore.errors", "lutcore.hdl"}
    assert not heavy & loaded("import lutcore")
    assert "lutcore.hdl.config.core" in loaded("import lutcore; lutcore.CoreConfig")
    assert "amaranth" not in loaded("import lutcore; lutcore.CoreConfig, lutcore.preset")


def test_help_loads_no_hardware():
    assert not {"amaranth", "cocotb", "matplotlib"} & loaded("import lutcore.cli.main")


def test_the_version_is_that_of_the_distribution():
    assert lutcore.__version__ == importlib.metadata.version("lut-tensor-core")


@pytest.mark.parametrize(("system", "processor"), [("darwin", "arm64"), ("linux", "aarch64")])
def test_other_machines_are_refused_by_name(system, processor, monkeypatch):
    machine.check_platform()
    monkeypatch.setattr(machine.sys, "platform", system)
    monkeypatch.setattr(machine.platform, "machine", lambda: processor)
    with pytest.raises(InputError, match=f"on {processor}; lutcore runs on Linux on x86-64"):
        machine.check_platform()
