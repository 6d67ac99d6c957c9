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


def component_text(
    component: wiring.Component, name: str, platform: object = None, places: bool = False
) -> str:
    """RTLIL of a component as the module ``name``; with ``places`` it names lines of the source."""
    with uncollected():
        return rtlil.convert(component, name=name, platform=platform, emit_src=places)
