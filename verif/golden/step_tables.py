"""Tables of steps for external precompute: what a producer of tables sends, from the definition."""

from itertools import product

import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden import formats as ref
from lutcore.verif.golden.blocks import align, rounded, table_shift
from lutcore.verif.golden.floats import entry_sum


def patterns(config: CoreConfig) -> np.ndarray:
    """Factors of the activations in each stored entry, int64 [entries, k]."""
    k = config.k
    if config.weight_coding == "ternary":
        digits = {sum(d * 3**t for t, d in enumerate(p)): p for p in product((-1, 0, 1), repeat=k)}
        return np.array([digits[x] for x in range(1, config.entries + 1)])
    first = 0 if config.table_form == "symmetric" else 1
    bits = np.arange(first, first + config.entries)[:, None] >> np.arange(k) & 1
    return 2 * bits - 1 if config.table_form == "symmetric" else bits


def run_tables(config: CoreConfig, activations: np.ndarray) -> tuple[np.ndarray, ...]:
    """Tables of one run.

    Parameters
    ----------
    activations : [M, K of the run], K a multiple of ``config.depth``

    Returns
    -------
    tables : int64 [M, tables of the run, entries]
    exponents, invalid : int64 [M]
    """
    factors = patterns(config)
    m = len(activations)
    if config.exact_floats:
        bits = ref.convert(
            activations.view(ref.bits_type(config.float_format)),
            config.float_format,
            config.table_format,
        )
        grouped = bits.reshape(m, -1, 1, config.k)
        shape = (*grouped.shape[:2], len(factors), config.k)
        wide = np.broadcast_to(grouped, shape), np.broadcast_to(factors, shape)
        tables = entry_sum(*wide, config.table_format).astype(np.int64)
        return tables, np.zeros(m, np.int64), np.zeros(m, np.int64)
    exponents, invalid = np.zeros(m, np.int64), None
    if config.aligned:
        values, exponents, invalid = align(activations, config)
    else:
        values = activations.astype(np.int64)
    tables = np.einsum("mjk,ek->mje", values.reshape(m, -1, config.k), factors)
    if config.table == "int8":
        shifts = table_shift(values, config.k)
        tables, exponents = rounded(tables, shifts), exponents + shifts
    flags = np.zeros(m, np.int64) if invalid is None else invalid.astype(np.int64)
    return tables, exponents, flags
