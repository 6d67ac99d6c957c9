"""Ask all judges of tensors that are installed: ``python -m lutcore.gen.judges.tensors``.

Each is code that others wrote: it writes or decodes quantised matrices, and our readers must give
the same values. With ``--store FOLDER``, a small slice of what they say is stored there. The judges
are ``libggml-python``, ``gptqmodel``, ``autoawq``, ``transformers`` and ``compressed-tensors``; the
project never needs them.
"""

import argparse
import contextlib
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lutcore.gen.judges import ggml, producers, quantisers
from lutcore.gen.judges.tensor_cases import TensorCase, beside, save


class Judge(NamedTuple):
    """Who is asked: its packages as they are imported, and its cases, few or all of them."""

    name: str
    packages: tuple[str, ...]
    cases: Callable[[bool], Iterator[TensorCase]]


JUDGES = (
    Judge("ggml", ("libggml",), ggml.judge),
    Judge("gptqmodel, models of GPTQ", ("gptqmodel",), quantisers.gptq_models),
    Judge("gptqmodel, layers of GPTQ", ("gptqmodel",), quantisers.gptq_layers),
    Judge("gptqmodel, models of AWQ", ("gptqmodel",), quantisers.awq_models),
    Judge("autoawq", ("awq", "torch"), producers.autoawq),
    Judge("transformers, BitNet", ("transformers", "torch"), producers.bitnet),
    Judge("transformers, MXFP4", ("transformers", "torch"), producers.mxfp4),
    Judge("compressed-tensors", ("compressed_tensors",), producers.compressed_tensors),
)


def _asked(judge: Judge, small: bool) -> list[TensorCase]:
    """All cases of a judge, without what it prints of itself."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        return list(judge.cases(small))


def _compared(judge: Judge, cases: list[TensorCase]) -> int:
    """Print a judge's line, and one for each tensor that differs; returns how many do."""
    found = [one for case in cases for one in beside(case)]
    read = [one for one in found if one.ours is not None]
    wrong = [one for one in found if not one.right]
    versions = ", ".join(sorted({case.judge for case in cases}))
    largest = max((one.difference for one in read), default=0.0)
    print(
        f"{judge.name} ({versions}): {len(read)} tensors, largest difference {largest:.3g}, "
        f"{len(found) - len(read)} refused, {len(wrong)} differ",
        flush=True,
    )
    for one in wrong:
        print(f"  {one.name}: differs by {one.difference:.3g} of the largest value")
    for case in cases:
        if case.may_refuse and any(one.ours is None for one in beside(case)):
            print(f"  {case.name}: refused ({case.may_refuse})")
    return len(wrong)


def main(arguments: list[str]) -> int:
    """Exit status 1 where our readers differ from a judge."""
    parser = argparse.ArgumentParser(prog="python -m lutcore.gen.judges.tensors")
    parser.add_argument("--store", type=Path, help="write a small slice into this folder")
    store: Path | None = parser.parse_args(arguments).store
    logging.disable(logging.WARNING)
    wrong, kept = 0, []
    for judge in JUDGES:
        missing = [name for name in judge.packages if importlib.util.find_spec(name) is None]
        if missing:
            print(f"{judge.name}: not asked, {', '.join(missing)} is not installed")
            continue
        cases = _asked(judge, small=store is not None)
        wrong += _compared(judge, cases)
        kept += cases
    if store is not None:
        save(store / "tensors.npz", kept)
    print(f"{wrong} tensors differ from their judge")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
