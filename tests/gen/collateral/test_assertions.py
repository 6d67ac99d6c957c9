"""Assertions of a design: tools read them, sound designs keep to them, broken ones do not.

Each asserted rule is broken by one change of the design, which the property and the checker must
both see in simulation.
"""

import os
import re
import subprocess

import pytest
from sweeps import later, swept

from lutcore.gen.collateral.bench import bench_files
from lutcore.gen.collateral.checkers import assertions
from lutcore.gen.collateral.generate import generate
from lutcore.gen.collateral.rules import checked
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.verify.asserted import prove_assertions, prove_within
from lutcore.hdl.config.presets import preset
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.sim.simulator import verilator_environment

CORE = SMALL_CORES["w4a8"]
TILE = preset("w2a8").replace(name="tiny", n=2, m=1)
DESIGNS = {
    "tile": (TILE, "tile"),
    **{top: (CORE, top) for top in TOPS if TOPS[top].is_core},
    "axi-stream": (TILE, "axi-stream"),
    "columns within LUTs": (preset("fpga-xilinx-w1a8"), "tile"),
    "external tables": (preset("w2a8-external").replace(n=4), "tile"),
    "wide bus": (SMALL_CORES["bus-512"], "axi"),
}


def written(folder, config, top):
    name = design_name(config, top)
    files = assertions(config, top) | bench_files(config, top)
    for file, text in {**files, f"{name}.v": verilog(config, top)}.items():
        (folder / file).write_text(text)
    return name


