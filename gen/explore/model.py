"""An analytical model of area: what a configuration is built of, at a price fitted to synthesis.

Cycles need no fit: :func:`lutcore.gen.experiments.point.ops_per_cycle` follows from the datapath,
and a test holds it against simulated RTL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lutcore.hdl.config.core import CoreConfig

#: Part of a tile -> gate equivalents that one bit of it costs before anything is fitted: 6 for a
#: flip-flop, 5 for a full adder, 1.2 for an AND-OR input, more where wiring and muxes come along.
PRIOR: dict[str, float] = {
    "accumulators": 6.0,
    "adders of accumulators": 8.0,
    "adders of a unit": 5.0,
    "float adders": 65.0,
    "multipliers": 8.0,
    "float multipliers": 9.0,
    "selects": 1.2,
    "negations": 2.0,
    "decoded indices": 8.0,
    "plane shifts": 2.0,
    "pipeline registers": 6.0,
    "held operands": 6.0,
    "table builder": 6.0,
    "float table builder": 65.0,
    "aligners": 8.0,
    "table rounding": 8.0,
    "buffers": 11.0,
    "rows": 60.0,
    "tile": 300.0,
}

#: How strongly prices stick to the prior, of which cross-validation chooses.
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)


def features(config: CoreConfig) -> np.ndarray:
    """Bits of each part of :data:`PRIOR` in its order: what the datapath holds, adds, selects."""
    c, m, n, tables = config, config.m, config.columns, config.tables
    units, floats, mac = m * n, config.exact_floats, config.engine == "mac"
    has_tables = c.engine in ("lut", "conventional-lut")
    arrives = c.precompute == "external"
    entries = m * tables * c.entries
    built = m * tables * _sums(c) * c.entry_bits if has_tables and not arrives else 0
    kept = 0  # bits of a run that wait, for its exponent or for the planes that follow
    if c.aligned and not arrives:
        kept += m * c.run_length * c.activation_bits
    if c.table == "int8" and not arrives:
        kept += m * c.run_length * c.value_bits
    if c.precompute == "buffered":
        kept += c.run_steps * entries * c.stored_bits
    bits = {
        "accumulators": units * c.accumulator_bits,
        "adders of accumulators": 0 if floats else units * c.accumulator_bits,
        "adders of a unit": 0 if floats or mac else units * (tables - 1) * c.unit_bits,
        "float adders": units * tables * c.accumulator_bits if floats else 0,
        "multipliers": units * tables * c.value_bits * c.index_bits if mac and not floats else 0,
        "float multipliers": units * tables * c.float_format.precision**2 if mac and floats else 0,
        "selects": 0 if mac else units * tables * c.entries * c.operand_bits,
        "negations": units * tables * c.operand_bits if c.form.signed_entries else 0,
        "decoded indices": n * tables * (c.entries if has_tables else c.index_bits),
        "plane shifts": units * c.unit_bits * (c.max_weight_bits - 1) if c.shifts_in_unit else 0,
        "pipeline registers": units * c.unit_bits * c.pipeline,
        "held operands": entries * c.operand_bits,
        "table builder": 0 if floats else built,
        "float table builder": built if floats else 0,
        "aligners": m * c.depth * 4 * c.align_bits if c.aligned and not arrives else 0,
        "table rounding": built if c.table == "int8" else 0,
        "buffers": 2 * kept,  # one is filled while the other is read
        "rows": m,
        "tile": 1,
    }
    return np.array([bits[name] for name in PRIOR], float)


def _sums(config: CoreConfig) -> int:
    """Adders that build one table, sums of pairs shared."""
    entries, k = config.entries, config.table_k
    if config.form.signed_entries:
        return entries + 2 * (k - 2) if k > 1 else 0
    return entries - k  # k entries are activations as they are


def estimate(config: CoreConfig) -> float:
    """Gate equivalents of a tile at the prior's prices: a guess for choosing what to try first."""
    return float(features(config) @ np.array(list(PRIOR.values())))


@dataclass(frozen=True)
class AreaModel:
    """Prices of the parts, fitted.

    Attributes
    ----------
    prices : [parts] floats
        Cost of a bit of each part, none negative.
    errors : [samples] floats
        Relative errors of samples that were predicted from the others, signed.
    """

    prices: np.ndarray
    errors: np.ndarray

    @property
    def rms_error(self) -> float:
        """RMS of the cross-validated relative errors."""
        return float(np.sqrt(np.mean(self.errors**2)))

    @property
    def margin(self) -> float:
        """The largest cross-validated relative error: what a prediction may be wrong by."""
        return float(np.abs(self.errors).max())

    def predict(self, config: CoreConfig) -> float:
        """Predicted cost."""
        return float(features(config) @ self.prices)

    def to_dict(self) -> dict[str, Any]:
        """Prices by part and errors as plain values."""
        return {
            "prices": dict(zip(PRIOR, map(float, self.prices), strict=True)),
            "rms_error": self.rms_error,
            "largest_error": self.margin,
            "samples": len(self.errors),
        }


def fit(configs: Sequence[CoreConfig], costs: Sequence[float]) -> AreaModel | None:
    """Fit prices to measured costs; None with fewer than six, which tell too little.

    Least squares of relative errors, with prices drawn to the prior's (scaled as a whole to the
    unit of ``costs``) as strongly as predicts best; parts whose price would be negative cost
    nothing.
    """
    if len(configs) < 6:
        return None
    x = np.array([features(config) for config in configs])
    y = np.array(costs, float)
    trials = [(_cross_validated(x, y, strength), strength) for strength in _STRENGTHS]
    errors, strength = min(trials, key=lambda trial: float(np.mean(trial[0] ** 2)))
    return AreaModel(_prices(x, y, strength), errors)


def _prices(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    prior = np.array(list(PRIOR.values()))
    prior = prior * np.median(y / (x @ prior))
    scaled = x * prior / y[:, None]  # prices relative to the prior, errors relative to the cost
    kept = np.ones(len(prior), bool)
    while True:
        count = int(kept.sum())
        rows = np.vstack([scaled[:, kept], strength * np.eye(count)])
        wanted = np.concatenate([np.ones(len(y)), np.full(count, strength)])
        found = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        if (found >= 0).all():
            prices = np.zeros(len(prior))
            prices[kept] = found * prior[kept]
            return prices
        kept[np.flatnonzero(kept)[found < 0]] = False


def _cross_validated(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """Relative error of each sample, predicted from those of other folds."""
    folds = np.arange(len(y)) % min(len(y), 20)
    errors = np.empty(len(y))
    for fold in range(folds.max() + 1):
        out = folds == fold
        prices = _prices(x[~out], y[~out], strength)
        errors[out] = x[out] @ prices / y[out] - 1
    return errors
