"""Text from a byte-level language model: prompt, next byte, and so on."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.lowering.container import Container
from lutcore.compiler.lowering.network import compile_network
from lutcore.compiler.program.sections import kind_of
from lutcore.errors import InputError
from lutcore.gen.run.backends import open_backend
from lutcore.gen.run.network import Executor
from lutcore.hdl.config.core import CoreConfig

#: Tokens of a byte-level model.
VOCABULARY = 256


def load_network(path: Path, config: CoreConfig) -> Container:
    """A compiled network, or a checkpoint that is compiled for ``config``.

    Raises
    ------
    InputError
        It cannot be read or compiled, or its tokens are not bytes.
    """
    if not path.exists():
        raise InputError(f"cannot read {path}: no such file or folder")
    if kind_of(path) is not None:
        container = Container.load(path)
    else:
        container = compile_network(open_checkpoint(path), config)[0]
    graph = container.graph
    shape = graph.values[graph.outputs[0]].shape
    if container.facts["builder"] != "decoder" or shape[-1] != VOCABULARY:
        raise InputError(
            f"{path}: its tokens must be bytes ({VOCABULARY} of them), not {shape[-1]}: "
            "give a byte-level language model, such as examples/kjv-ternary.gguf"
        )
    return container


@contextmanager
def opened(container: Container, on: str) -> Iterator[Executor]:
    """An executor on a backend, which is closed at the end."""
    backend = open_backend(container, on)
    try:
        yield Executor(container, backend)
    finally:
        backend.close()


class Decoder(Protocol):
    """A network that remembers the tokens it has seen,
    :class:`lutcore.gen.run.network.Executor`.
    """

    context: int

    @property
    def length(self) -> int:
        """Tokens seen so far."""
        ...

    def reset(self) -> None:
        """Forget all tokens."""
        ...

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Scores of what follows each token, float32 [T, vocabulary]."""
        ...


class Sampler:
    """Chooses a token by its scores: the best one, or by chance.

    Parameters
    ----------
    temperature : float
        Scores are divided by it before they become probabilities; 0 takes the best, of equal ones
        the first.
    seed : int
        Of the choices; the same seed and scores give the same tokens.

    Raises
    ------
    InputError
        The temperature is negative or no number.
    """

    def __init__(self, temperature: float = 0.0, seed: int = 0):
        if not (np.isfinite(temperature) and temperature >= 0):
            raise InputError(f"the temperature must be 0 or more, not {temperature}")
        self._temperature, self._random = temperature, np.random.default_rng(seed)

    def __call__(self, scores: np.ndarray) -> int:
        """A token, 0 .. vocabulary - 1."""
        if not self._temperature:
            return int(scores.argmax())
        wide = scores.astype(np.float64) / self._temperature
        shares = np.exp(wide - wide.max()).cumsum()
        return int(np.searchsorted(shares, self._random.random() * shares[-1], side="right"))


class Writer:
    """Reads and writes text with a network; what was said so far stays in its memory.

    When the context is full, the network forgets the older half and reads the other half again.
    """

    def __init__(self, network: Decoder, sampler: Sampler):
        self._network, self._sampler = network, sampler
        self._said: list[int] = []
        self._unseen = 0

    def read(self, text: bytes) -> None:
        """Take in text, of any length."""
        self._said.extend(text)
        self._unseen += len(text)

    def write(self, most: int, until: bytes = b"") -> Iterator[int]:
        """At most so many bytes, one by one, up to and with the first one of ``until``.

        Raises
        ------
        InputError
            Nothing was read yet.
        """
        if not self._said:
            raise InputError("a text begins with a prompt of at least one byte")
        for _ in range(most):
            token = self._sampler(self._scores())
            self.read(bytes([token]))
            yield token
            if token in until:
                return

    def _scores(self) -> np.ndarray:
        """Of what follows all that was said."""
        network = self._network
        if network.length + self._unseen > network.context:
            network.reset()
            self._unseen = max(1, network.context // 2)
        self._said = self._said[-network.context :]
        scores = network.decode(np.array(self._said[-self._unseen :]))[-1]
        self._unseen = 0
        return scores


def printable(tokens: Iterator[int]) -> Iterator[str]:
    """Bytes as text of UTF-8, as soon as a character is whole; broken ones become U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        yield decoder.decode(bytes([token]))
    yield decoder.decode(b"", final=True)
