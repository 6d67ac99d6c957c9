"""Mutants of a small tile: they differ, jobs notice them, proofs are right, weak jobs are seen."""

import dataclasses
import itertools
import re
import subprocess

import numpy as np
import pytest

from lutcore import tools
from lutcore.errors import InputError
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.gen.verify.equivalence import equivalent
from lutcore.gen.verify.mutation import Mutated, mutants
from lutcore.gen.verify.score import by_jobs, score
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import Stalls, tile_job
from lutcore.verif.sim.native_tile import NativeTile

pytestmark = pytest.mark.slow

CONFIG = CoreConfig(
    **{"name": "mutated", "m": 1, "n": 2, "k": 2, "max_weight_bits": 2, "max_k": 64},
    result_columns=1,
)
COUNT = 20


def jobs_of(config=CONFIG, zeros=False):
    """Long and short runs that stall in different ways and are given up now and then; or zeros."""
    rng = np.random.default_rng(3)
    found = []
    for seed, stalls in enumerate((Stalls(), Stalls(0.3, 0.3, 0.3, 0.3), Stalls(results=0.8))):
        for k in (23, 3):
            tensor = random_tensor((9, k), 2, 32, rng, shared=True)
            activations = random_activations(config, 4, k, rng)
            if zeros:
                activations[:] = 0
                tensor.codes[:] = tensor.zero_points[:] = 0
            resets = () if zeros else (5, 17, 18)
            job = tile_job(config, activations, tensor, stalls=stalls, seed=seed, resets=resets)
            found.append(job)
    return found


@pytest.fixture(scope="module")
def mutated() -> Mutated:
    return mutants(verilog(CONFIG), design_name(CONFIG), COUNT, seed=5)


@pytest.fixture(scope="module")
def tile(mutated: Mutated) -> NativeTile:
    return NativeTile(CONFIG, mutated.verilog, mutated.top, mutants=True)


def test_mutants_say_where_they_are(mutated):
    assert [mutant.number for mutant in mutated.mutants] == list(range(1, COUNT + 1))
    text = verilog(CONFIG)
    lines = text.splitlines()
    instances = {"", *re.findall(r"^  mutated_\w+ (\w+) \($", text, re.MULTILINE)}
    for mutant in mutated.mutants:
        assert f"module {mutant.module} (" in lines
        assert mutant.text.split()[0] in lines[mutant.line - 1]
        assert set(mutant.instance.split(".")) <= instances
        signal = re.sub(r"\[\d+\]$|.* ", "", mutant.signal).split(".")[-1]
        assert re.search(rf"\b{signal}", text), signal
        assert not re.search(r"\$|\\", str(mutant))
    assert len({mutant.module for mutant in mutated.mutants}) > 4


def test_the_same_seed_makes_the_same_mutants(mutated):
    assert mutants(verilog(CONFIG), design_name(CONFIG), COUNT, seed=5) == mutated


def test_no_mutants_are_refused():
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        mutants(verilog(CONFIG), design_name(CONFIG), 0)


def test_jobs_notice_all_mutants(mutated, tile):
    found = score(mutated, by_jobs(tile, jobs_of()))
    assert found.survivors == []
    assert found.share == 1
    assert len(found.killed) + len(found.equivalent) == COUNT == found.count
    assert {problem.split(": ")[-1] for problem in found.killed.values()} >= {
        "a result is wrong",
        "it stopped",
    }


def test_mutants_that_are_not_there_are_not_counted(mutated, tile):
    """Those of clocks are left out of what was asked for."""
    fewer = dataclasses.replace(mutated, mutants=mutated.mutants[1:])
    assert score(fewer, by_jobs(tile, jobs_of())).count == COUNT - 1


def test_what_is_noticed_is_never_proven_equivalent(mutated, tile):
    """The two judges share nothing: where one of them sees a difference, none is disproved."""
    wrong = by_jobs(tile, jobs_of())(range(6))
    assert all(wrong[number] for number in range(1, 6))
    assert not any(equivalent(mutated, range(1, 6)).values())


def test_jobs_of_zeros_leave_survivors(mutated, tile):
    strong, weak = (by_jobs(tile, jobs_of(zeros=zeros)) for zeros in (False, True))
    noticed = [
        {number for number, problem in run(range(COUNT + 1)).items() if problem}
        for run in (strong, weak)
    ]
    assert noticed[1] < noticed[0]
    assert len(noticed[1]) < 0.8 * COUNT


@pytest.mark.parametrize(
    ("beats", "problem"),
    [(slice(0, -1), "there are more results than expected"), ([*range(40), 39], "it stopped")],
)
def test_too_many_and_too_few_results_are_wrong(tile, beats, problem):
    job = jobs_of()[0]
    assert tile.play([job])[0].results == job.beats == 40
    for part in (job.expected, job.checked):
        part |= {name: values[beats] for name, values in part.items()}
    (played,) = tile.play([job])
    assert (played.job, played.problem) == (0, problem)


def test_a_design_that_fails_has_no_score(mutated, tile):
    job = jobs_of()[0]
    job.expected["row_sum"][-1] += 1
    with pytest.raises(InputError, match="fails without a mutant: job 0: a result is wrong"):
        score(mutated, by_jobs(tile, [job]))


def test_a_proof_without_time_is_none(mutated):
    assert equivalent(mutated, [1, 2], seconds=0.01) == {1: None, 2: None}


