"""What a study is made of: settings, entries, rows, findings, plots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lutcore.gen.experiments.point import Point
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FLOATS

Row = dict[str, Any]

#: Products a cycle at which tiles are compared, as in the paper.
PRODUCTS = 512

#: A netlist that is late by more than this part of the period was never sized for it.
_NEAR = 0.3

#: Common to all tiles of the studies: accumulators hold a scale group, results leave as summed.
BASE: dict[str, Any] = {"group_size": 32, "zero_points": "external"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a study is run with.

    Parameters
    ----------
    liberty : Path, optional
        Standard-cell library; default the neutral one.
    period : float, optional
        Clock period in ns; None: timing is not analysed.
    reduced : bool
        A few points of each kind in place of all, and no energy.
    most : int
        At most so many shapes of each engine and pair of formats, the most promising first;
        0: all, or what the reduced set holds.
    """

    liberty: Path | None = None
    period: float | None = None
    reduced: bool = False
    most: int = 0

    def point(self, config: CoreConfig, measure: str = "area", **fields: Any) -> Point:
        """A point of this library and period; ``energy`` is area in a reduced set or untimed."""
        if measure == "energy" and (self.reduced or self.period is None):
            measure = "area"
        return Point(
            config=config, measure=measure, liberty=self.liberty, period=self.period, **fields
        )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A point and its place in a study.

    Parameters
    ----------
    series : str
        The line, colour or bar that it belongs to.
    point : Point
    labels : dict
        Further columns of its row: coordinates, what was varied.
    counted : {"core", "unit", "columns"}
        Which area is compared: see :func:`lutcore.gen.tools.hierarchy.core`,
        :data:`lutcore.gen.experiments.measure.UNIT`; ``columns`` leaves the held tables out, which
        all columns share.
    """

    series: str
    point: Point
    labels: dict[str, Any] = field(default_factory=dict)
    counted: Literal["core", "unit", "columns"] = "core"

    def row(self, record: dict[str, Any]) -> Row:
        """The record with series, labels and what is compared.

        ``counted_ge`` is the area that counts, ``ge_per_op`` that over ``rate``, the operations a
        cycle where scale groups are long enough that no engine waits for its drain. Where
        timing closed, ``reached_ns`` is the period that was asked for; where a sized netlist came
        near it, the longer one that OpenSTA finds met. Only then there are ``ge_ns_per_op``, area
        times that period, and ``density``, operations per ns and kGE: nothing else is compared.
        """
        row: Row = {"series": self.series, **self.labels, **record, "counted": self.counted}
        if "area_ge" in record and record["area_ge"] is not None:
            row["counted_ge"] = record[f"{self.counted}_ge"]
            row["rate"] = _rate(record)
            row["ge_per_op"] = row["counted_ge"] / row["rate"]
            row["unit_ge_per_op"] = record["unit_ge"] / row["rate"]
            if reached := _reached(record):
                row["reached_ns"] = reached
                row["ge_ns_per_op"] = row["ge_per_op"] * reached
                row["unit_ge_ns_per_op"] = row["unit_ge_per_op"] * reached
                row["density"] = 1000 / row["ge_ns_per_op"]
        return row


def _rate(record: dict[str, Any]) -> float:
    """Products of full-width weights a cycle, padding of groups included, waits not."""
    if record["measure"] == "dp4":
        return record["ops_per_cycle"]
    config = CoreConfig.from_dict(record["config"])
    padded = -(-config.run_length // config.depth) * config.depth
    slices = config.planes(record["weight_bits"]) * padded / config.run_length
    return config.products_per_cycle / slices


def _reached(record: dict[str, Any]) -> float | None:
    """Clock period in ns that a netlist meets; None if unknown, or too far from what was asked."""
    if record["closed"] is None:
        return None
    period, slack = record["period_ns"], min(record["slack_ns"], 0.0)
    return period - slack if slack >= -_NEAR * period else None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One comparison.

    Attributes
    ----------
    what : str
    ours : float or None
        None where no point qualifies: ``note`` says why.
    paper, source
        The published number and where it stands, if there is one.
    better : {"higher", "lower", ""}
        Which way is better than the paper's.
    rows : list of str
        Keys of the points that made it.
    note : str
    """

    what: str
    ours: float | None
    paper: float | None = None
    source: str = ""
    better: Literal["higher", "lower", ""] = "higher"
    rows: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A chart of rows: ``y`` over ``x`` by series; ``panel`` names the column that splits it."""

    name: str
    kind: Literal["lines", "scatter", "bars"]
    x: str
    y: str
    x_label: str
    y_label: str
    log: bool = False
    panel: str = ""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One figure or table of the paper.

    Parameters
    ----------
    name, title, figure : str
        Its name on the command line, heading, and what of the paper it reproduces.
    method : str
        How the numbers come about, in a few sentences.
    entries : callable
        Settings -> entries.
    findings : callable
        Rows -> findings.
    plots : sequence of Plot
    columns : sequence of str
        Columns of its table after the series.
    """

    name: str
    title: str
    figure: str
    method: str
    entries: Callable[[Settings], list[Entry]]
    findings: Callable[[Sequence[Row]], list[Finding]]
    plots: Sequence[Plot]
    columns: Sequence[str]


def tile(*, activation: str = "int8", bits: int = 1, **fields: Any) -> CoreConfig:
    """A tile of the studies, built for weights of so many bits: :data:`BASE` and ``fields``.

    Bit planes come highest first, which makes accumulators smaller.

    Raises
    ------
    InputError
        The fields make no sense together.
    """
    values = BASE | {"activation": activation, "max_weight_bits": bits} | fields
    exact = activation in FLOATS and values.get("float_mode") == "exact"
    if bits > 1 and values.get("engine") != "mac" and not exact:
        values.setdefault("plane_order", "descending")
    return CoreConfig(**values)


def shape_label(config: CoreConfig) -> str:
    """Shape in a few signs, for example ``M2 N64 K4x1 symmetric``."""
    tables = f"{config.tables}xK{config.table_k}"
    return f"M{config.m} N{config.n} {tables} {config.form.name}"
