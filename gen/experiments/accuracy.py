"""How accurate each mode is: ``python -m lutcore.gen.experiments.accuracy`` prints the table of the
manual.

Error is the RMS of the difference from the float64 product of the same activations (rounded to
their format) and the same quantised weights, over the RMS of that product.
"""

import argparse
from pathlib import Path

import numpy as np

from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.files import example, fill_table
from lutcore.gen.run.tile import as_format, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FLOATS
from lutcore.verif.golden.outputs import error_bound, outputs

#: Modes of a row of the table: heading, changes of the configuration.
MODES: dict[str, dict] = {
    "aligned, 12 bits": {"align_bits": 12},
    "aligned, 14 bits": {"align_bits": 14},
    "aligned, 16 bits": {"align_bits": 16},
    "aligned, INT8 tables": {"table": "int8"},
    "exact": {"float_mode": "exact", "zero_points": "external"},
}
INTEGER_MODES: dict[str, dict] = {"exact": {}, "INT8 tables": {"table": "int8"}}


def relative_error(config: CoreConfig, activations: np.ndarray, tensor: QuantTensor) -> float:
    """RMS error over RMS result; raises if the documented bound is exceeded anywhere."""
    exact = activations.astype(np.float64) @ tensor.dequantise().T
    error = outputs(config, activations, tensor) - exact
    if not config.exact_floats:
        slack = 1e-9 * np.abs(exact).max()  # float64 sums of the comparison itself
        if (np.abs(error) > error_bound(config, activations, tensor) + slack).any():
            raise AssertionError(f"{config.activation}: the documented error bound is exceeded")
    return float(np.sqrt((error**2).mean() / (exact**2).mean()))


def _row(activation: str, mode: str, changes: dict, problems: list) -> str:
    base = CoreConfig(activation="int8", group_size=32, max_weight_bits=8, zero_points="column")
    config = base.replace(activation=activation, **changes)
    cells = []
    for activations, tensor in problems:
        values = as_format(activations, config) if config.is_float else activations
        cells.append(f"{relative_error(config, values, tensor):.2e}")
    return f"| {activation} | {mode} | {' | '.join(cells)} |\n"


def accuracy_table() -> str:
    """Markdown table: formats and modes by random and real activations."""
    rng = np.random.default_rng(0)
    archive = np.load(example("minilm-activations.npz"))
    checkpoint = GgufFile(example("minilm.gguf"))
    names = ("blk.0.attn_k.weight", "blk.0.ffn_down.weight")
    real = [(name, checkpoint.tensor(name)) for name in names]
    weights = random_tensor((64, 128), 2, 32, rng)
    drawn = rng.standard_t(3, (64, 128))
    text = (
        "| activations | mode | random, W2, K = 128 | "
        + " | ".join(f"`{name}` ({tensor.kind})" for name, tensor in real)
        + " |\n|---|---|---|---|---|\n"
    )
    integers = np.clip(np.rint(drawn / np.abs(drawn).max() * 127), -127, 127).astype(np.int64)
    problems = [(integers, weights), *((archive[name], tensor) for name, tensor in real)]
    for mode, changes in INTEGER_MODES.items():
        text += _row("int8", mode, changes, problems)
    for activation in FLOATS:
        problems = [(drawn, weights)]
        problems += [(archive[f"{name}/float"], tensor) for name, tensor in real]
        for mode, changes in MODES.items():
            text += _row(activation, mode, changes, problems)
    return text


def main() -> None:
    """Print the table, or write it into a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path, nargs="?", help="document with the markers")
    path = parser.parse_args().document
    table = accuracy_table()
    if path is None:
        print(table, end="")
    else:
        path.write_text(fill_table(path.read_text("utf-8"), "accuracy", table), "utf-8")


if __name__ == "__main__":
    main()
