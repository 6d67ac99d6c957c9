"""What a suite of one's own is written with: a Python file of tests, golden models, constraints.

::

    from dataclasses import replace

    import numpy as np

    from lutcore.gen.verify.suite import Feature, constraint, golden, test
    from lutcore.verif.sim.job import tile_job

    DATA = ["layer.npz"]  # files beside the suite whose content counts

    @test
    def my_layer(config, seed):
        \"\"\"The activations that the first layer meets.\"\"\"
        return tile_job(config, activations, tensor, seed=seed)

    @golden
    def products(config, activations, weights, spans):
        factors = weights.codes - weights.zero_points.repeat(...)
        return np.stack([activations[:, a:b] @ factors[:, a:b].T for a, b in spans], axis=-1)

    @constraint
    def two_bits(config, case):
        return replace(case, bits=2)

    PLAN = [Feature("my network", "Its layers come out right.", ("my_layer",), ("zero point",))]

``lutcore verify CONFIG --suite FILE.py`` plays it; it is run as it is. The decorators only mark
functions, which stay what they are: they can be called and tested as any others.
"""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from lutcore.verif.plan.plan import Feature as Feature

#: Attributes of marked functions: what a function is, and how far a golden model may be off.
ROLE, TOLERANCE = "lutcore_role", "lutcore_tolerance"

Function = TypeVar("Function", bound=Callable[..., Any])


def test(function: Function) -> Function:
    """Mark a test: ``f(config, seed)`` makes one case.

    Of a tile it returns a :class:`~lutcore.verif.sim.job.TileJob`
    (:func:`~lutcore.verif.sim.job.tile_job` lays out real data, stalls and resets) or a
    :class:`~lutcore.gen.verify.tile_cases.TileCase`; of a core a
    :class:`~lutcore.gen.verify.suite_cores.Program` or a
    :class:`~lutcore.gen.verify.programs.Case`. The same seed must give the same case. The
    function's name is the test's; what no :class:`Feature` of ``PLAN`` names is a feature of its
    own, with the first line of the function's docstring.
    """
    setattr(function, ROLE, "test")
    return function


test.__test__ = False  # type: ignore[attr-defined]  # pytest collects what is named so


@overload
def golden(function: Function) -> Function: ...
@overload
def golden(*, tolerance: float) -> Callable[[Function], Function]: ...
def golden(function: Any = None, *, tolerance: float = 0.0) -> Any:
    """Mark a golden model, which is held beside ours: a case on which they disagree fails.

    Of a tile, ``f(config, activations, weights, spans)``: activations [M, K], weights a
    :class:`~lutcore.compiler.weights.tensor.QuantTensor` [N, K] with codes q and zero points z,
    spans the parts (start, stop) of K that the tile sums in one run each. It returns numbers
    [M, N, spans], ``sum A (q - z)`` over each span; NaN where it says nothing. Of a core,
    ``f(config, words, memory, address, base)``: the instructions, uint8 memory from ``base`` on,
    where the first instruction stands; it returns memory after a program that ends well.

    Parameters
    ----------
    tolerance : float
        How far a number may be from ours, as a part of ``sum |A (q - z)|``; of tiles.
    """
    if function is None:
        return lambda marked: _golden(marked, tolerance)
    return _golden(function, tolerance)


def _golden(function: Function, tolerance: float) -> Function:
    setattr(function, ROLE, "golden")
    setattr(function, TOLERANCE, tolerance)
    return function


def constraint(function: Function) -> Function:
    """Mark a constraint, which every drawn case respects: ``f(config, case)``.

    It returns True, False (another case is drawn), or the case to play in its place
    (``dataclasses.replace(case, bits=2)``); what one changes, all others must accept. A case is a
    :class:`~lutcore.gen.verify.tile_cases.TileCase` or a
    :class:`~lutcore.gen.verify.programs.Case`; jobs and programs that a test lays out itself are
    not drawn, and are played as they are.
    """
    setattr(function, ROLE, "constraint")
    return function
