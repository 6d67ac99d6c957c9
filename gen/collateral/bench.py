"""Self-checking benches of a design in Verilog and in cocotb, with the words that they play."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lutcore.gen.collateral.vectors import Words, program, tile_vectors
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name, header
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.registers import REGISTERS

_TEMPLATES = Path(__file__).with_name("templates")


def _filled(file: str, **values: Any) -> str:
    """A file of templates with values where it has ``@{name}``."""
    text = (_TEMPLATES / f"{file}.tmpl").read_text()
    return re.sub(r"@\{(\w+)\}", lambda found: str(values[found[1]]), text)


def bench_files(config: CoreConfig, top: str) -> dict[str, str]:
    """``<design>_tb.v``, ``test_<design>.py``, and the words of both, ``<design>_*.hex``."""
    bench = (_CoreBench if TOPS[top].is_core else _TileBench)(config, top)
    name = design_name(config, top)
    return {
        f"{name}_tb.v": header(config, top) + bench.verilog(),
        f"test_{name}.py": header(config, top, "#") + bench.cocotb(),
    } | {f"{name}_{what}.hex": words.hex() for what, words in bench.words.items()}


class _Bench:
    """What benches of all tops have in common.

    Attributes
    ----------
    words : dict of str to Words
        What is played and expected.
    """

    def __init__(self, config: CoreConfig, top: str):
        self._name, self._ports = design_name(config, top), ports(config, top)
        self._widths = {port["name"]: port["width"] for port in self._ports}
        known = {"clk": "clk", "rst": "rst", "aclk": "clk", "aresetn": "~rst"}
        #: Port of clock or reset -> the net of the bench.
        self._clocks = {port: net for port, net in known.items() if port in self._widths}
        self.words: dict[str, Words] = {}

    def _pins(self, connected: dict[str, str]) -> str:
        return ",\n".join(f"    .{pin}({net})" for pin, net in (self._clocks | connected).items())

    def _python(self, constants: dict[str, str]) -> dict[str, str]:
        """Clock, reset and inputs that a bench in Python ties: the value of each, or 0."""
        clock, reset = self._clocks
        inputs = [port["name"] for port in self._ports if port["direction"] == "input"]
        tied = {port: _value(constants.get(port, "0")) for port in inputs}
        told = ", ".join(f'"{port}": {tied[port]}' for port in inputs if port not in self._clocks)
        return {
            "clock": f'"{clock}", "{reset}", {int(not reset.endswith("n"))}',
            "tied": f"{{{told}}}",
            "main": _filled("main.py").strip(),
            "design": self._name,
        }


def _value(constant: str) -> int:
    """A constant of Verilog."""
    _, _, digits = constant.rpartition("'")
    bases = {"h": 16, "d": 10, "b": 2}
    found = digits.replace("_", "")
    return int(found[1:], bases[found[0]]) if found[0] in bases else int(found)


# Tiles --------------------------------------------------------------------------------------------


class _TileBench(_Bench):
    """A product's streams, and what must come out."""

    def __init__(self, config: CoreConfig, top: str):
        super().__init__(config, top)
        vectors = tile_vectors(config)
        self._inputs = vectors.inputs
        self._expected = vectors.expected
        self.words = vectors.inputs | {"expected": vectors.expected, "checked": vectors.checked}
        #: Bit of a result that ends a run, and the port of AXI-Stream that says the same.
        self._last = vectors.expected.bits - 1
        self._tlast = next((port for port in self._widths if port == "m_axis_results_tlast"), "")
        self._patience = 64 * sum(len(words.words) for words in self._inputs.values()) + 1000

    def _stream(self, name: str) -> tuple[str, str, str]:
        """Ports of a stream: valid, ready, payload."""
        if f"{name}__payload" in self._widths:
            return f"{name}__valid", f"{name}__ready", f"{name}__payload"
        stem = f"{'m' if name == 'results' else 's'}_axis_{name}_t"
        return f"{stem}valid", f"{stem}ready", f"{stem}data"

    def verilog(self) -> str:
        pins = {}
        sources = []
        for place, (name, words) in enumerate(self._inputs.items()):
            valid, ready, payload = self._stream(name)
            pins |= {valid: f"{name}_valid", ready: f"{name}_ready", payload: name}
            sources.append(_source(name, words, self._widths[payload], 2 * place + 2))
        valid, ready, payload = self._stream("results")
        pins |= {valid: "results_valid", ready: "results_ready", payload: "results"}
        for port in self._ports:
            if port["name"].endswith("_tlast"):
                pins[port["name"]] = "1'b0" if port["direction"] == "input" else "results_last"
        done = [f"{s}_sent == {len(w.words)} && !{s}_valid" for s, w in self._inputs.items()]
        reads = [f'    $readmemh("{self._name}_{s}.hex", {s}_beats);' for s in self._inputs]
        return _filled(
            "tile_bench.v",
            design=self._name,
            patience=self._patience,
            sources="".join(sources),
            beats=len(self._expected.words),
            index=_index(self._expected),
            result_bits=self._expected.bits,
            payload_high=self._widths[payload] - 1,
            last_net="\n  wire results_last;" if self._tlast else "",
            last_wrong=f"results_last !== results[{self._last}]" if self._tlast else "1'b0",
            pins=self._pins(pins),
            sent=" && ".join(done),
            reads="\n".join(reads),
        )

    def cocotb(self) -> str:
        inputs = [f'    "{name}": {_quoted(self._stream(name))},' for name in self._inputs]
        return _filled(
            "tile_bench.py",
            inputs="\n".join(inputs),
            results=_quoted(self._stream("results")),
            patience=self._patience,
            last=self._last,
            tlast=self._tlast,
            **self._python({}),
        )


