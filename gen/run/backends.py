"""Who multiplies by the matrices of a compiled network: the golden model, the ISA model, or RTL."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from lutcore.compiler.lowering.container import Container, Layer
from lutcore.compiler.program.activations import activation_image
from lutcore.errors import InputError, ToolError
from lutcore.gen.run.machines import MACHINES, Machine, open_machine
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.golden.linear import GoldenLinear


class Backend(Protocol):
    """Multiplies by the matrices of a container."""

    def linear(self, name: str, activations: np.ndarray) -> np.ndarray:
        """``A W^T``: int8 [M, K] times a matrix of the container, float32 [M, N]."""
        ...

    def facts(self) -> dict[str, Any]:
        """What was measured since it was made."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class GoldenBackend:
    """Exact products of the checkpoint's codes; matrices are unpacked when they are first used."""

    def __init__(self, container: Container):
        self._container = container
        self._made: dict[str, GoldenLinear] = {}

    def linear(self, name: str, activations: np.ndarray) -> np.ndarray:
        """As :meth:`Backend.linear`."""
        made = self._made.get(name)
        if made is None:
            tensor = self._container.tensors[name].unpack(name)
            made = self._made[name] = GoldenLinear(self._container.config, tensor)
        return made(activations)

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def close(self) -> None:
        """Nothing."""


class CoreBackend:
    """A machine with a container's image in its memory.

    Rows are cut to what programs there are; rows that are missing in the last one are 0.
    """

    def __init__(self, container: Container, machine: Machine):
        self._container, self._machine = container, machine
        self._counted: dict[str, int] = {}
        machine.write(0, np.asarray(container.image))

    def linear(self, name: str, activations: np.ndarray) -> np.ndarray:
        """As :meth:`Backend.linear`.

        Raises
        ------
        ToolError
            The program ended with a fault.
        """
        layer = self._container.layers[name]
        order = self._container.tensors[name].parts.get("column_order")
        if order is not None:
            activations = activations[:, order]
        results = []
        while len(activations):
            fits = [entry for entry in layer.programs if entry.rows <= len(activations)]
            entry = fits[-1] if fits else layer.programs[0]
            part, activations = activations[: entry.rows], activations[entry.rows :]
            results.append(self._run(layer, entry, part))
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _run(self, layer: Layer, entry, part: np.ndarray) -> np.ndarray:
        container, machine = self._container, self._machine
        rows = len(part)
        if rows < entry.rows:
            part = np.concatenate([part, np.zeros((entry.rows - rows, part.shape[1]), np.int8)])
        image = activation_image(container.config, part, layer.runs)
        machine.write(container.activations, image.ravel())
        state, counters = machine.execute(entry.address, entry.length)
        if state.cause != Cause.NONE:
            raise ToolError(
                f"matrix {layer.name}: the program ended with {state.cause.name} at "
                f"{state.address:#x}"
            )
        for counter, value in ({"slices": state.slices} | counters).items():
            self._counted[counter] = self._counted.get(counter, 0) + value
        raw = machine.read(container.outputs, entry.rows * layer.output_pitch)
        values = raw.view("<f4").reshape(entry.rows, -1)
        return values[:rows, : layer.shape[0]].copy()

    def facts(self) -> dict[str, Any]:
        """Sums of the performance counters of all programs."""
        return dict(self._counted)

    def close(self) -> None:
        """End the machine."""
        self._machine.close()


class CheckedBackend:
    """A backend whose every result is held against the golden model's, bit by bit."""

    def __init__(self, container: Container, backend: Backend):
        self._backend, self._golden = backend, GoldenBackend(container)
        self.checked = self.mismatches = 0

    def linear(self, name: str, activations: np.ndarray) -> np.ndarray:
        """As :meth:`Backend.linear`."""
        found = self._backend.linear(name, activations)
        wanted = self._golden.linear(name, activations)
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        self.checked += found.size
        self.mismatches += int((~same).sum())
        return found

    def facts(self) -> dict[str, Any]:
        """Those of the backend, and what was compared."""
        compared = {"outputs compared": self.checked, "mismatches": self.mismatches}
        return self._backend.facts() | compared

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()


def _on_machine(name: str, container: Container) -> CoreBackend:
    return CoreBackend(container, open_machine(name, container.config, container.memory))


_BACKENDS: dict[str, Callable[[Container], Backend]] = {
    "golden": GoldenBackend,
    **{name: functools.partial(_on_machine, name) for name in MACHINES},
}
#: What networks run on.
BACKENDS = tuple(_BACKENDS)


def open_backend(container: Container, on: str) -> Backend:
    """A backend by name.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if on not in _BACKENDS:
        raise InputError(f"--on must be one of {', '.join(BACKENDS)} for a network, not {on!r}")
    return _BACKENDS[on](container)
