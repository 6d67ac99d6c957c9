"""The bench itself: a scoreboard or a monitor that cannot fail would be worthless."""

import re

import numpy as np
import pytest
from cocotb.types import LogicArray
from hypothesis import given
from hypothesis import strategies as st

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.bench.scoreboard import judge
from lutcore.verif.bench.streams import ProtocolError, StreamMonitor
from lutcore.verif.sim.fields import from_words, pack_fields, to_words, unpack_fields
from lutcore.verif.sim.job import tile_job

CONFIG = CoreConfig(m=1, n=2, k=4, max_k=64, result_columns=1, zero_points="column")


@given(st.lists(st.integers(-16, 15), min_size=1, max_size=9))
def test_fields_survive_packing(values):
    flat = pack_fields(np.array([values]), 5)
    assert unpack_fields(from_words(to_words(flat), flat.shape[1]), 5, True).tolist() == [values]


@pytest.fixture
def expected():
    return {
        "dot": np.array([[[5]], [[-7]]]),
        "row_sum": np.array([[3], [3]]),
        "last": np.array([0, 1]),
    }


def verdict_on(received, expected, unchecked=()):
    counts = {name: np.full(v.shape, name not in unchecked) for name, v in expected.items()}
    return judge(CONFIG, received, expected, counts)


def words(dots, sums, lasts):
    flat = np.concatenate(
        [
            pack_fields(np.array(dots)[:, None], CONFIG.dot_bits),
            pack_fields(np.array(sums)[:, None], CONFIG.row_sum_bits),
            np.array(lasts, np.uint8)[:, None],
        ],
        axis=1,
    )
    return to_words(flat)


def test_scoreboard_accepts_what_is_right(expected):
    verdict = verdict_on(words([5, -7], [3, 3], [0, 1]), expected)
    assert (verdict.mismatches, verdict.checked) == (0, 6)


def test_scoreboard_skips_only_what_does_not_count(expected):
    received = words([6, -7], [3, 3], [0, 1])
    assert verdict_on(received, expected).mismatches == 1
    verdict = verdict_on(received, expected, unchecked=("dot",))
    assert (verdict.mismatches, verdict.checked) == (0, 4)


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        (words([5, -6], [3, 3], [0, 1]), r"beat 1: dot\[0, 0\] is -6, expected -7"),
        (words([5, -7], [3, 2], [0, 1]), r"beat 1: row_sum\[0\] is 2, expected 3"),
        (words([5, -7], [3, 3], [1, 1]), r"beat 0: last\[\] is 1, expected 0"),
        (words([5], [3], [0]), "received 1 result beats, expected 2"),
        (words([5, -7, 1], [3, 3, 3], [0, 1, 0]), "received 3 result beats, expected 2"),
        ([], "received nothing"),
    ],
)
def test_scoreboard_refuses_what_is_wrong(received, problem, expected):
    verdict = verdict_on(received, expected)
    assert verdict.mismatches > 0
    assert any(re.search(problem, p) for p in verdict.problems)


def test_scoreboard_refuses_silence_even_if_nothing_is_expected(expected):
    nothing = {name: values[:0] for name, values in expected.items()}
    assert verdict_on([], nothing).mismatches > 0


class Handle:
    def __init__(self, bits):
        self.value = LogicArray(bits)


class Dut:
    def __init__(self, payload="0101", valid="1", ready="0"):
        self.s__payload, self.s__valid, self.s__ready = (
            Handle(payload),
            Handle(valid),
            Handle(ready),
        )


def monitor(dut):
    received = StreamMonitor(dut, "s", 0.0, "seed")
    received.drive()
    return received


@pytest.mark.parametrize(
    ("dut", "problem"),
    [
        (Dut(payload="01X1"), r"s\.payload is 01X1"),
        (Dut(valid="X"), r"s\.valid is X"),
    ],
)
def test_monitor_refuses_x(dut, problem):
    with pytest.raises(ProtocolError, match=problem):
        monitor(dut).sample()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [("s__valid", "0", "valid withdrawn"), ("s__payload", "0111", "payload changed")],
)
def test_monitor_refuses_broken_promises(name, value, problem):
    dut = Dut()
    stalled = StreamMonitor(dut, "s", 1.0, "seed")
    stalled.drive()
    assert not stalled.sample()
    getattr(dut, name).value = LogicArray(value)
    stalled.drive()
    with pytest.raises(ProtocolError, match=problem):
        stalled.sample()


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (np.full((1, 64), 128), r"activations must be int8 \(-128\.\.127\), not 128 at row 0"),
        (np.full((1, 63), 1), r"activations have K = 63, the weights K = 64"),
        (np.full((1, 64), 0.5), "activations must be a non-empty integer matrix"),
        (np.zeros((0, 64), int), "activations must be a non-empty integer matrix"),
    ],
)
def test_bad_activations_are_named(activations, message, make_tensor):
    with pytest.raises(InputError, match=message):
        tile_job(CONFIG, activations, make_tensor(2, 64, 2))


def test_unknown_plane_order_is_named(make_tensor):
    with pytest.raises(
        InputError, match=r"plane order must be one of ascending, .*, not 'sideways'"
    ):
        tile_job(CONFIG, np.ones((1, 64), int), make_tensor(2, 64, 2), order="sideways")
