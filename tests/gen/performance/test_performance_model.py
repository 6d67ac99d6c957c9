"""The performance model: shapes, parts of cores, rooflines, and the study beside the paper."""

import json
from dataclasses import replace

import pytest

from lutcore.errors import InputError
from lutcore.gen.experiments.runner import Runner
from lutcore.gen.performance.metadata import from_metadata
from lutcore.gen.performance.model import Format, estimate, part, shared_bytes, total
from lutcore.gen.performance.report import model_shape, performance, write_performance
from lutcore.gen.performance.roofline import roofline
from lutcore.gen.performance.shapes import MODELS, ModelShape, Phase, operators
from lutcore.gen.performance.system import ENERGIES, System
from lutcore.gen.performance.workload import Workload, record
from lutcore.gen.study.end_to_end import end_to_end, precompute, workloads, write_result
from lutcore.hdl.config.presets import preset

#: Published numbers of parameters, in billions.
PARAMETERS = {
    "opt-175b": 175,
    "bloom-176b": 176,
    "llama2-7b": 6.74,
    "llama2-13b": 13.0,
    "llama2-70b": 69.0,
    "bitnet-3b": 3.43,
}
TINY = ModelShape(name="tiny", hidden=128, blocks=2, heads=4, kv_heads=2, ffn=256, vocabulary=320)
PHASE = Phase(name="test", batch=2, tokens=6, context=10)
CORE = System(
    name="core", clock=1.0, bandwidth=16.0, weight_bits=2, activation_bits=8, group_size=64,
    config=preset("default"), energy=ENERGIES["lut", 2],
)  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_shapes_have_the_published_numbers_of_parameters(name) -> None:
    model = MODELS[name]
    once = Phase(name="", batch=1, tokens=1, context=1)
    linear = [op for op in operators(model, once) if op.shape]
    weights = sum(op.count * op.operations // 2 for op in linear)
    if name.startswith(("llama", "bitnet")):  # others use the embedding as the head
        weights += model.vocabulary * model.hidden
    assert weights / 1e9 == pytest.approx(PARAMETERS[name], rel=0.03)


def test_a_row_for_every_operator_adds_up() -> None:
    rows = list(estimate(TINY, PHASE, CORE))
    assert [row["operator"] for row in rows] == [op.name for op in operators(TINY, PHASE)]
    head = rows[-1]
    assert (head["m"], head["n"], head["k"]) == (2, 320, 128)
    sums = total(rows)
    assert sums["seconds"] == pytest.approx(sums["linear_s"] + sums["host_s"])
    products = sum(row["operations"] for row in rows if row["m"]) / 2
    assert sums["linear_energy_j"] == pytest.approx(products * 231.8e-15)
    assert total(list(estimate(TINY, PHASE, replace(CORE, energy=None))))["linear_energy_j"] is None


def test_attention_sees_the_context() -> None:
    def attention(phase: Phase) -> int:
        return next(op.operations for op in operators(TINY, phase) if op.name == "attention")

    decode = Phase(name="", batch=1, tokens=1, context=100)
    assert attention(decode) == 4 * 100 * TINY.hidden
    prefill = Phase(name="", batch=1, tokens=100, context=100)
    steps = [Phase(name="", batch=1, tokens=1, context=seen) for seen in range(1, 101)]
    assert attention(prefill) == sum(attention(step) for step in steps)


def test_more_cores_share_the_work() -> None:
    config, shape = preset("default"), (64, 512, 256)
    one = part(config, shape, Format(2, 128), CORE.memory, 1)
    many = part(config, shape, Format(2, 128), CORE.memory, 64)
    assert many.rows * many.columns == 64
    assert one.cycles / 64 < many.cycles < one.cycles / 30
    assert part(config, (1, 64, 256), Format(2, 128), CORE.memory, 50).rows == 1


def test_a_slow_memory_bounds_a_core_and_cores_together() -> None:
    decode = Phase(name="", batch=1, tokens=1, context=1)
    fast, slow = (
        {row["operator"]: row for row in estimate(TINY, decode, replace(CORE, bandwidth=rate))}
        for rate in (16.0, 1.0)
    )
    name = "down"
    assert fast[name]["bound"] == slow[name]["bound"] == "memory"
    # The bus gives 16 bytes a cycle.
    assert slow[name]["cycles"] > 10 * fast[name]["cycles"]
    shared = replace(CORE, cores=4, bandwidth=0.5)
    row = next(row for row in estimate(TINY, decode, shared) if row["operator"] == name)
    assert row["seconds"] == row["count"] * shared_bytes(shared, (1, 128, 256)) / 0.5e9


def test_shapes_come_from_metadata(tmp_path) -> None:
    plain = {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32_000,
        "num_attention_heads": 32, "intermediate_size": 11_008,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(plain))
    assert replace(model_shape(str(path)), name="llama2-7b") == MODELS["llama2-7b"]
    gguf = {
        "general.architecture": "bitnet", "bitnet.embedding_length": 256, "bitnet.block_count": 4,
        "bitnet.attention.head_count": 4, "bitnet.feed_forward_length": 512,
        "bitnet.attention.head_count_kv": 2, "bitnet.vocab_size": 256,
    }  # fmt: skip
    found = from_metadata("x", gguf)
    assert (found.kv, found.sub_norms) == (128, True)
    for broken in (plain | {"hidden_size": "many"}, plain | {"num_attention_heads": 3}, {}):
        with pytest.raises(InputError, match="x: "):
            from_metadata("x", broken)
    with pytest.raises(InputError, match="built-in shape: opt-175b"):
        model_shape("llama9")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bandwidth": 0.0}, "bandwidth must be above 0"),
        ({"config": None}, "needs cores or multipliers"),
        ({"weight_bits": 5}, "takes weights of 1 to 4 bits, not 5"),
    ],
)
def test_systems_that_cannot_be(values, message) -> None:
    with pytest.raises(InputError, match=message):
        replace(CORE, **values)