def verilator(folder, *words):
    return subprocess.run(
        ["verilator", *words],
        cwd=folder,
        env=os.environ | verilator_environment(),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("design", swept(DESIGNS, 2))
def test_tools_read_all_of_them(design, tmp_path):
    pyslang = pytest.importorskip("pyslang")
    config, top = DESIGNS[design]
    name = written(tmp_path, config, top)
    for main, file in ((name, "bind"), (f"{name}_formal", "formal")):
        sources = [f"{name}.v", f"{name}_{file}.sv"]
        sources += [f"{name}_checker.sv"] * (file == "formal")
        words = ["--lint-only", "--assert", "-Wall", "-Wno-DECLFILENAME", "--top-module", main]
        done = verilator(tmp_path, *words, *sources)
        assert done.returncode == 0 and "%" not in done.stderr, done.stderr
        driver = pyslang.driver.Driver()
        driver.addStandardArgs()
        paths = " ".join(str(tmp_path / source) for source in sources)
        assert driver.parseCommandLine(f"slang --top {main} {paths}")
        assert driver.processOptions() and driver.parseAllSources()
        compilation = driver.createCompilation()
        driver.reportCompilation(compilation, True)
        assert driver.reportDiagnostics(True)


def test_every_rule_has_a_sentence_and_a_name_of_its_own():
    for config, top in DESIGNS.values():
        for of in checked(config, top):
            names = [rule.name for rule in of.rules]
            assert len(set(names)) == len(names)
            assert all(rule.text.endswith(".") and '"' not in rule.text for rule in of.rules)
            kinds = {rule.kind for rule in of.rules}
            assert "assert" in kinds


class Saboteur:
    """A module around the design that breaks one rule of its ports, chosen by a plusarg."""

    def __init__(self, config, top):
        self.name = design_name(config, top)
        self.of, *self.inside = checked(config, top)
        self.described = ports(config, top)
        self.rules = [rule for rule in self.of.rules if rule.kind == "assert"]

    def _wrong(self, place, rule):
        """Port that is wrong, and by what expression of its sound value."""
        at, sound = f"(sabotage == {place})", "inner_{}"
        if rule.name.endswith("_stays"):
            return rule.holds, f"{sound.format(rule.holds)} && !({at} && before_{place})"
        if rule.same:
            width = self.of.signals[rule.same]
            flips = f"{{{width}{{{at} && before_{place}}}}}"
            return rule.same, f"{sound.format(rule.same)} ^ {flips}"
        if rule.name.endswith("_starts"):
            port = rule.holds.removeprefix("!")
            return port, f"{sound.format(port)} || ({at} && before_{place})"
        if rule.name.endswith("_asked") and rule.name != "s_wb_asked":
            port = re.findall(r"!(\w+)", rule.holds)[0]
            return port, f"{sound.format(port)} || ({at} && late)"
        stem = rule.name.rpartition("_")[0]
        return {
            "whole": (f"{stem}size", f"{sound.format(f'{stem}size')} ^ {{2'b0, {at}}}"),
            "aligned": (f"{stem}addr", f"{sound.format(f'{stem}addr')} ^ {{47'd0, {at}}}"),
            "page": (
                f"{rule.name[:-8]}addr",
                f"{sound.format(f'{rule.name[:-8]}addr')} | {{36'd0, {{8{{{at}}}}}, 4'd0}}",
            ),
            "asked": ("s_wb_ack", f"inner_s_wb_ack || ({at} && !s_wb_cyc)"),
            "one": ("s_wb_err", f"inner_s_wb_err || ({at} && inner_s_wb_ack)"),
        }[rule.name.rpartition("_")[2]]

    def text(self, sound):
        of = self.of
        wrong = {}
        for place, rule in enumerate(self.rules, 1):
            port, value = self._wrong(place, rule)
            wrong.setdefault(port, []).append((place, value))
        lines = [f"module {self.name} ("]
        lines.append(
            ",\n".join(
                f"  {p['direction']} wire [{p['width'] - 1}:0] {p['name']}" for p in self.described
            )
        )
        lines += [");", "  integer sabotage = 0;", "  reg late = 0;", "  integer cycle = 0;"]
        lines.append('  initial if (!$value$plusargs("sabotage=%d", sabotage)) sabotage = 0;')
        pins = []
        for port in self.described:
            name, width = port["name"], port["width"]
            if port["direction"] == "input":
                pins.append(f"    .{name}({name})")
                continue
            pins.append(f"    .{name}(inner_{name})")
            lines.append(f"  wire [{width - 1}:0] inner_{name};")
            value = f"inner_{name}"
            for place, expression in wrong.get(name, ()):
                value = f"sabotage == {place} ? {expression} : {value}"
            lines.append(f"  assign {name} = {value};")
        for place, rule in enumerate(self.rules, 1):
            before = rule.before or "1'b0"
            lines.append(f"  reg before_{place} = 0;")
            lines.append(f"  always @(posedge {of.clock}) before_{place} <= {before};")
        lines.append(f"  always @(posedge {of.clock}) cycle <= {of.reset} ? 0 : cycle + 1;")
        lines.append(f"  always @(posedge {of.clock}) late <= cycle == 0;")
        lines += [f"  {self.name}_sound inner (", ",\n".join(pins), "  );", "endmodule", ""]
        start = re.compile(rf"^module {self.name} ", re.M)
        text = start.sub(f"module {self.name}_sound ", sound)
        return "\n".join(lines) + self._broken_within(text)

    @staticmethod
    def _taken_without(body, of, rule, chosen):
        """All wants a token, and does not wait for it."""
        tokens = rule.name.removesuffix("_there")
        none = f"({tokens} == 32'd0)"
        head, bit = re.findall(r"(\w+_head)\[(\d+)\]", rule.holds)[0]
        width = of.signals[head]
        wants = f"{{{width}{{{chosen}}}}} & ({width}'d1 << {bit})"
        net = re.findall(rf"\.r_data\((\w*{head})\)", body)[0]  # of the queue, or of a fault before
        declared = f"  wire [{width - 1}:0] sound_{net};\n"
        wire = f"  assign {net} = sound_{net} | ({wants});\n"
        assert none in body
        body = body.replace(none, f"({none} && !({chosen}))")
        body = re.sub(rf"else {tokens} <= (\w*);", rf"else {tokens} <= {chosen} ? 0 : \1;", body)
        body = body.replace(f".r_data({net})", f".r_data(sound_{net})")
        return body.replace("\n);\n", f"\n);\n{declared}", 1) + wire

    def _broken_within(self, text):
        """Registers within that can be put to what no rule allows."""
        place = len(self.rules)
        for of in self.inside:
            module = f"{self.name}_sound" if of.module == self.name else of.module
            for rule in of.rules:
                place += 1
                start = text.index(f"module {module} ")
                end = text.index("endmodule", start)
                body = text[start:end]
                changes = {
                    "runs_uncaptured": {"else uncaptured <= ": "2'd3"},
                    "runs_kept": {"else uncaptured <= ": "2'd2", "assign first = ": "1'b1"},
                    "run_ends": {"else waiting <= ": "1'b1"},
                    "loops_open": {r"if \(start\) depth <= ": "3'd5"},
                    "load_queue_holds": {"level <= (?=level -)": "4'd15"},
                    "compute_queue_holds": {"level <= (?=level -)": "4'd15"},
                    "store_queue_holds": {"level <= (?=level -)": "4'd15"},
                }.get(rule.name, {})
                new = body
                for wanted, value in changes.items():
                    change = rf"\1{self.name}.sabotage == {place} ? {value} : (\2);"
                    new = re.sub(rf"({wanted})([^;]*);", change, new)
                if not changes:
                    chosen = f"{self.name}.sabotage == {place}"
                    new = self._taken_without(body, of, rule, chosen)
                assert new != body, rule.name
                text = text[:start] + new + text[end:]
                self.rules.append(rule)
        return text


def built(folder, config, top):
    """A simulation of bench, saboteur, design, properties and checkers; what each sabotage is."""
    name = written(folder, config, top)
    saboteur = Saboteur(config, top)
    (folder / f"{name}.v").write_text(saboteur.text(verilog(config, top)))
    text = (folder / f"{name}_bind.sv").read_text()
    binds = re.findall(r"^bind (\w+) (\w+)_sva (\w+)", text, re.M)
    inside = {of.module for of in saboteur.inside}
    for module, stem, instance in binds:
        target = f"{name}_sound" if module == name and stem.endswith("inside") else module
        old = f"bind {module} {stem}_sva {instance} (.*);"
        new = f"bind {target} {stem}_sva {instance} (.*);"
        text = text.replace(old, f"{new}\nbind {target} {stem}_checker watching_{instance} (.*);")
    assert inside
    (folder / f"{name}_bind.sv").write_text(text)
    sources = [f"{name}_tb.v", f"{name}.v", f"{name}_bind.sv", f"{name}_checker.sv"]
    done = verilator(
        folder,
        *("--binary", "--assert", "-Wno-fatal", "-Wno-lint", "-O0", "-CFLAGS", "-O0"),
        *("--top-module", f"{name}_tb", "-o", "simulation", *sources),
    )
    assert done.returncode == 0, done.stderr
    return folder / "obj_dir" / "simulation", saboteur.rules


def said(folder, simulation, place):
    """Labels of what failed, in properties and in checkers; how the bench ended."""
    done = subprocess.run(
        [simulation, f"+sabotage={place}", "+verilator+error+limit+100000"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    printed = done.stdout + done.stderr
    labels = re.findall(r"Assertion failed in \S*?(watching_)?assertions\w*\.(\w+)", printed)
    return (
        {label for watched, label in labels if not watched},
        {label for watched, label in labels if watched},
        printed,
    )


@pytest.mark.parametrize(
    "design",
    [
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("tile", "axi-stream")),
        *map(later, ("axi", "core", "axi-wishbone")),
    ],
)
def test_each_broken_rule_is_seen_by_property_and_checker(design, tmp_path):
    config, top = DESIGNS[design]
    simulation, rules = built(tmp_path, config, top)
    sound = said(tmp_path, simulation, 0)
    assert sound[:2] == (set(), set()) and "PASS" in sound[2], sound[2][-2000:]
    missed = []
    for place, rule in enumerate(rules, 1):
        seen = said(tmp_path, simulation, place)
        missed += [rule.name] * (not all(rule.name in labels for labels in seen[:2]))
    assert missed == []


@pytest.mark.slow
def test_a_solver_finds_no_fault_and_reaches_all():
    found = prove_assertions(TILE)
    assert found.holds and found.broken == [] == found.unreached


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        (r"(?<=assign blocked = )", "1'b0 & ", "runs_kept"),
        (r"(?<=if \(rst\) uncaptured <= )2'd0", "2'd3", "runs_uncaptured"),
        (r"\(\(uncaptured > 2'd1\) \|\s*~drain__free\)", "(uncaptured > 2'd1)", "runs_kept"),
    ],
)
def test_a_solver_finds_what_is_broken(old, new, broken):
    def change(text):
        changed = re.sub(old, new, text, count=1)
        assert changed != text
        return changed

    found = prove_assertions(TILE, change=change)
    assert found.holds is False and broken in found.broken


