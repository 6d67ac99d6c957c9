"""Ask all judges about all networks: ``make judges``. With a folder, store what they say there."""

import logging
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lutcore.gen.judges import hugging_face, llama_cpp
from lutcore.gen.judges.compare import compare
from lutcore.gen.judges.rows import LENGTH, ROWS, VOCABULARY
from lutcore.gen.judges.rows_gguf import ROWS as GGUF_ROWS
from lutcore.gen.judges.stored import Case, of_folder, save
from lutcore.verif.samples.networks_gguf import network, write_gguf
from lutcore.verif.samples.random_tensors import random_tokens

#: Rows of logits that are stored: enough to see each part of a text.
_EVERY = list(range(2, LENGTH, 3))
_Judged = tuple[Case, np.ndarray]


def _seed(name: str) -> int:
    """Of a row, whatever others there are."""
    return zlib.crc32(name.encode()) % 1000


def by_transformers() -> Iterator[_Judged]:
    """All rows of config.json's world."""
    judge = hugging_face.version()
    for row in ROWS:
        seed = _seed(row.name)
        tokens = random_tokens(seed, VOCABULARY, LENGTH)
        with tempfile.TemporaryDirectory() as folder:
            found = hugging_face.judge(row, seed, tokens, Path(folder))
            rows = _EVERY if len(found) == LENGTH else []
            case = Case(
                name=row.name,
                judge=judge,
                seed=seed,
                tokens=tokens.tolist(),
                rows=rows,
                **of_folder(Path(folder)),
            )
        yield case, found[rows] if rows else found


def by_llama_cpp() -> Iterator[_Judged]:
    """All rows of GGUF's world."""
    judge = llama_cpp.version()
    for row in GGUF_ROWS:
        seed = _seed(row.name)
        pairs, shapes = network(row.architecture, **row.options)
        tokens = random_tokens(seed, 64, LENGTH)
        ends = [0, 11, LENGTH - 1]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            write_gguf(path, pairs, shapes, seed)
            if f"{row.architecture}.pooling_type" in pairs or row.architecture == "bert":
                found, ends = llama_cpp.embeddings(path, tokens.tolist()), []
            else:
                whole = pairs.get(f"{row.architecture}.attention.causal") == ["BOOL", False]
                ends = ends[-1:] if whole else ends
                prompts = [tokens[: end + 1].tolist() for end in ends]
                found = llama_cpp.log_probabilities_of(path, prompts, context=row.context)
        yield (
            Case(
                name=row.name,
                judge=judge,
                seed=seed,
                tokens=tokens.tolist(),
                pairs=pairs,
                tensors=shapes,
                rows=ends,
            ),
            found - found.mean(axis=1, keepdims=True) if ends else found,
        )


def main(arguments: list[str]) -> int:
    """Exit status 1 where we differ from a judge."""
    logging.disable(logging.WARNING)
    wrong = 0
    for stem, judged in (("hugging_face", by_transformers()), ("llama_cpp", by_llama_cpp())):
        cases = []
        for case, wanted in judged:
            cases.append((case, wanted))
            with tempfile.TemporaryDirectory() as folder:
                verdict = compare(case, wanted, Path(folder))
            wrong += not verdict.right
            floats = "" if verdict.floats is None else f"{verdict.floats:9.2e} in floats, "
            said = f"{floats}{verdict.rounded:9.2e} in 8 bits"
            print(f"{case.name:56} {said}{'' if verdict.right else '  <-- differs'}", flush=True)
        if arguments:
            save(Path(arguments[0]) / stem, cases)
    print(f"{wrong} networks differ from their judge")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
