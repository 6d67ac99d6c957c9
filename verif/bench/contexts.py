"""Where benches run: Amaranth's simulator, and cocotb with the same words for time and values."""

from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.sim import Simulator
from cocotb.triggers import FallingEdge, ReadOnly

from lutcore.verif.bench.streams import Bench, ProtocolError

#: Cycles of one simulation, at most.
_PATIENCE = 100_000


def simulate(design: Elaboratable, *benches: Bench) -> list[Any]:
    """Run benches side by side in Amaranth's simulator; returns what each of them returned.

    The clock is there for combinational designs too.

    Raises
    ------
    ProtocolError
        A bench has not come to its end after very many cycles.
    """
    m = Module()
    m.domains.sync = ClockDomain()
    m.submodules.design = design
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    results: dict[int, Any] = {}

    def whole(place: int, bench: Bench) -> Bench:
        async def run(ctx: Any) -> None:
            results[place] = await bench(ctx)

        return run

    for place, bench in enumerate(benches):
        simulator.add_testbench(whole(place, bench))
    for _ in range(2 * _PATIENCE):  # two edges a cycle
        if not simulator.advance():
            break
    else:
        raise ProtocolError(f"benches have not come to their end in {_PATIENCE} cycles")
    return [results[place] for place in range(len(benches))]


def evaluate(
    design: Elaboratable,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    cases: Iterable[Sequence[Any]],
    cycles: int = 0,
) -> list[tuple[Any, ...]]:
    """Values of ``outputs`` for each case of values of ``inputs``, so many cycles later."""

    async def bench(ctx: Any) -> list[tuple[Any, ...]]:
        found = []
        for case in cases:
            for signal, value in zip(inputs, case, strict=True):
                ctx.set(signal, value)
            for _ in range(cycles):
                await ctx.tick()
            found.append(tuple(ctx.get(signal) for signal in outputs))
        return found

    (results,) = simulate(design, bench)
    return results


class CocotbContext:
    """For cocotb, what ``ctx`` is for Amaranth's simulator; its benches begin after a falling edge.

    Parameters
    ----------
    clk
        Handle of the clock.
    """

    def __init__(self, clk: Any):
        self._clk = clk

    def set(self, handle: Any, value: int) -> None:
        """Drive an input."""
        handle.value = value

    def tick(self) -> "_Tick":
        """The next cycle, to be awaited."""
        return _Tick(self._clk)


class _Tick:
    def __init__(self, clk: Any, handles: tuple[Any, ...] = ()):
        self._clk, self._handles = clk, handles

    def sample(self, *handles: Any) -> "_Tick":
        """Values of ``handles`` as the rising edge sees them."""
        return _Tick(self._clk, handles)

    def __await__(self) -> Iterator[Any]:
        return self._run().__await__()

    async def _run(self) -> tuple[Any, ...]:
        await ReadOnly()
        values = [handle.value for handle in self._handles]
        for handle, value in zip(self._handles, values, strict=True):
            # The payload of a stream without valid may be anything.
            if not value.is_resolvable and not handle._name.endswith("__payload"):
                raise ProtocolError(f"{handle._name} is {value}")
        await FallingEdge(self._clk)
        known = (int(v) if v.is_resolvable else str(v) for v in values)
        return True, False, *known


def handles(dut: Any, name: str) -> SimpleNamespace:
    """The stream of that name of emitted Verilog."""
    parts = ("valid", "ready", "payload")
    return SimpleNamespace(**{part: getattr(dut, f"{name}__{part}") for part in parts})
