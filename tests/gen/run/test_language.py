"""Text from a language model: what it sees, when it forgets, and how bytes are chosen."""

import numpy as np
import pytest

from lutcore.compiler.importers.ternary_model import ModelShape
from lutcore.errors import InputError
from lutcore.gen.run.backends import BACKENDS
from lutcore.gen.run.language import Sampler, Writer, load_network, opened, printable
from lutcore.verif.samples.networks import ternary_model


class Counting:
    """Says the byte after the last one; keeps what it was given."""

    def __init__(self, context: int):
        self.context, self.length, self.seen = context, 0, []

    def reset(self) -> None:
        self.length, self.seen = 0, []

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        self.length += len(tokens)
        assert 0 < self.length <= self.context
        self.seen += tokens.tolist()
        scores = np.zeros((len(tokens), 256), np.float32)
        scores[np.arange(len(tokens)), (tokens + 1) % 256] = 5
        return scores


def test_every_byte_follows_the_one_before():
    network = Counting(64)
    writer = Writer(network, Sampler())
    writer.read(b"abc")
    assert bytes(writer.write(4)) == b"defg"
    assert bytes(network.seen) == b"abcdef"  # the last byte is read when it is needed
    writer.read(b"0")
    assert bytes(writer.write(2)) == b"12"
    assert bytes(network.seen) == b"abcdefg01"


def test_a_text_longer_than_the_context_goes_on():
    network = Counting(8)
    writer = Writer(network, Sampler())
    writer.read(b"abc")
    assert bytes(writer.write(12)) == b"defghijklmno"
    # Full after eight bytes, it keeps four, and again after the next four.
    assert bytes(network.seen) == b"ijklmn"[-network.length :]
    writer.read(bytes(range(100)))
    assert bytes(writer.write(1)) == bytes([100])
    assert network.seen == [96, 97, 98, 99]


def test_writing_ends_at_a_stop():
    writer = Writer(Counting(64), Sampler())
    writer.read(b"a")
    assert bytes(writer.write(20, until=b"ze")) == b"bcde"
    assert bytes(writer.write(2)) == b"fg"


def test_there_must_be_a_prompt():
    with pytest.raises(InputError, match="a prompt of at least one byte"):
        next(Writer(Counting(8), Sampler()).write(1))


def test_no_temperature_takes_the_first_of_the_best():
    assert Sampler()(np.array([1.0, 3.0, 3.0, -1.0], np.float32)) == 1


def test_chances_are_those_of_the_temperature():
    scores = np.log(np.array([0.6, 0.3, 0.1, 1e-30], np.float32))
    for temperature, shares in ((1.0, [0.6, 0.3, 0.1]), (0.5, [0.7826, 0.1957, 0.0217])):
        sampler = Sampler(temperature, seed=1)
        counts = np.bincount([sampler(scores) for _ in range(4000)], minlength=4) / 4000
        np.testing.assert_allclose(counts, [*shares, 0], atol=0.03)


def test_the_seed_decides():
    scores = np.zeros(256, np.float32)
    first, again, other = (
        [sampler(scores) for _ in range(8)]
        for sampler in (Sampler(1.0, 4), Sampler(1.0, 4), Sampler(1.0, 5))
    )
    assert first == again != other


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_impossible_temperatures_are_refused(temperature):
    with pytest.raises(InputError, match="the temperature must be 0 or more"):
        Sampler(temperature)


def test_characters_appear_when_they_are_whole():
    parts = list(printable(iter("né".encode() + b"\xff" + b"\xe2\x82")))
    assert parts == ["n", "", "é", "�", "", "", "�"]


@pytest.mark.slow
def test_all_backends_write_the_same_text(tmp_path, small_cores):
    shape = ModelShape(layers=1, hidden=256, context=32)
    path = ternary_model(tmp_path, shape).path
    container = load_network(path, small_cores["w4a8"])
    container.save(tmp_path / "compiled")
    container = load_network(tmp_path / "compiled", small_cores["w4a8"])
    texts = {}
    for on in BACKENDS:
        with opened(container, on) as network:
            writer = Writer(network, Sampler(temperature=0.5, seed=3))
            writer.read(b"a")
            texts[on] = list(writer.write(3))
    assert texts["golden"] == texts["isa"] == texts["rtl"]
    assert len(set(texts["golden"])) > 1


def test_models_of_other_tokens_are_refused(tmp_path, small_cores, monkeypatch):
    from lutcore.gen.run import language

    path = ternary_model(tmp_path).path
    monkeypatch.setattr(language, "VOCABULARY", 300)
    with pytest.raises(InputError, match="its tokens must be bytes"):
        load_network(path, small_cores["w4a8"])
    with pytest.raises(InputError, match="cannot read"):
        load_network(tmp_path / "nothing", small_cores["w4a8"])
