"""Configurations side by side: area, rate, time and energy of the same products."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.asic.advice import reached
from lutcore.gen.energy.energy import has_power
from lutcore.gen.experiments.measure import record
from lutcore.gen.experiments.point import Point
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.description import shape, weights

#: Figure -> what it is called in words; all are of products of whole weights, equally wide on all
#: sides. Ratios are made of them, to the first side's.
FIGURES = {
    "core_gate_equivalents": "core, gate equivalents",
    "gate_equivalents": "all, gate equivalents",
    "products_per_cycle": "products a cycle",
    "core_ge_per_product": "core GE per product a cycle",
    "reached_ns": "period reached, ns",
    "core_ge_ns_per_product": "core GE ns per product",
    "energy_fj_per_product": "energy of a product, fJ",
    "core_energy_fj_per_product": "core's energy of a product, fJ",
    "latency_cycles": "latency, cycles",
    "full_rate_slices": "slices of a run at full rate",
}

Side = dict[str, Any]


def common_bits(configs: Sequence[CoreConfig]) -> int:
    """Bits of the widest weights that none of them is too narrow for."""
    return min(config.max_weight_bits for config in configs)


def side_by_side(
    configs: Mapping[str, CoreConfig],
    liberty: Path | None,
    period: float | None,
    weight_bits: int = 0,
    on_done: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measure configurations in the same way, the first being what others are held against.

    Parameters
    ----------
    configs : mapping
        Name -> configuration.
    liberty : Path, optional
        Standard-cell library; energy is measured where it has power data.
    period : float, optional
        Clock period in ns that timing is to close at; None leaves timing and energy out.
    weight_bits : int
        Bits of the weights whose products are counted; 0: :func:`common_bits`.
    on_done : callable
        Called when a configuration is measured.

    Returns
    -------
    dict
        ``weight_bits``, ``liberty``, ``period_ns``, and ``sides``: of each its ``name``,
        ``design``, ``config``, ``shape``, ``weights``, ``slack_ns``, ``figures``
        (:data:`FIGURES`, None where there is none), ``ratios`` (figure over the first side's) and
        ``errors``: what failed (``area``, ``energy``) and why.

    Raises
    ------
    InputError
        The library cannot be used.
    """
    bits = weight_bits or common_bits(list(configs.values()))
    energetic = period is not None and has_power(liberty)
    sides = []
    for name, config in configs.items():
        sides.append(_side(name, config, bits, liberty, period, energetic))
        on_done()
    for side in sides:
        side["ratios"] = _ratios(side["figures"], sides[0]["figures"])
    library = next((side["library"] for side in sides if side["library"]), None)
    for side in sides:
        del side["library"]
    return {"weight_bits": bits, "liberty": library, "period_ns": period, "sides": sides}


def _side(
    name: str,
    config: CoreConfig,
    bits: int,
    liberty: Path | None,
    period: float | None,
    energetic: bool,
) -> Side:
    measure = "energy" if energetic else "area"
    side = {
        "name": name,
        "design": config.name,
        "config": config.to_dict(),
        "shape": shape(config),
        "weights": weights(config),
    }
    least, most = config.weight_bits_range
    if not least <= bits <= most:
        allowed = f"{least}..{most}" if least < most else f"{most}"
        found: dict[str, Any] = {"error": f"takes weights of {allowed} bits, not of {bits}"}
    else:
        found = _record(config, measure, bits, liberty, period)
    error = found["error"]
    part = "energy" if "core_ge" in found else "area"
    return {
        **side,
        "slack_ns": found.get("slack_ns"),
        "figures": _figures(config, found, period),
        "errors": {part: error.removeprefix("energy: ")} if error else {},
        "library": found.get("liberty"),
    }


def _record(
    config: CoreConfig, measure: str, bits: int, liberty: Path | None, period: float | None
) -> dict[str, Any]:
    try:
        return record(
            Point(config=config, measure=measure, weight_bits=bits, liberty=liberty, period=period)
        )
    except InputError as error:
        return {"error": str(error)}


def _figures(
    config: CoreConfig, found: Mapping[str, Any], period: float | None
) -> dict[str, float | None]:
    figures = dict.fromkeys(FIGURES)
    figures |= {"latency_cycles": config.latency, "full_rate_slices": config.full_rate_slices}
    if "core_ge" not in found:
        return figures
    figures |= {
        "core_gate_equivalents": found["core_ge"],
        "gate_equivalents": found["area_ge"],
        "products_per_cycle": found["ops_per_cycle"],
        "core_ge_per_product": found["ge_per_op"],
        "energy_fj_per_product": found.get("energy_fj_per_op"),
        "core_energy_fj_per_product": found.get("core_fj_per_op"),
    }
    slack = found["slack_ns"]
    if period is not None and slack is not None:
        met = reached(period, slack)
        figures |= {"reached_ns": met, "core_ge_ns_per_product": met * found["ge_per_op"]}
    return figures


def _ratios(
    figures: Mapping[str, float | None], of: Mapping[str, float | None]
) -> dict[str, float | None]:
    return {
        name: value / base if value is not None and (base := of[name]) else None
        for name, value in figures.items()
    }