@pytest.mark.slow
def test_what_holds_within_a_core_is_proved_whatever_its_engines_do():
    found = prove_within(CORE, "axi")
    assert len(found) == 5 and all(each.holds for each in found), found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        (
            r"load_head_waits & \(tokens_compute_load == 32'd0\)",
            "1'b0",
            "tokens_compute_load_there",
        ),
        pytest.param(
            r"store_head_waits & \(tokens_compute_store",
            "1'b0 & (1",
            "tokens_compute_store_there",
            marks=pytest.mark.long,
        ),
        pytest.param(r"depth == 3'd4", "depth == 3'd5", "loops_open", marks=pytest.mark.long),
        pytest.param(
            r"w_rdy = level != 4'd8", "w_rdy = 1'b1", "load_queue_holds", marks=pytest.mark.long
        ),
    ],
)
def test_what_is_broken_within_a_core_is_found(old, new, broken):
    def change(text):
        changed = re.sub(old, new, text)
        assert changed != text
        return changed

    found = prove_within(CORE, change=change)
    assert broken in [name for each in found if each.holds is False for name in each.broken]


def test_they_are_written_where_they_are_asked_for(tmp_path):
    plain = {path.name for path in generate(TILE, tmp_path / "plain")}
    asked = {path.name for path in generate(TILE, tmp_path / "asked", sva=True)}
    assert asked - plain == {f"tiny_tile_{kind}.sv" for kind in ("bind", "checker", "formal")}
    text = (tmp_path / "asked" / "tiny_tile_bind.sv").read_text()
    assert "bind tiny_tile tiny_tile_sva assertions (.*);" in text
