"""Combinations of fields that make no sense, each rule with its name and the reason."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lutcore.errors import InputError
from lutcore.hdl.config.bits import is_power_of_two, power_of_two
from lutcore.hdl.config.forms import TERNARY_K
from lutcore.hdl.config.rates import Rates

#: Most lookup units of one tile; a larger core is made of several tiles.
MOST_UNITS = 8192
#: Most bits of all ports of a module together.
MOST_PORT_BITS = 60_000
#: Most columns of a core, a power of two that its register of the shape holds.
MOST_COLUMNS = 2048
#: Longest run whose results share a scale, in K elements.
LONGEST_SCALED_RUN = 1024
#: Most steps of a run whose tables are kept.
MOST_BUFFERED_STEPS = 1024


@dataclass(frozen=True)
class Rule:
    """Something that a configuration must hold.

    Attributes
    ----------
    name : str
        What the rule is about, unique in its table.
    broken : callable
        Whether a configuration breaks it, one that holds the rules before it.
    message : callable
        What is wrong with a configuration that does, and the remedy.
    """

    name: str
    broken: Callable[[Rates], bool]
    message: Callable[[Rates], str]


def _needs(
    who: Callable[[Rates], str | bool], field: str, *allowed: str | int, why: str = ""
) -> Rule:
    """Those whom ``who`` calls by a name need one of some values of a field."""
    values = " or ".join(map(str, allowed))
    reason = f" ({why})" if why else ""

    def broken(config: Rates) -> bool:
        return bool(who(config)) and getattr(config, field) not in allowed

    def message(config: Rates) -> str:
        return f"{who(config)} needs {field} = {values}{reason}, not {getattr(config, field)}"

    return Rule(f"{field} = {values}", broken, message)


def _fabric(config: Rates) -> str | bool:
    return config.table_storage != "mux" and f"table_storage = {config.table_storage}"


def _ternary(config: Rates) -> str | bool:
    return config.weight_coding == "ternary" and "weight_coding = ternary"


def _other_engine(config: Rates) -> bool:
    return config.engine != "lut"


def _mac_precision(config: Rates) -> int:
    """Bits of the widest weight that the format of the activations holds exactly."""
    return config.float_format.precision + 1


#: Rules of every configuration, in the order of judgement: later ones rely on earlier ones.
RULES: tuple[Rule, ...] = (
    Rule(
        "units of a tile",
        lambda c: c.m * c.n > MOST_UNITS,
        lambda c: f"a tile holds at most {MOST_UNITS} units, not m * n = {c.m * c.n}",
    ),
    Rule(
        "bits of a slice",
        lambda c: c.slice_bits > MOST_PORT_BITS,
        lambda c: (
            f"a slice has at most {MOST_PORT_BITS} bits, not {c.slice_bits}: "
            f"lower tiles = {c.tiles}, n or lookups"
        ),
    ),
    Rule(
        "a run of at least one step",
        lambda c: c.run_length < c.depth,
        lambda c: (
            f"{'group_size' if c.group_size else 'max_k'} must be at least "
            f"k * lookups = {c.depth}, not {c.run_length}"
        ),
    ),
    Rule(
        "group within a row",
        lambda c: c.group_size > c.max_k,
        lambda c: f"group_size must be at most max_k = {c.max_k}, not {c.group_size}",
    ),
    Rule(
        "whole result beats",
        lambda c: bool(c.result_columns and c.columns % c.result_columns),
        lambda c: f"result_columns must divide tiles * n = {c.columns}, not {c.result_columns!r}",
    ),
    Rule(
        "tables of other engines",
        lambda c: _other_engine(c) and c.table_form != "symmetric",
        lambda c: f"table_form is for engine lut; {c.engine} has its own: leave it out",
    ),
    Rule(
        "ternary weights of other engines",
        lambda c: (
            _other_engine(c)
            and c.weight_coding == "ternary"
            and (c.engine, c.multiplier) != ("mac", "select")
        ),
        lambda c: (
            "weight_coding = ternary needs engine lut, or mac with multiplier = select, "
            f"not {c.engine}"
        ),
    ),
    Rule(
        "rounded tables of other engines",
        lambda c: _other_engine(c) and c.table == "int8",
        lambda c: f"table = int8 needs engine lut, not {c.engine}",
    ),
    Rule(
        "precompute of other engines",
        lambda c: _other_engine(c) and c.precompute != "inline",
        lambda c: f"precompute = {c.precompute} needs engine lut: {c.engine} shares no tables",
    ),
    Rule(
        "passes with distributed RAM",
        lambda c: (c.passes > 1) != (c.table_storage == "lutram"),
        lambda c: (
            "passes is for table_storage = lutram, which takes 2 or more, not "
            f"passes = {c.passes} with table_storage = {c.table_storage}"
        ),
    ),
    Rule(
        "passes while tables are written",
        lambda c: 1 < c.passes < c.write_cycles,
        lambda c: (
            f"passes must be at least {c.write_cycles}, the cycles that tables of "
            f"k = {c.k} take to be written, not {c.passes}"
        ),
    ),
    _needs(_fabric, "engine", "lut"),
    _needs(_fabric, "table_form", "symmetric"),
    _needs(_fabric, "weight_coding", "binary"),
    _needs(_fabric, "table", "exact"),
    _needs(_fabric, "precompute", "inline"),
    _needs(_fabric, "pipeline", 0),
    _needs(_fabric, "tiles", 1),
    _needs(_fabric, "activation", "int8", "int16"),
    _needs(_fabric, "k", *range(2, 7)),
    _needs(_ternary, "k", *TERNARY_K),
    _needs(_ternary, "max_weight_bits", 2),
    Rule(
        "rounded tables are of planes",
        lambda c: c.weight_coding == "ternary" and c.table == "int8",
        lambda c: "table = int8 needs weight_coding = binary: its rounding is per plane",
    ),
    Rule(
        "ternary weights without exact floats",
        lambda c: c.weight_coding == "ternary" and c.exact_floats,
        lambda c: "weight_coding = ternary needs float_mode = aligned",
    ),
    Rule(
        "symmetric where signs are used",
        lambda c: (
            (c.weight_coding == "ternary" or c.table == "int8") and c.table_form != "symmetric"
        ),
        lambda c: "table = int8 and weight_coding = ternary need table_form = symmetric",
    ),
    Rule(
        "rounded tables are of integers",
        lambda c: c.table == "int8" and c.exact_floats,
        lambda c: "table = int8 needs integers: set float_mode = aligned",
    ),
    Rule(
        "length of a scaled run",
        lambda c: c.block_scaled and not 0 < c.group_size <= LONGEST_SCALED_RUN,
        lambda c: (
            f"{'table = int8' if c.table == 'int8' else 'float_mode = aligned'} shares a scale "
            f"within a run: set group_size to {LONGEST_SCALED_RUN} or less, "
            f"for example 32, not {c.group_size}"
        ),
    ),
    Rule(
        "bits that aligned floats need",
        lambda c: c.aligned and c.align_bits < c.float_format.precision + 1,
        lambda c: (
            f"align_bits must be at least {c.float_format.precision + 1} to hold {c.activation}, "
            f"not {c.align_bits}"
        ),
    ),
    Rule(
        "exact floats are not corrected",
        lambda c: c.exact_floats and c.table_form != "symmetric",
        lambda c: "float_mode = exact needs table_form = symmetric: correcting subset sums rounds",
    ),
    Rule(
        "exact floats without zero points",
        lambda c: c.exact_floats and c.zero_points != "external",
        lambda c: "float_mode = exact needs zero_points = external: subtracting them here rounds",
    ),
    Rule(
        "weights that multipliers hold",
        lambda c: c.exact_floats and c.engine == "mac" and c.max_weight_bits > _mac_precision(c),
        lambda c: (
            f"engine = mac holds weights in {c.activation}: max_weight_bits must be at "
            f"most {_mac_precision(c)}, not {c.max_weight_bits}"
        ),
    ),
    Rule(
        "multipliers of other engines",
        lambda c: c.multiplier != "auto" and (c.engine != "mac" or c.exact_floats),
        lambda c: (
            f"multiplier = {c.multiplier} needs engine mac and integers: leave it out, or set "
            "float_mode = aligned"
        ),
    ),
    Rule(
        "one multiple of short weights",
        lambda c: c.multiplier == "select" and c.max_weight_bits > 2,
        lambda c: (
            f"multiplier = select needs max_weight_bits = 1 or 2, not {c.max_weight_bits}: "
            "set multiplier = rows or booth"
        ),
    ),
    Rule(
        "order of planes",
        lambda c: c.plane_order != "any" and not c.form.bit_serial,
        lambda c: "plane_order is for bit planes, but this core reads whole codes: leave it out",
    ),
    Rule(
        "bits of a drain lane",
        lambda c: c.drain_beats * c.m * c.accumulator_bits > MOST_PORT_BITS,
        lambda c: (
            f"result_columns = {c.drain_columns} makes {c.drain_beats} beats of a run, "
            "more than one drain lane holds: set more"
        ),
    ),
    Rule(
        "steps of a buffered run",
        lambda c: c.precompute == "buffered" and c.run_steps > MOST_BUFFERED_STEPS,
        lambda c: (
            f"precompute = buffered keeps a run of at most {MOST_BUFFERED_STEPS} steps, "
            f"not {c.run_steps}: set group_size"
        ),
    ),
)


def _core(config: Rates) -> str:
    return "a core"


def _power(field: str) -> Rule:
    return Rule(
        f"{field} a power of two",
        lambda c: not is_power_of_two(getattr(c, field)),
        lambda c: f"a core needs {field} to be a power of two, not {getattr(c, field)}",
    )


def _size(field: str, least: Callable[[Rates], int]) -> Rule:
    return Rule(
        f"least {field}",
        lambda c: getattr(c, field) < least(c),
        lambda c: f"a core needs {field} = {least(c)} or more, not {getattr(c, field)}",
    )


def _bus_bytes(config: Rates) -> int:
    return config.bus_bits // 8


#: Rules of a core around the tile, on top of :data:`RULES`.
CORE_RULES: tuple[Rule, ...] = (
    _needs(_core, "engine", "lut", why="it shares tables between columns"),
    _needs(_core, "precompute", "buffered", why="it builds a run's tables once for all columns"),
    _needs(_core, "zero_points", "external", why="its epilogue subtracts them"),
    _power("activation_buffer"),
    _power("weight_buffer"),
    _power("scale_buffer"),
    _power("output_buffer"),
    _power("program_buffer"),
    _power("m"),
    _power("tiles"),
    _power("n"),
    _power("bus_bits"),
    Rule(
        "a step within a bus word",
        lambda c: c.depth * c.activation_bits > c.bus_bits,
        lambda c: (
            "a core needs k * lookups activations to fit the bus: "
            f"set bus_bits to {c.depth * c.activation_bits} or more"
        ),
    ),
    Rule(
        "columns of a core",
        lambda c: c.columns > MOST_COLUMNS,
        lambda c: f"a core has at most tiles * n = {MOST_COLUMNS} columns, not {c.columns}",
    ),
    Rule(
        "slices of whole bytes",
        lambda c: c.slice_bits % 8 > 0,
        lambda c: f"a core needs slices of whole bytes, not {c.slice_bits} bits: set n",
    ),
    _size("activation_buffer", lambda c: c.m * _bus_bytes(c) * 2),
    _size("weight_buffer", lambda c: max(_bus_bytes(c), power_of_two(c.slice_bits // 8)) * 2),
    _size("scale_buffer", lambda c: max(_bus_bytes(c), c.drain_columns * 4) * 2),
    _size("output_buffer", lambda c: c.m * c.drain_columns * 4 * c.drain_beats),
)


def check(config: Rates, rules: Iterable[Rule] = RULES) -> None:
    """Refuse a configuration that breaks a rule.

    Raises
    ------
    InputError
        (a :class:`ValueError`) naming the field and what is needed.
    """
    for rule in rules:
        if rule.broken(config):
            raise InputError(rule.message(config))


def is_core(config: Rates) -> bool:
    """Whether a core can be built from a configuration, or a tile alone."""
    return not any(rule.broken(config) for rule in CORE_RULES)


def check_core(config: Rates) -> None:
    """Refuse a configuration that no core can be built from.

    Raises
    ------
    InputError
        (a :class:`ValueError`) naming the field and what is needed.
    """
    check(config, CORE_RULES)
