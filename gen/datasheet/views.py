"""Which cycles of a run diagrams show, and which lanes: for each top what an engineer asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lutcore.gen.datasheet.lanes import Lanes, taken
from lutcore.hdl.isa.registers import REGISTERS

#: Cycles of a diagram.
CYCLES = 18
#: A cycle of interest.
_Event = Callable[[Lanes], int]


def _first(group: str, part: str = "valid", value: int = 1) -> _Event:
    return lambda found: found[group][part].values.index(value)


def _whole(asked: str, given: str) -> _Event:
    """The first request that is answered whole in a diagram, and before the next one."""

    def event(found: Lanes) -> int:
        requests, beats = taken(found[asked]), taken(found[given])
        lengths = found[asked]["len"].values
        for cycle in requests:
            last = [beat for beat in beats if beat > cycle][lengths[cycle]]
            if lengths[cycle] and last < cycle + CYCLES - 2:
                return cycle
        return requests[0]

    return event


def _last(group: str) -> _Event:
    """The last payload that is taken."""
    return lambda found: taken(found[group])[-1]


@dataclass(frozen=True)
class View:
    """What a diagram shows: ``before`` cycles before an event, and parts of interfaces.

    An interface without parts shows all of them.
    """

    name: str
    text: str
    event: _Event
    before: int
    rows: Mapping[str, str]


def _axi_stream(name: str) -> str:
    return f"{'m' if name == 'results' else 's'}_axis_{name}_t"


def _tile_views(of: Callable[[str], str] = str, data: str = "") -> tuple[View, ...]:
    """Views of a tile: ``of`` names its streams, ``data`` stands before fields of payloads."""
    weights, results = of("weights"), of("results")
    return (
        View(
            "inputs",
            "A run begins, and another follows it without a bubble. The producer of weights pauses "
            "for two cycles after its third slice.",
            _first(weights),
            1,
            {of("activations"): "", of("tables"): "", weights: ""},
        ),
        View(
            "results",
            "Results leave while the next run is summed. The consumer lets the first beat wait for "
            "two cycles.",
            _first(results),
            8,
            {weights: f"valid ready {data}first {data}last", of("zero_points"): "", results: ""},
        ),
    )


_CORE_VIEWS = (
    View(
        "program",
        "A program is taken, and its instructions are read from memory.",
        _first("programs"),
        1,
        {"programs": "", "": "busy", "reads": ""},
    ),
    View(
        "read",
        "A burst of words is read.",
        _whole("reads", "words"),
        1,
        {"reads": "", "words": ""},
    ),
    View(
        "write",
        "The last burst of results is written, and the program ends.",
        _last("writes"),
        1,
        {"writes": "", "written": "", "answers": "", "": "busy cause"},
    ),
)

_ADDRESS = "valid ready addr len"


def _axi_views(
    address: tuple[str, str], before: int, written: Mapping[str, str], read: Mapping[str, str]
) -> tuple[View, ...]:
    """Views of a core with registers.

    Parameters
    ----------
    address : tuple of str
        Interface and part that have the address of a register that is written.
    before : int
        Cycles of the write before the doorbell's.
    written, read : mapping of str to str
        Rows that show writes and reads of registers.
    """
    return (
        View(
            "doorbell",
            "The host writes the program's length and rings the doorbell; the core asks for its "
            "instructions.",
            _first(*address, REGISTERS["control"][0]),
            before,
            {**written, "m_axi_ar": "valid ready addr"},
        ),
        View(
            "read",
            "A burst of words is read.",
            _whole("m_axi_ar", "m_axi_r"),
            1,
            {"m_axi_ar": _ADDRESS, "m_axi_r": "valid ready data resp last"},
        ),
        View(
            "write",
            "The last burst of results is written.",
            _last("m_axi_aw"),
            1,
            {"m_axi_aw": _ADDRESS, "m_axi_w": "valid ready data strb last"}
            | {"m_axi_b": "valid ready resp"},
        ),
        View(
            "interrupt",
            "The program has ended: the interrupt rises. The host reads the status and clears the "
            "event.",
            _first("", "irq"),
            2,
            {"": "irq", **read},
        ),
    )


_LITE = {"s_axi_aw": "valid ready addr", "s_axi_w": "valid ready data"}
_LITE_VIEWS = _axi_views(
    ("s_axi_aw", "addr"),
    5,
    {**_LITE, "s_axi_b": "valid ready"},
    {"s_axi_ar": "valid ready addr", "s_axi_r": "valid ready data", **_LITE},
)
_APB = "psel penable pready pwrite paddr pwdata"
_WISHBONE = "cyc stb ack we adr dat_w"

#: Top -> its diagrams.
VIEWS: dict[str, tuple[View, ...]] = {
    "tile": _tile_views(),
    "axi-stream": _tile_views(_axi_stream, "data."),
    "core": _CORE_VIEWS,
    "axi": _LITE_VIEWS,
    "axi-aclk": _LITE_VIEWS,
    "axi-apb": _axi_views(("s_apb", "paddr"), 5, {"s_apb": _APB}, {"s_apb": f"{_APB} prdata"}),
    "axi-wishbone": _axi_views(
        ("s_wb", "adr"), 5, {"s_wb": _WISHBONE}, {"s_wb": f"{_WISHBONE} dat_r"}
    ),
}
