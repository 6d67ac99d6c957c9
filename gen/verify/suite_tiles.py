"""Tests, golden models and constraints of a user's own for tiles."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lutcore.errors import InputError
from lutcore.gen.verify import text
from lutcore.gen.verify.suite import TOLERANCE
from lutcore.gen.verify.suite_file import Function, Suite
from lutcore.gen.verify.tile_cases import TileCase
from lutcore.gen.verify.tile_source import AnyCase, PlannedTiles
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden.expect import RunResults, run_spans
from lutcore.verif.golden.outputs import run_products
from lutcore.verif.sim.job import Stalls, TileJob, tile_job
from lutcore.verif.sim.layout import Layout


@dataclass(frozen=True)
class OwnTile:
    """A job that a test laid out itself, or a part of it.

    Attributes
    ----------
    test, seed : str, int
        What made it.
    rows, columns, k : tuple of int
        First and end of the rows, columns and part of K that are played; empty: all.
    steady, undisturbed : int
        1: without its stalls; without its resets.
    """

    test: str = ""
    seed: int = 0
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    k: tuple[int, ...] = ()
    steady: int = 0
    undisturbed: int = 0
    whole: TileJob | None = field(default=None, compare=False, repr=False)

    @property
    def _whole(self) -> TileJob:
        assert self.whole is not None
        return self.whole

    def _span(self, name: str) -> tuple[int, int]:
        layout = self._whole.layout
        n, k = layout.tensor.shape
        most = {"rows": layout.rows, "columns": n, "k": k}[name]
        first, end = getattr(self, name) or (0, most)
        if not 0 <= first < end <= most:
            raise InputError(
                f"no case: {name} of {self.test} are 0 to {most}, not {first} to {end}"
            )
        return first, end

    def job(self, config: CoreConfig) -> TileJob:
        """What the bench plays.

        Raises
        ------
        InputError
            It has no such part.
        """
        whole, layout = self._whole, self._whole.layout
        if self == OwnTile(self.test, self.seed):
            return whole
        (top, bottom), (left, right) = self._span("rows"), self._span("columns")
        first, end = self._span("k")
        tensor, size = layout.tensor.rows(slice(left, right)), layout.tensor.group_size
        if first % size:
            raise InputError(f"no case: k of {self.test} begins with a scale group of {size}")
        groups = slice(first // size, -(-end // size))
        tensor = replace(
            tensor,
            codes=tensor.codes[:, first:end],
            scales=tensor.scales[:, groups],
            zero_points=tensor.zero_points[:, groups],
            minimums=None,
        )
        return tile_job(
            config,
            layout.activations[top:bottom, first:end],
            tensor,
            order=layout.order,
            stalls=Stalls() if self.steady else whole.stalls,
            seed=whole.seed,
            resets=() if self.undisturbed else whole.resets,
        )

    def to_text(self) -> str:
        """One line without blanks."""
        return text.to_text(self)

    def smaller(self, least_bits: int = 1) -> Iterator["OwnTile"]:
        """Halves of its rows, columns and K, then a little less of them; without disturbances."""
        for name, unit in (
            ("rows", 1),
            ("columns", 1),
            ("k", self._whole.layout.tensor.group_size),
        ):
            first, end = self._span(name)
            middle = (first + end) // 2
            later = -(-middle // unit) * unit
            for span in ((first, middle), (later, end), (first, end - 1), (first + unit, end)):
                if first <= span[0] < span[1] <= end and span != (first, end):
                    yield replace(self, **{name: span})
        if not self.undisturbed and self._whole.resets:
            yield replace(self, undisturbed=1)
        if not self.steady and any(vars(self._whole.stalls).values()):
            yield replace(self, steady=1)

    def length(self, config: CoreConfig) -> int:
        """Slices of the whole, times its attempts."""
        return self._whole.slices * (1 + len(self._whole.resets))


def values(
    config: CoreConfig, layout: Layout, fields: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """``sum A (q - z)`` of each run by the fields of result beats, float64 [M, N, runs].

    NaN where a run is invalid; None where beats are missing.
    """
    if (
        len(fields.get("last", ()))
        != layout.m_tiles * len(layout.tiles) * layout.config.drain_beats
    ):
        return None
    found: RunResults = layout.collect(dict(fields))
    found_values = np.zeros(found.dots.shape)
    for run, (products, _) in enumerate(run_products(config, found, layout.packed)):
        unit = np.ldexp(0.5, found.exponents[:, run] - config.scale_offset)
        unit = np.where(found.invalid[:, run], np.nan, unit)
        with np.errstate(invalid="ignore"):
            found_values[..., run] = products * unit[:, None]
    return found_values


def _magnitudes(layout: Layout, spans: list[tuple[int, int]]) -> np.ndarray:
    """``sum |A (q - z)|`` of each run, float64 [M, N, runs]."""
    tensor = layout.tensor
    zero_points = np.repeat(tensor.zero_points, tensor.group_size, axis=1)[:, : tensor.shape[1]]
    factors = np.abs(tensor.codes.astype(np.float64) - zero_points)
    with np.errstate(invalid="ignore"):
        rows = np.abs(layout.activations[: layout.rows].astype(np.float64))
        parts = [rows[:, start:stop] @ factors[:, start:stop].T for start, stop in spans]
    return np.stack(parts, axis=-1)


class SuiteTiles(PlannedTiles):
    """The tests of the plan and of a suite, under its constraints, held against its models too.

    Raises
    ------
    InputError
        A golden model takes other arguments.
    """

    def __init__(self, suite: Suite):
        self._suite = suite
        self.judges = bool(suite.goldens)
        for model in suite.goldens.values():
            suite.check_arguments(model, ("config", "activations", "weights", "spans"))

    def tests(self, config: CoreConfig) -> list[str]:
        """The plan's, then the suite's."""
        return [*super().tests(config), *self._suite.tests]

    def draw(self, config: CoreConfig, test: str, seed: int) -> AnyCase:
        """The case of a test and a seed, as constraints want it."""
        return self._suite.draw(config, test, seed, super().draw, self._own, TileCase)

    def _own(self, test: Function, config: CoreConfig, seed: int) -> AnyCase:
        made = self._suite.call(test, config, seed)
        if isinstance(made, TileCase):
            return made
        if not isinstance(made, TileJob):
            kind = type(made).__name__
            raise self._suite.wrong(test, f"it must return a TileJob or a TileCase, not {kind}")
        if made.layout.config != config:
            raise self._suite.wrong(test, "its job is laid out for another configuration")
        return OwnTile(test.__name__, seed, whole=made)

    def read(self, config: CoreConfig, words: str) -> AnyCase:
        """Inverse of ``to_text``; a job that a test laid out itself is made by it again."""
        if not words.startswith("test="):
            return super().read(config, words)
        part = text.from_text(OwnTile, words)
        whole = self._own(self._suite.test(part.test), config, part.seed)
        if not isinstance(whole, OwnTile):
            raise InputError(f"no case: {part.test} lays out no job itself any more")
        return replace(part, whole=whole.whole)

    def job(self, config: CoreConfig, case: AnyCase) -> TileJob:
        """What the bench plays; what a suite made impossible is said in its name."""
        try:
            return case.job(config)
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            path = self._suite.file.path
            raise InputError(f"{path}: case {case.to_text()} cannot be made: {error}") from error

    def allows(self, config: CoreConfig, case: AnyCase) -> bool:
        """Whether constraints hold of a smaller case."""
        return not isinstance(case, TileCase) or self._suite.allows(config, case)

    def problem(
        self, config: CoreConfig, job: TileJob, sent: Mapping[str, np.ndarray] | None = None
    ) -> str:
        """Where a golden model of the suite and ours disagree, and what the tile says there."""
        models = self._suite.goldens.values()
        return next(filter(None, (self._dispute(m, config, job, sent) for m in models)), "")

    def _dispute(
        self,
        model: Function,
        config: CoreConfig,
        job: TileJob,
        sent: Mapping[str, np.ndarray] | None,
    ) -> str:
        layout, suite = job.layout, self._suite
        spans = run_spans(layout.packed)
        activations = layout.activations[: layout.rows].copy()
        ours = values(config, layout, job.expected)
        assert ours is not None
        theirs = np.asarray(suite.call(model, config, activations, layout.tensor, spans))
        if theirs.shape != ours.shape or theirs.dtype.kind not in "iuf":
            found = f"{theirs.dtype} {list(theirs.shape)}"
            raise suite.wrong(model, f"it must return numbers {list(ours.shape)}, not {found}")
        theirs = theirs.astype(np.float64)
        with np.errstate(invalid="ignore"):
            far = np.abs(theirs - ours)
            bound = getattr(model, TOLERANCE) * _magnitudes(layout, spans)
            wrong = ~((theirs == ours) | (far <= bound)) & ~np.isnan(theirs)
        wrong &= ~(np.isnan(ours) & bool(config.aligned))  # of an invalid run the tile only says so
        if not wrong.any():
            return ""
        m, n, run = (int(place) for place in np.argwhere(wrong)[0])
        by_tile = values(config, layout, sent) if sent is not None else None
        tile = "" if by_tile is None else f", the tile {by_tile[m, n, run]:g}"
        start, stop = spans[run]
        return (
            f"{suite.place(model)}: {model.__name__} gives {theirs[m, n, run]:g} for row {m}, "
            f"column {n}, k from {start} to {stop}; lutcore's model {ours[m, n, run]:g}{tile}"
        )
