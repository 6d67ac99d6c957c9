"""llama.cpp as a judge of small networks in GGUF, by the wheel ``xllamacpp``.

It computes in float32 on the CPU, keys and values too, without flash attention and without a
network. Decoders whose weights are F32 come out within 3e-6 of exact arithmetic; bert within 1e-3,
for its GELU, the tanh form, is a table from half precision to half precision. It runs in a process
of its own, because it aborts where a file surprises it. ``LUTCORE_JUDGES_PYTHON`` names another
Python that has the wheel.
"""

import importlib.metadata
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from lutcore import tools
from lutcore.errors import InputError, ToolError
from lutcore.gen.judges import llama_cpp_process
from lutcore.verif.samples.networks_gguf import POOLING, network, write_gguf

_LIMIT = 120
_PYTHON = "LUTCORE_JUDGES_PYTHON"


def version() -> str:
    """The judge's name and the wheel's version."""
    return f"llama.cpp of xllamacpp {importlib.metadata.version('xllamacpp')}"


def write_network(path: str | Path, architecture: str, *, seed: int = 0, **options: Any) -> None:
    """Write a tiny random network; options are those of ``networks_gguf.Options``."""
    write_gguf(path, *network(architecture, **options), seed)


def log_probabilities(
    path: str | Path, tokens: Sequence[int], *, context: int = 0, threads: int = 1
) -> np.ndarray:
    """Natural logarithms of the next token's probabilities, float32 [vocabulary].

    Parameters
    ----------
    path : str or Path
        A decoder in GGUF.
    tokens : sequence of int
        The prompt, to which nothing is added; shorter than the file's context.
    context, threads : int
        As in :func:`log_probabilities_of`.

    Raises
    ------
    InputError, ToolError
        As :func:`log_probabilities_of`.
    """
    return log_probabilities_of(path, [tokens], context=context, threads=threads)[0]


def log_probabilities_of(
    path: str | Path, prompts: Sequence[Sequence[int]], *, context: int = 0, threads: int = 1
) -> np.ndarray:
    """As :func:`log_probabilities`, of several prompts, each alone: float32 [prompts, vocabulary].

    Parameters
    ----------
    context : int
        Positions that llama.cpp makes room for, which it rounds up to a multiple of 256; longrope
        takes its long factors where that exceeds the original context. 0: the file's.
    threads : int

    Raises
    ------
    InputError
        The wheel is missing, or a prompt is empty or has a token that the vocabulary has not.
    ToolError
        llama.cpp does not load the file, aborts, or answers with an error.
    """
    size = _vocabulary(path)
    answers = _asked(path, prompts, size, context=context, threads=threads)
    return np.stack([_by_token(answer, size) for answer in answers])


def embeddings(
    path: str | Path, tokens: Sequence[int], *, pooling: str | None = None, threads: int = 1
) -> np.ndarray:
    """What an encoder makes of tokens, not normalised.

    Parameters
    ----------
    path : str or Path
        An encoder in GGUF, e.g. a bert.
    tokens : sequence of int
        All tokens: nothing is added at either end.
    pooling : {"none", "mean", "cls", "last"}, optional
        Instead of the file's.
    threads : int

    Returns
    -------
    ndarray
        float32 [rows, width]: one row, or one for each token where there is no pooling.

    Raises
    ------
    InputError, ToolError
        As :func:`log_probabilities_of`.
    """
    if pooling is not None and pooling not in POOLING:
        raise InputError(f"pooling must be of {list(POOLING)}, not {pooling!r}")
    number = None if pooling is None else POOLING[pooling]
    size = _vocabulary(path)
    answers = _asked(path, [tokens], size, threads=threads, pooling=number, embedding=True)
    return np.array(answers[0][0]["embedding"], np.float32)


def _vocabulary(path: str | Path) -> int:
    return len(gguf.GGUFReader(path).fields["tokenizer.ggml.tokens"].data)


def _asked(
    path: str | Path,
    prompts: Sequence[Sequence[int]],
    vocabulary: int,
    *,
    context: int = 0,
    threads: int = 1,
    pooling: int | None = None,
    embedding: bool = False,
) -> list[Any]:
    for tokens in prompts:  # llama.cpp waits for ever for an answer to nothing
        if not len(tokens) or not all(0 <= token < vocabulary for token in tokens):
            raise InputError(f"{path}: a prompt must be of tokens 0..{vocabulary - 1}: {tokens!r}")
    request = {
        "path": str(Path(path).absolute()),
        "prompts": [[int(token) for token in tokens] for tokens in prompts],
        "context": context,
        "threads": threads,
        "vocabulary": vocabulary,
        "pooling": pooling,
        "embedding": embedding,
    }
    command = [os.environ.get(_PYTHON) or sys.executable, "-I", llama_cpp_process.__file__]
    quiet = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    text = json.dumps(request)
    said = tools.run("llama.cpp", command, text=text, environment=quiet, limit=_LIMIT, check=False)
    if said.status == llama_cpp_process.MISSING:
        raise InputError("xllamacpp is missing: pip install 'lut-tensor-core[judges]'")
    if said.status:
        raise tools.failure("llama.cpp", said)
    answers = json.loads(said.out)
    for answer in answers:
        if isinstance(answer, dict) and "error" in answer:
            raise ToolError(f"{path}: llama.cpp answers {answer['error']}")
    return answers


def _by_token(answer: dict[str, Any], size: int) -> np.ndarray:
    found = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    values = np.full(size, np.nan, np.float32)
    for entry in found:
        values[entry["id"]] = entry["logprob"]
    if len(found) != size or np.isnan(values).any():
        raise ToolError(f"llama.cpp told {len(found)} of {size} probabilities")
    return values
