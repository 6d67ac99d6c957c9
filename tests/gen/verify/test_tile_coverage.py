"""Coverage of a small tile: a strong run fills what a weak one leaves; the rest is constant."""

import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lutcore import tools
from lutcore.errors import InputError
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.run.tile import random_problem
from lutcore.gen.verify.constants import PROVED, without_constants
from lutcore.gen.verify.ties import ties
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.coverage.code import plain_name, read_coverage, read_points
from lutcore.verif.sim.job import Stalls, tile_job
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build

pytestmark = pytest.mark.slow

CONFIG = CoreConfig(
    name="covered", m=1, n=2, k=2, lookups=1, max_k=64, max_weight_bits=2, result_columns=1
)
STALLS = (Stalls(), Stalls(0.3, 0.3, 0.3, 0.3), Stalls(results=0.9), Stalls(weights=0.7))


def job(seed, strong=True):
    """Shapes, bits, stalls, orders and resets by turns; extremes; runs of one slice."""
    rng = np.random.default_rng(seed)
    if not strong:
        weights, activations = random_problem(CONFIG, (1, 2, 4), 1, 4, seed)
        return tile_job(CONFIG, activations, weights)
    m, n = rng.integers(1, 5, 2)
    k = 2 if seed % 3 == 0 else int(rng.integers(1, 64))
    weights, activations = random_problem(CONFIG, (m, n, k), 1 + seed % 2, 64, seed)
    if seed % 4 == 1:
        activations[:] = CONFIG.activation_range[seed // 4 % 2]
    order = ("ascending", "descending", "shuffled", "plane-major")[seed // 2 % 4]
    options = {"stalls": STALLS[seed % 4], "order": order, "resets": (5,) * (seed % 5 == 0)}
    return tile_job(CONFIG, activations, weights, seed=seed, **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Files of two runs: a weak one and a strong one."""
    folder = tmp_path_factory.mktemp("coverage")
    built = build(verilog(CONFIG), design_name(CONFIG), optimised=False, coverage=True)
    jobs = {"weak": [job(0, strong=False)] * 2, "strong": [job(seed) for seed in range(24)]}
    for name, played in jobs.items():
        verdicts = run_jobs(built, CONFIG, played, coverage_to=folder / f"{name}.dat")
        assert not any(verdict["mismatches"] for verdict in verdicts)
    return folder


@pytest.fixture(scope="module")
def strong(runs):
    return read_coverage(runs / "strong.dat")


def test_a_strong_run_fills_the_holes_of_a_weak_one(runs, strong):
    weak = read_coverage(runs / "weak.dat")
    assert weak.points == strong.points
    assert weak.line.part < 1 and weak.toggle.part < 0.8
    both = weak.merge(strong)
    assert both.line.part == 1 and both.toggle.part > 0.98
    assert {hole.place for hole in both.holes()} < {hole.place for hole in weak.holes()}


def test_what_is_left_is_proved_constant(strong):
    found = without_constants(strong, verilog(CONFIG), ties(CONFIG))
    assert not found.holes()
    count = sum(mask.bit_count() for mask in found.excluded[PROVED].values())
    assert 0 < count == strong.ratio().points - found.ratio().points


def test_the_bits_of_ports_are_those_of_the_verilog(strong):
    """Every bit of every port of the top is there, once for its rise and once for its fall."""
    head = verilog(CONFIG).partition(");\n")[0]
    ports = re.findall(r"^  (?:in|out)put\s+\w+\s+(?:\[(\d+):0\])?\s*(\w+)", head, re.MULTILINE)
    assert len(ports) > 10
    points = {
        p.name: mask for p, mask in strong.points.items() if p.instance == design_name(CONFIG)
    }
    for top, name in ports:
        assert points[name] == (1 << 2 * (int(top or 0) + 1)) - 1


def line_sums(points):
    """Line -> sum of the counts of its toggles."""
    sums = Counter()
    for place, _, count in points:
        if place.kind == "toggle":
            sums[place.line] += count
    return sums


def test_the_sums_are_verilators_own(runs, tmp_path):
    """By ``verilator_coverage`` where it is installed, else by the text itself."""
    names = [str(runs / f"{name}.dat") for name in ("weak", "strong")]
    texts = [Path(name).read_text() for name in names]
    merged = sum((line_sums(read_points(text.splitlines())) for text in texts), Counter())
    if tools.find("verilator_coverage"):
        info = tmp_path / "coverage.info"
        tools.run("judge", ["verilator_coverage", "--write-info", str(info), *names])
        found = re.findall(r"^DA:(\d+),(\d+)$", info.read_text(), re.MULTILINE)
    else:
        found = re.findall("\1l\2(\\d+).*:(?:0->1|1->0).*' (\\d+)\n", "".join(texts))
    judged = Counter()
    for line, count in found:
        judged[int(line)] += int(count)
    assert merged and all(judged[line] == count for line, count in merged.items())


def test_names_are_those_of_the_verilog(strong):
    text = verilog(CONFIG)
    lines = text.splitlines()
    for place in itertools.islice(strong.points, 0, None, 7):
        if place.kind == "toggle":
            assert re.search(rf"\b{place.name}\b", lines[place.line - 1])
    assert plain_name("a___05Fb") == "a__b"


def test_only_verilator_counts(monkeypatch):
    monkeypatch.setattr(tools, "find", lambda name, **_: name)
    with pytest.raises(InputError, match="icarus: --sim verilator"):
        build("", "top", "icarus", coverage=True)