#: A gate that absorbs another, behind a register.
ABSORBING = """
module absorbing (input wire clk, input wire a, input wire b, output reg y);
  wire either;
  assign either = a | b;
  always @(posedge clk) y <= a & either;
endmodule
"""
FAULTS = {
    "inverted": lambda bit: 1 - bit,
    "stuck at 0": lambda bit: 0,
    "stuck at 1": lambda bit: 1,
}


def same(mutant) -> bool:
    """Whether a mutant of the absorbing gate does what the gate does, by trying all inputs."""
    fault, pin = FAULTS[mutant.kind], mutant.pin[0]
    if mutant.text.startswith("always"):
        return False

    def gate(of, a, b):
        a, b = (fault(bit) if pin == name else bit for name, bit in (("A", a), ("B", b)))
        return fault(of(a, b)) if pin == "Y" else of(a, b)

    def value(a, b):
        if mutant.text == "a | b":
            return a & gate(int.__or__, a, b)
        return gate(int.__and__, a, a | b)

    return all(value(a, b) == a for a, b in itertools.product((0, 1), repeat=2))


def test_proofs_say_what_trying_all_inputs_says():
    mutated = mutants(ABSORBING, "absorbing", 40)
    pins = {(mutant.text[:5], mutant.pin[0]) for mutant in mutated.mutants}
    assert {("a | b", "B"), ("a & e", "Y"), ("alway", "Q"), ("alway", "D")} <= pins
    assert "C" not in {pin for _, pin in pins}  # no clocks
    expected = {mutant.number: same(mutant) for mutant in mutated.mutants}
    assert 0 < sum(expected.values()) < len(expected)
    assert equivalent(mutated, list(expected)) == expected


#: An address with more bits than are read: those above go round.
RING = """
module ring (input wire clk, input wire take, input wire [15:0] start, output wire [2:0] y);
  reg [15:0] place;
  always @(posedge clk) if (take) place <= start; else place <= place + 16'd1;
  assign y = place[2:0];
endmodule
"""


def test_bits_that_nothing_reads_are_proven_to_change_nothing():
    mutated = mutants(RING, "ring", 120)
    named = {
        m.number: re.fullmatch(r"(?:place|start|y)\[(\d+)\]", m.signal) for m in mutated.mutants
    }
    bits = {number: int(found[1]) for number, found in named.items() if found}
    assert set(bits.values()) == set(range(16))
    expected = {number: bit > 2 for number, bit in bits.items()}
    assert equivalent(mutated, list(bits)) == expected


#: A choice of several: a fault may make two of its selects 1, and then the first one counts, or
#: both do, but the same for all tools. And a memory that is read without a clock.
CHOOSING = """
module choosing (
  input wire clk, input wire [2:0] s, input wire [2:0] a, input wire we, input wire [1:0] at,
  output reg [2:0] y, output wire [2:0] z
);
  reg [2:0] memory [0:3];
  always @(posedge clk) if (we) memory[at] <= a;
  assign z = memory[at];
  always @* begin
    y = a;
    case (s)
      1: y = a;
      2: y = ~a;
      3: y = 5;
      default: ;
    endcase
  end
endmodule
"""


@pytest.mark.skipif(tools.find("iverilog") is None, reason="apt-get install iverilog")
def test_what_is_called_equivalent_shows_no_difference_in_another_simulator(tmp_path):
    mutated = mutants(CHOOSING, "choosing", 400)
    found = equivalent(mutated, [mutant.number for mutant in mutated.mutants])
    numbers = [number for number, same in found.items() if same]
    chosen = {mutant.pin[0] for mutant in mutated.mutants if "case" in mutant.text}
    assert "S" in chosen and 3 < len(numbers) < len(found) / 2
    width = len(bin(max(found))) - 2
    ports = ".clk(clk), .s(s), .a(a), .we(we), .at(at)"
    bench = f"""module bench;
  reg clk = 0; reg [2:0] s = 0, a = 0; reg we = 1; reg [1:0] at = 0; integer i;
  wire [2:0] y [0:1], z [0:1]; reg [{width - 1}:0] number = 0;
  choosing sound ({ports}, .y(y[0]), .z(z[0]), .mutant({width}'d0));
  choosing broken ({ports}, .y(y[1]), .z(z[1]), .mutant(number));
  task try; input integer n; begin
    number = n;
    for (i = 0; i < 500; i = i + 1) begin
      {{s, a, at}} = $random; we = i < 4 || $random; if (i < 4) at = i;
      #1 clk = 1; #1 if (y[0] !== y[1] || z[0] !== z[1]) begin
        $display("%0d differs", n); i = 500;
      end
      clk = 0;
    end
  end endtask
  initial begin
    {" ".join(f"try({number});" for number in numbers)}
    {" ".join(f"try({number});" for number, same in found.items() if not same)}
  end
endmodule
"""
    (tmp_path / "all.v").write_text(mutated.verilog + bench)
    command = ["iverilog", "-g2009", "-s", "bench", "-o", tmp_path / "all", tmp_path / "all.v"]
    subprocess.run(command, check=True)
    done = subprocess.run(["vvp", "-n", tmp_path / "all"], capture_output=True, text=True)
    differ = {int(line.split()[0]) for line in done.stdout.splitlines()}
    assert not differ & set(numbers)
    assert len(differ) > 0.9 * (len(found) - len(numbers))
