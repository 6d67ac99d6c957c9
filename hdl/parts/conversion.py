"""From a component to RTLIL, in the time that this should take."""

import contextlib
import gc
from collections.abc import Iterator

from amaranth.back import rtlil
from amaranth.lib import wiring


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Pause Python's garbage collector, which finds nothing while Amaranth builds a netlist.

    It would go through millions of objects that are all in use, again and again: more than a third
    of the time. What was on before is on again afterwards.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def component_text(component: wiring.Component, name: str, platform: object = None) -> str:
    """RTLIL of a component as the module ``name``, without source paths."""
    with uncollected():
        return rtlil.convert(component, name=name, platform=platform, emit_src=False)