def _quoted(names: Iterable[str]) -> str:
    return "(" + ", ".join(f'"{name}"' for name in names) + ")"


def _index(words: Words) -> int:
    """Bits that number words."""
    return max(1, (len(words.words) - 1).bit_length())


def _source(stream: str, words: Words, port_bits: int, place: int) -> str:
    beat = f"{stream}_beats[{stream}_sent[{_index(words) - 1}:0]]"
    padding = port_bits - words.bits
    return _filled(
        "source_bench.v",
        stream=stream,
        count=len(words.words),
        last=len(words.words) - 1,
        high=words.bits - 1,
        port_high=port_bits - 1,
        place=place,
        padded=f"{{{padding}'d0, {beat}}}" if padding else beat,
    )


# Cores --------------------------------------------------------------------------------------------

#: A port that only some tops have -> the host that it asks for.
_HOSTS = {
    "s_axi_awvalid": "axi_host",
    "s_apb_psel": "apb_host",
    "s_wb_cyc": "wishbone_host",
    "programs__valid": "program_host",
}
#: Cycles after which a bench gives a program up, which takes some thousands.
_PATIENCE = 30_000
#: Inputs of cores that a bench keeps as they are.
_CONSTANT = {
    "answers__payload": "1'b0",
    "cancel": "1'b0",
    "window_low": "36'd0",
    "window_high": "37'h10_0000_0000",
    "m_axi_rresp": "2'd0",
    "m_axi_bresp": "2'd0",
    "s_axi_wstrb": "4'hf",
    "s_axi_awprot": "3'd0",
    "s_axi_arprot": "3'd0",
    "s_apb_pstrb": "4'hf",
    "s_apb_pprot": "3'd0",
    "s_wb_sel": "4'hf",
}


class _CoreBench(_Bench):
    """A program in memory, and what it leaves there."""

    def __init__(self, config: CoreConfig, top: str):
        super().__init__(config, top)
        self._host = next(_HOSTS[port] for port in self._widths if port in _HOSTS)
        self._memory = "stream_memory" if self._host == "program_host" else "axi_memory"
        self._program, self._size = program(config), config.bus_bits // 8
        self.words = {"memory": self._program.memory, "expected": self._program.expected}

    def _control(self, language: str, **values: int) -> str:
        """What the host does."""
        text = _filled(f"{self._host}.{language}")
        if self._host == "program_host":
            return text
        places = {register: f"{offset:02x}" for register, (offset, _) in REGISTERS.items()}
        return text + _filled(f"host.{language}", **places, **values)

    def verilog(self) -> str:
        words = len(self._program.memory.words)
        placed = {"program_address": self._program.address, "program_length": self._program.length}
        log = self._size.bit_length() - 1
        memory = _filled(f"{self._memory}.v", bytes=self._size, log=log)
        control = self._control("v", **placed)
        offered = f"{{32'd{self._program.length}, 48'd{self._program.address}}}"
        return _filled(
            "core_bench.v",
            design=self._name,
            bytes=self._size,
            words=words,
            end=self._size * words,
            patience=_PATIENCE,
            index=_index(self._program.memory),
            log=log,
            memory=memory,
            host=control,
            pins=self._pins(self._connected(memory + control, {"programs__payload": offered})),
        )

    def _connected(self, text: str, given: dict[str, str]) -> dict[str, str]:
        """What ports are connected to: nets of their names, constants; outputs also to nothing."""
        found = {}
        for port in self._ports:
            name = port["name"]
            net = name.removesuffix("__payload").replace("__", "_")
            if name in given:
                found[name] = given[name]
            elif re.search(rf"\b{net}\b", text):
                found[name] = net
            elif name not in self._clocks:
                found[name] = "" if port["direction"] == "output" else _CONSTANT[name]
        return found

    def cocotb(self) -> str:
        return _filled(
            "core_bench.py",
            bytes=self._size,
            program_address=self._program.address,
            program_length=self._program.length,
            memory=_filled(f"{self._memory}.py"),
            host=self._control("py"),
            patience=_PATIENCE,
            **self._python(_CONSTANT),
        )
