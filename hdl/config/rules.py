"""Combinations of fields that make no sense, each with the reason."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lutcore.errors import InputError
from lutcore.hdl.config.forms import TERNARY_K

if TYPE_CHECKING:
    from lutcore.hdl.config.core import CoreConfig

#: Most lookup units of one tile; a larger core is made of several tiles.
MOST_UNITS = 8192
#: Most bits of all ports of a module together.
MOST_PORT_BITS = 60_000
#: Most columns of a core, a power of two that its register of the shape holds.
MOST_COLUMNS = 2048


def rules(config: "CoreConfig") -> Iterator[tuple[bool, str]]:
    """Yield whether each rule is broken, and the message then; later rules rely on earlier ones."""
    ternary, int8 = config.weight_coding == "ternary", config.table == "int8"
    length = "group_size" if config.group_size else "max_k"
    yield (
        config.m * config.n > MOST_UNITS,
        f"a tile holds at most {MOST_UNITS} units, not m * n = {config.m * config.n}",
    )
    yield (
        config.slice_bits > MOST_PORT_BITS,
        (
            f"a slice has at most {MOST_PORT_BITS} bits, not {config.slice_bits}: "
            f"lower tiles = {config.tiles}, n or lookups"
        ),
    )
    yield (
        config.run_length < config.depth,
        f"{length} must be at least k * lookups = {config.depth}, not {config.run_length}",
    )
    yield (
        config.group_size > config.max_k,
        f"group_size must be at most max_k = {config.max_k}, not {config.group_size}",
    )
    yield (
        bool(config.result_columns and config.columns % config.result_columns),
        f"result_columns must divide tiles * n = {config.columns}, not {config.result_columns!r}",
    )
    if config.engine != "lut":
        yield (
            config.table_form != "symmetric",
            f"table_form is for engine lut; {config.engine} has its own: leave it out",
        )
        yield (ternary, f"weight_coding = ternary needs engine lut, not {config.engine}")
        yield (int8, f"table = int8 needs engine lut, not {config.engine}")
        yield (
            config.precompute != "inline",
            f"precompute = {config.precompute} needs engine lut: {config.engine} shares no tables",
        )
    yield (
        (config.passes > 1) != (config.table_storage == "lutram"),
        (
            "passes is for table_storage = lutram, which takes 2 or more, not "
            f"passes = {config.passes} with table_storage = {config.table_storage}"
        ),
    )
    yield (
        1 < config.passes < config.write_cycles,
        (
            f"passes must be at least {config.write_cycles}, the cycles that tables of "
            f"k = {config.k} take to be written, not {config.passes}"
        ),
    )
    if config.table_storage != "mux":
        needs = {
            "engine": ("lut",),
            "table_form": ("symmetric",),
            "weight_coding": ("binary",),
            "table": ("exact",),
            "precompute": ("inline",),
            "pipeline": (0,),
            "tiles": (1,),
            "activation": ("int8", "int16"),
            "k": tuple(range(2, 7)),
        }
        for field, allowed in needs.items():
            value = getattr(config, field)
            yield (
                value not in allowed,
                (
                    f"table_storage = {config.table_storage} needs {field} = "
                    f"{' or '.join(map(str, allowed))}, not {value}"
                ),
            )
    if ternary:
        yield (config.k != TERNARY_K, f"weight_coding = ternary needs k = 3, not {config.k}")
        yield (
            config.max_weight_bits != 2,
            f"weight_coding = ternary needs max_weight_bits = 2, not {config.max_weight_bits}",
        )
        yield (int8, "table = int8 needs weight_coding = binary: its rounding is per plane")
        yield (config.exact_floats, "weight_coding = ternary needs float_mode = aligned")
    yield (
        (ternary or int8) and config.table_form != "symmetric",
        "table = int8 and weight_coding = ternary need table_form = symmetric",
    )
    yield (
        int8 and config.exact_floats,
        "table = int8 needs integers: set float_mode = aligned",
    )
    if config.block_scaled:
        what = "table = int8" if int8 else "float_mode = aligned"
        yield (
            not 0 < config.group_size <= 1024,
            (
                f"{what} shares a scale within a run: set group_size to 1024 or less, "
                f"for example 32, not {config.group_size}"
            ),
        )
    if config.aligned:
        least = config.float_format.precision + 1
        yield (
            config.align_bits < least,
            (
                f"align_bits must be at least {least} to hold {config.activation}, "
                f"not {config.align_bits}"
            ),
        )
    if config.exact_floats:
        yield (
            config.table_form != "symmetric",
            "float_mode = exact needs table_form = symmetric: correcting subset sums rounds",
        )
        yield (
            config.zero_points != "external",
            "float_mode = exact needs zero_points = external: subtracting them here rounds",
        )
        most = config.float_format.precision + 1
        yield (
            config.engine == "mac" and config.max_weight_bits > most,
            (
                f"engine = mac holds weights in {config.activation}: max_weight_bits must be at "
                f"most {most}, not {config.max_weight_bits}"
            ),
        )
    yield (
        config.plane_order != "any" and not config.form.bit_serial,
        "plane_order is for bit planes, but this core reads whole codes: leave it out",
    )
    yield (
        config.drain_beats * config.m * config.accumulator_bits > MOST_PORT_BITS,
        (
            f"result_columns = {config.drain_columns} makes {config.drain_beats} beats of a run, "
            "more than one drain lane holds: set more"
        ),
    )
    yield (
        config.precompute == "buffered" and config.run_steps > 1024,
        (
            f"precompute = buffered keeps a run of at most 1024 steps, not {config.run_steps}: "
            "set group_size"
        ),
    )
    yield (
        config.accumulator_bits > 64 or config.dot_bits > 64,
        (
            f"max_k = {config.max_k} needs results of {config.dot_bits} bits; at most 64 fit: "
            "lower max_k, group_size or max_weight_bits"
        ),
    )


def power_of_two(least: int) -> int:
    """The least power of two that is ``least`` or more."""
    return 1 << max(least - 1, 0).bit_length()


def is_power_of_two(value: int) -> bool:
    """Whether ``value`` is one."""
    return value > 0 and not value & (value - 1)


def _core_rules(config: "CoreConfig") -> Iterator[tuple[bool, str]]:
    """As :func:`rules`, for a core around the tile."""
    for name, value, why in (
        ("engine", "lut", "it shares tables between columns"),
        ("precompute", "buffered", "it builds a run's tables once for all columns"),
        ("zero_points", "external", "its epilogue subtracts them"),
    ):
        found = getattr(config, name)
        yield (found != value, f"a core needs {name} = {value} ({why}), not {found}")
    names = ("activation", "weight", "scale", "output", "program")
    sizes = {f"{name}_buffer": getattr(config, f"{name}_buffer") for name in names}
    shape = {name: getattr(config, name) for name in ("m", "tiles", "n", "bus_bits")}
    shape |= {"result_columns": config.drain_columns}
    for name, value in (sizes | shape).items():
        yield (not is_power_of_two(value), f"a core needs {name} to be a power of two, not {value}")
    step = config.depth * config.activation_bits
    yield (
        step > config.bus_bits,
        f"a core needs k * lookups activations to fit the bus: set bus_bits to {step} or more",
    )
    yield (
        config.columns > MOST_COLUMNS,
        f"a core has at most tiles * n = {MOST_COLUMNS} columns, not {config.columns}",
    )
    yield (
        config.slice_bits % 8 > 0,
        f"a core needs slices of whole bytes, not {config.slice_bits} bits: set n",
    )
    words = config.m * config.drain_columns * 4
    bus = config.bus_bits // 8
    least = {
        "activation_buffer": config.m * bus * 2,
        "weight_buffer": max(bus, power_of_two(config.slice_bits // 8)) * 2,
        "scale_buffer": max(bus, config.drain_columns * 4) * 2,
        "output_buffer": words * config.drain_beats,
    }
    for name, size in least.items():
        yield (sizes[name] < size, f"a core needs {name} = {size} or more, not {sizes[name]}")


def is_core(config: "CoreConfig") -> bool:
    """Whether a core can be built from a configuration, or a tile alone."""
    return not any(broken for broken, _ in _core_rules(config))


def check_core(config: "CoreConfig") -> None:
    """Refuse a configuration that no core can be built from.

    Raises
    ------
    InputError
        (a :class:`ValueError`) naming the field and what is needed.
    """
    for broken, message in _core_rules(config):
        if broken:
            raise InputError(message)
