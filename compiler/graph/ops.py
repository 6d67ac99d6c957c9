"""The operations of graphs: what each reads and makes, and who executes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lutcore.errors import InputError

Shape = tuple[int | str, ...]
_Types = list["Value"]


@dataclass(frozen=True)
class Value:
    """Shape and type of a value."""

    shape: Shape
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Op:
    """An operation.

    Attributes
    ----------
    infer : callable
        Types of the outputs, of the inputs' types and the attributes; KeyError or ValueError where
        these do not fit.
    core : bool
        Whether a core executes it; else the host.
    elementwise : bool
        Whether each token's result depends on that token alone, so that the host can quantise it
        where it makes it.
    least, most : int
        How many inputs it has.
    text : str
        What it computes.
    """

    infer: Callable[[_Types, dict[str, Any]], _Types]
    least: int
    most: int
    text: str
    core: bool = False
    elementwise: bool = False


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _floats(values: _Types) -> None:
    _need(all(value.dtype == "f32" for value in values), "inputs must be f32")


def _same(values: _Types, attributes: dict) -> _Types:
    _floats(values)
    _need(all(value.shape == values[0].shape for value in values), "shapes must be equal")
    return [values[0]]


def _embed(values: _Types, attributes: dict) -> _Types:
    index, table = values
    _need(index.dtype == "i64" and len(table.shape) == 2, "needs numbers and a matrix")
    return [Value((*index.shape, table.shape[1]), "f32")]


def _norm(values: _Types, attributes: dict) -> _Types:
    _floats(values)
    _need(attributes["kind"] in ("layer", "rms"), "kind must be layer or rms")
    _need(float(attributes["epsilon"]) >= 0, "epsilon must not be negative")
    width = int(values[0].shape[-1]) // int(attributes.get("heads", 1))
    gains = values[1:]
    _need(
        bool(gains) and all(v.shape == (width,) for v in gains), f"gains must have {width} elements"
    )
    return [values[0]]


def _matrix(values: _Types) -> Shape:
    """Shape of ``x W^T``."""
    x, w = values[:2]
    _need(len(w.shape) == 2 and x.shape[-1] == w.shape[1], f"{x} does not meet {w}")
    return (*x.shape[:-1], w.shape[0])


def _linear(values: _Types, attributes: dict) -> _Types:
    shape = _matrix(values)
    _floats([values[0], *values[2:]])
    _need(all(value.shape == shape[-1:] for value in values[2:]), "the bias must have N elements")
    return [Value(shape, "f32")]


def _quantise(values: _Types, attributes: dict) -> _Types:
    _floats(values)
    (x,) = values
    return [Value(x.shape, "i8"), Value((*x.shape[:-1], 1), "f32")]


def _mpgemm(values: _Types, attributes: dict) -> _Types:
    x, w = values
    _need(x.dtype == "i8" and w.dtype.startswith("w"), "needs i8 and weight codes")
    return [Value(_matrix(values), "f32")]


def _precompute(values: _Types, attributes: dict) -> _Types:
    (x,) = values
    _need(x.dtype == "i8", "needs i8")
    k, entries = int(attributes["k"]), int(attributes["entries"])
    return [Value((*x.shape[:-1], -(-int(x.shape[-1]) // k), entries), "table")]


def _lut_mpgemm(values: _Types, attributes: dict) -> _Types:
    table, w = values
    _need(table.dtype == "table" and w.dtype.startswith("w"), "needs tables and weight codes")
    groups = -(-int(w.shape[1]) // int(attributes["k"]))
    _need(table.shape[1] == groups, f"{table} does not meet {w}")
    return [Value((table.shape[0], w.shape[0]), "f32")]


def _offset(values: _Types, attributes: dict) -> _Types:
    y, x, minimums = values[:3]
    _need(x.dtype == "i8" and y.dtype == "f32", "needs products and codes")
    group = int(attributes["group"])
    groups = -(-int(x.shape[-1]) // group)
    _need(0 < group < 1 << 31, "group must be in 1..2^31 - 1")
    _need(minimums.shape == (y.shape[-1], groups), "minimums must be [N, groups]")
    return [y]


def _rescale(values: _Types, attributes: dict) -> _Types:
    _floats(values)
    y, scale = values[:2]
    _need(scale.shape == (*y.shape[:-1], 1), "needs a scale of each token")
    _need(all(value.shape == y.shape[-1:] for value in values[2:]), "the bias must have N elements")
    float(attributes.get("factor", 1))
    return [y]


def _rotary(values: _Types, attributes: dict) -> _Types:
    x, positions = values[:2]
    heads, dimension = int(attributes["heads"]), int(attributes["dimension"])
    _need(positions.dtype == "i64" and x.dtype == "f32", "needs vectors and positions")
    _need(attributes["pairs"] in ("halves", "neighbours"), "pairs must be halves or neighbours")
    _need(float(attributes["base"]) > 0, "base must be positive")
    size = int(x.shape[-1]) // heads
    _need(size * heads == x.shape[-1] and 0 < dimension <= size, "heads do not divide the vector")
    _need(dimension % 2 == 0, "the rotated part must be even")
    _need(all(v.shape == (dimension // 2,) for v in values[2:]), "each pair needs a factor")
    _need(float(attributes.get("magnitude", 1)) > 0, "magnitude must be positive")
    _need(
        ("original" in attributes) == (len(values) == 4) and int(attributes.get("original", 1)) > 0,
        "factors of long texts need the length that others are for",
    )
    return [x]


def _attention(values: _Types, attributes: dict) -> _Types:
    _floats(values)
    q, k, v = values
    heads, kv_heads = int(attributes["heads"]), int(attributes["kv_heads"])
    bool(attributes["causal"])
    window = attributes.get("window", 1)
    _need(isinstance(window, int) and window > 0, "a window must be positive")
    _need("window" not in attributes or bool(attributes["causal"]), "a window looks back only")
    _need(kv_heads > 0 and heads % kv_heads == 0, "kv_heads must divide heads")
    _need(k.shape == v.shape, "keys and values must have one shape")
    _need(
        int(q.shape[-1]) * kv_heads == int(k.shape[-1]) * heads and int(q.shape[-1]) % heads == 0,
        "heads do not divide the vectors",
    )
    return [q]


def _activation(values: _Types, attributes: dict) -> _Types:
    _need(attributes["kind"] in ACTIVATIONS, f"kind must be one of {', '.join(ACTIVATIONS)}")
    return _same(values, attributes)


def _scale(values: _Types, attributes: dict) -> _Types:
    float(attributes["factor"])
    return _same(values, attributes)


def _pool(values: _Types, attributes: dict) -> _Types:
    _floats(values)
    (x,) = values
    _need(attributes["kind"] in POOLINGS, f"kind must be one of {', '.join(POOLINGS)}")
    return [Value((1, *x.shape[1:]), "f32")]


#: Nonlinear functions that the host knows.
ACTIVATIONS = ("gelu", "gelu-tanh", "silu", "relu", "relu2", "tanh")
#: Ways to make one vector of all: the sum over the root of their number, and with weights 1, 2, 3
#: and so on, are two that sentence-transformers has.
POOLINGS = ("mean", "first", "last", "max", "mean-sqrt", "weighted")

#: Operation -> what it is.
OPS: dict[str, Op] = {
    "embed": Op(_embed, 2, 2, "rows of a table"),
    "norm": Op(
        _norm, 2, 3, "LayerNorm or RMSNorm, of each head if there are heads", elementwise=True
    ),
    "linear": Op(_linear, 2, 3, "x W^T + bias"),
    "quantise": Op(
        _quantise, 1, 1, "INT8 by the largest magnitude of each token", elementwise=True
    ),
    "mpgemm": Op(_mpgemm, 2, 2, "INT8 codes times weight codes, scaled by group", core=True),
    "precompute": Op(_precompute, 1, 1, "tables of all sums of k activations", core=True),
    "lut_mpgemm": Op(_lut_mpgemm, 2, 2, "products looked up in tables, scaled by group", core=True),
    "offset": Op(_offset, 3, 4, "adds each group's minimum times its sum of codes"),
    "rescale": Op(_rescale, 2, 3, "y times the token's scale times a factor, + bias"),
    "rotary": Op(_rotary, 2, 4, "rotary embedding of each head"),
    "attention": Op(_attention, 3, 3, "softmax(q k^T) v of each head"),
    "activation": Op(_activation, 1, 1, "a nonlinear function", elementwise=True),
    "scale": Op(_scale, 1, 1, "x times a factor", elementwise=True),
    "multiply": Op(_same, 2, 2, "a b", elementwise=True),
    "add": Op(_same, 2, 2, "a + b", elementwise=True),
    "pool": Op(_pool, 1, 1, "one vector of all tokens"),
    "unit": Op(_same, 1, 1, "vectors of length 1"),
}


def infer(op: str, values: _Types, attributes: dict[str, Any]) -> _Types:
    """Types of what an operation makes.

    Raises
    ------
    InputError
        Inputs or attributes are not what it takes.
    """
    try:
        made = OPS[op]
        _need(made.least <= len(values) <= made.most, f"has {made.least}..{made.most} inputs")
        return made.infer(values, attributes)
    except (KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        given = ", ".join(map(str, values))
        raise InputError(f"{op}({given}): {error}") from error