def test_files_and_rooflines_are_written(tmp_path) -> None:
    found = performance(TINY, PHASE, CORE)
    write_performance(found, CORE, tmp_path)
    assert json.loads((tmp_path / "performance.json").read_text())["seconds"] == found["seconds"]
    assert (tmp_path / "performance.csv").read_text().count("\n") == len(found["layers"]) + 1
    svg = (tmp_path / "performance-roofline.svg").read_bytes()
    assert b"tera-operations" in svg
    assert roofline(CORE, [("tiny, test", found["layers"])], "x")["x.svg"] == svg


def test_precompute_by_itself_costs_more() -> None:
    system = replace(CORE, cores=8, bandwidth=1.0)
    layers = list(estimate(TINY, PHASE, system))
    found = precompute(layers, system)
    assert found.free <= found.fused < found.separate
    assert found.fused == pytest.approx(total(layers)["seconds"])


def test_the_study_sets_ours_beside_theirs(tmp_path, monkeypatch) -> None:
    assert len(workloads(False)) > 2 * len(workloads(True)) > 0
    work = [(figure, replace(w, model=TINY)) for figure, w in workloads(True)]
    monkeypatch.setattr("lutcore.gen.study.end_to_end.workloads", lambda reduced: work)
    monkeypatch.setattr("lutcore.gen.study.end_to_end._kernel", lambda: [])
    with Runner(tmp_path / "points", measure=record) as runner:  # pyright: ignore[reportArgumentType]
        found = end_to_end(True, runner)
        assert runner.run([w for _, w in work])[0]["layers"]  # pyright: ignore[reportArgumentType]
    write_result(found, tmp_path)
    findings = {finding["what"]: finding for finding in found["findings"]}
    assert sum("precompute, fused" in what for what in findings) == 2
    assert findings["most speedup of a whole model"]["paper"] == 8.2
    row = found["rows"][0]
    assert row["paper_ms"] == 106.71 and row["ms"] > 0 and row["compared"]
    page = (tmp_path / "end-to-end.html").read_text()
    assert "nothing was synthesised" in page and "s of synthesis" not in page
    assert (tmp_path / "end-to-end-roofline-large.png").stat().st_size > 1000


def test_what_fails_is_a_record() -> None:
    small = replace(CORE, config=preset("default").replace(weight_buffer=2048), weight_bits=4)
    work = Workload(model=TINY, phase=PHASE, system=small)
    assert "cannot hold" in record(work)["error"]
    assert work.key != replace(work, phase=replace(PHASE, batch=3)).key
