"""Emit a component once and instantiate it many times.

Amaranth writes one Verilog module per instance. A tile has up to thousands of identical columns, so
:class:`SharedModules`, given as the platform of a conversion, collects each distinct component once
and puts plain instances in its place: small readable Verilog, and time that hardly grows with N.
Without it (Amaranth's own simulator) components stay ordinary submodules.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

_Component = TypeVar("_Component", bound=wiring.Component)


class SharedModules:
    """Collector of shared modules; pass it as ``platform`` to a conversion.

    Parameters
    ----------
    prefix : str
        Put before every shared module's name, so that two designs can live in one netlist.
    """

    def __init__(self, prefix: str):
        self._prefix = prefix
        self._modules: dict[str, tuple[str, wiring.Signature]] = {}

    @property
    def rtlil(self) -> dict[str, str]:
        """RTLIL text of each shared module by name."""
        return {name: text for name, (text, _) in self._modules.items()}

    def instance(
        self, instance: str, name: str, make: Callable[[], wiring.Component]
    ) -> tuple[Instance, Any]:
        """An instance of the module ``name`` and the interface that it is connected to.

        ``make`` is called for the first instance of a name; later ones must be interchangeable.
        """
        module = f"{self._prefix}_{name}"
        if module not in self._modules:
            component = make()
            text = rtlil.convert(component, name=module, platform=self, emit_src=False)
            self._modules[module] = (text, component.signature)
        text, signature = self._modules[module]
        interface = signature.create(path=(instance,))
        ports = {}
        for path, member, value in signature.flatten(interface):
            direction = "o" if member.flow == Out else "i"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
        for port, signal in (("clk", ClockSignal()), ("rst", ResetSignal())):
            if re.search(rf"^ *wire .*\binput \d+ +\\{port}$", text, re.MULTILINE):
                ports[f"i_{port}"] = signal
        return Instance(module, **ports), interface


def add_shared(
    m: Module, platform: object, instance: str, name: str, make: Callable[[], _Component]
) -> _Component:
    """Add a component to ``m`` as submodule ``instance`` and return its interface.

    With :class:`SharedModules` as the platform, the submodule is an instance of the module ``name``
    that all such components share.
    """
    if isinstance(platform, SharedModules):
        submodule, interface = platform.instance(instance, name, make)
    else:
        submodule = interface = make()
    m.submodules[instance] = submodule
    return interface
