"""Static timing and sizing, against sums done by hand and against OpenSTA."""

import random
from copy import deepcopy

import numpy as np
import pytest
from opensta import needs_opensta
from small_cells import (
    LIBRARY,
    WIRED,
    chain,
    flip_flop,
    inverter,
    liberty,
    made,
    ports,
    tangle,
    timed,
)

from lutcore.errors import ToolError
from lutcore.gen.asic.closing import Closing
from lutcore.gen.asic.delays import Table, Tables
from lutcore.gen.asic.liberty import DEMO_CELLS
from lutcore.gen.asic.library import parse
from lutcore.gen.tools.netlist import Bit, Json, new_cell

pytestmark = pytest.mark.asic

DEMO = parse(DEMO_CELLS.read_bytes(), "demo")


def test_tables_are_linear_between_and_beyond_their_points():
    table = Table(
        np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0]), np.array([[0, 2], [1, 3], [5, 9]])
    )
    which = np.zeros(4, dtype=int)
    x, y = np.array([0.5, 2.0, 4.0, 1.0]), np.array([1.0, 1.0, 0.0, 4.0])
    values, by_x, by_y = Tables([table]).at(which, x, y)
    assert values.tolist() == [1.5, 4.5, 7.0, 5.0]
    assert by_x[0] == 1 and by_y[0] == 1


def test_a_chain_by_hand():
    timing = timed({"top": chain()})
    # The flip-flop drives one pin, the first inverter two, the second a flip-flop.
    start, slew0 = 0.1 + 0.01 * 1, 2 * 0.01 * 1
    first, slew1 = start + 0.02 + 0.1 * slew0 + 0.02 * 2, 2 * 0.02 * 2
    second, slew2 = first + 0.02 + 0.1 * slew1 + 0.02 * 1, 2 * 0.02 * 1
    rising = second + 0.01 + 0.03 + 0.2 * slew2  # one of the two inverters falls
    falling = second + 0.01 + 0.01 + 0.04 + 0.2 * slew2  # the flip-flop and the other one fall
    assert timing.need.max() == pytest.approx(max(rising, falling))
    assert timing.module_needs() == {"top": pytest.approx(max(rising, falling))}


def test_wires_load_by_their_fanout():
    plain, wired = (timed({"top": chain()}, library) for library in (LIBRARY, WIRED))
    extra = wired.load - plain.load
    assert sorted(set(extra[extra > 0].round(6))) == [0.5, 1.5]


def test_inputs_count_only_where_they_are_asked_to():
    module = made(ports(clk=2, i=3), end=flip_flop(3, 4))
    assert timed({"top": module}).need.max() < 0
    assert timed({"top": module}, from_ports=True).need.max() == pytest.approx(0.04)


def _twice() -> dict[str, Json]:
    """One driver for two instances of a module that registers its input."""
    inner = made(ports(clk=2, i=3), end=flip_flop(4, 5), inverter=inverter(3, 4))
    instance = {
        **new_cell("inner", {"clk": 2, "i": 4}, {}),
        "port_directions": {"clk": "input", "i": "input"},
    }
    top = made(ports(clk=2), start=flip_flop(3, 4), one=instance, two=deepcopy(instance))
    return {"inner": inner, "top": top}


def test_further_instances_load_what_drives_them_and_cost_area():
    timing = timed(_twice())
    assert timing.counts == {"inner": 2, "top": 1}
    place = timing.graph.places.index(("inner", "inverter"))
    net = timing.graph.pin_net[timing.graph.pin_place == place]
    assert timing.load[2 * net].tolist() == [2, 2]
    timing.strength[place] = 1
    timing.analyse()
    assert timing.load[2 * net].tolist() == [4, 4]


def test_what_drives_a_further_instance_is_timed_too():
    """Two buffers, of which the further instance's has more to drive."""

    def modules(loaded: int) -> dict[str, Json]:
        found = _twice()
        cells = found["top"]["cells"]
        cells |= {"fast": inverter(4, 6), "slow": inverter(4, 7)}
        cells |= {f"load{i}": inverter(loaded, 20 + i) for i in range(8)}
        cells["one"]["connections"]["i"], cells["two"]["connections"]["i"] = [6], [7]
        return found

    late, early = timed(modules(7)), timed(modules(4))
    assert late.need.max() > timed(_twice()).need.max() + 0.1
    gains = late.cost(late.worth(1e-3), late.strength)
    assert gains[late.graph.places.index(("top", "slow"))] > 0
    assert early.counts == late.counts


def test_further_flip_flops_are_ends():
    inner = made(ports(clk=2, i=3), end=flip_flop(3, 5))
    modules = _twice() | {"inner": inner}
    modules["top"]["cells"]["slow"] = inverter(4, 6)
    before = timed(modules).need.max()
    modules["top"]["cells"]["two"]["connections"]["i"] = [6]
    assert timed(modules).need.max() > before


def test_instances_in_a_row_are_no_loop():
    inner = made(ports(clk=2, i=3) | {"o": {"direction": "output", "bits": [4]}},
                    inverter=inverter(3, 4))  # fmt: skip

    def instance(source: int, target: int) -> Json:
        return {
            **new_cell("inner", {"clk": 2, "i": source}, {"o": target}),
            "port_directions": {"clk": "input", "i": "input", "o": "output"},
        }

    top = made(ports(clk=2), start=flip_flop(3, 4), one=instance(4, 5), two=instance(5, 6),
                  end=flip_flop(5, 7))  # fmt: skip
    assert timed({"inner": inner, "top": top}).need.max() > 0


def test_loops_are_told():
    module = made(ports(clk=2), a=inverter(3, 4), b=inverter(4, 3))
    with pytest.raises(ToolError, match="combinational loop"):
        timed({"top": module})


def test_worth_is_what_the_worst_arrival_changes_by():
    timing = timed({"top": tangle(0)})
    worth = timing.worth(1e-4 * timing.need.max())
    before = timing.cost(worth, timing.strength)
    base = timing.need.max()
    for place in range(len(timing.strength)):
        changed = timing.strength.copy()
        changed[place] = timing.graph.most[place]
        foretold = timing.cost(worth, changed)[place] - before[place]
        timing.strength, kept = changed, timing.strength
        timing.analyse()
        # A gain may end where another path becomes the worst.
        assert timing.need.max() - base >= foretold - 0.01
        timing.strength = kept
        timing.analyse()


@needs_opensta
@pytest.mark.parametrize(("wires", "seed"), [(w, s) for w in (False, True) for s in range(2)])
def test_opensta_agrees(wires: bool, seed: int):
    library = WIRED if wires else LIBRARY
    design: Json = {"modules": {"top": tangle(seed)}}
    closing = Closing(library, {"small.lib": liberty(wires)}, "top", 5.0)
    timing = closing.timing(design)
    found = closing.check(design)
    assert found.slack == pytest.approx(5.0 - timing.need.max(), abs=2e-4)
    assert found.slacks == {"top": found.slack}
    sized = closing.size(design, timing)
    assert sized.slack == pytest.approx(5.0 - timing.need.max(), abs=2e-4)


def _many_kinds(seed: int) -> Json:
    """Random gates of every kind of the demonstration library between flip-flops."""
    choose = random.Random(seed)
    gates = [cell for cell in DEMO.cells.values() if cell.tables and cell.name.endswith("_X1")]
    cells: dict[str, Json] = {}
    for i in range(4):
        cells[f"s{i}"] = new_cell("DFF_X1", {"CK": 2, "D": i + 3}, {"Q": i + 10, "QN": i + 20})
    nets: list[Bit] = [*range(10, 14), *range(20, 24)]
    for i, gate in enumerate(choose.sample(gates * 5, 5 * len(gates))):
        outputs: dict[str, Bit] = {pin: 100 + 2 * i + bit for bit, pin in enumerate(gate.outputs)}
        cells[f"g{i}"] = new_cell(
            gate.name, {pin: choose.choice(nets[-12:]) for pin in gate.inputs}, outputs
        )
        nets += outputs.values()
    for i, net in enumerate(nets[-8:]):
        cells[f"e{i}"] = new_cell(f"DFF_X{1 + i % 2}", {"CK": 2, "D": net}, {"Q": 400 + i})
    return made(ports(clk=2), **cells)


@needs_opensta
@pytest.mark.parametrize("seed", range(3))
def test_opensta_agrees_on_every_kind_of_cell(seed: int):
    design: Json = {"modules": {"top": _many_kinds(seed)}}
    closing = Closing(DEMO, {"demo.lib": DEMO_CELLS.read_bytes()}, "top", 5.0)
    timing = closing.timing(design)
    assert closing.check(design).slack == pytest.approx(5.0 - timing.need.max(), abs=2e-4)
    period = round(0.95 * float(timing.need.max()), 3)
    closing = Closing(DEMO, {"demo.lib": DEMO_CELLS.read_bytes()}, "top", period)
    sized = closing.size(design, timing)
    assert timing.strength.any()
    assert sized.slack == pytest.approx(period - timing.need.max(), abs=2e-4)


@needs_opensta
def test_closing_gives_the_sized_netlist():
    design: Json = {"modules": {"top": tangle(1)}}
    slow = timed(design["modules"]).need.max()
    closing = Closing(LIBRARY, {"small.lib": liberty(False)}, "top", round(0.95 * slow, 3))
    found = closing.size(design, closing.timing(design))
    assert found.slack >= 0
    assert "INV2" in found.netlist or "NAND2" in found.netlist
    assert found.path[0].split()[1].endswith("/CK")
