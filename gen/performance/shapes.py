"""Models as the operators of their blocks: from shapes alone, or with a checkpoint's matrices."""

from collections.abc import Iterator
from dataclasses import dataclass

from lutcore.gen.performance.matrices import Matrix

#: Bytes of a number between operators, and of the KV cache.
HALF = 2


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """A decoder.

    Attributes
    ----------
    name : str
    hidden, blocks, heads, kv_heads, ffn, vocabulary : int
    gated : bool
        The feed-forward part has a gate beside the way up.
    rotary : bool
        Positions are rotations of queries and keys.
    sub_norms : bool
        Norms before the output and down projections too (BitNet b1.58).
    causal : bool
        A token sees those before it and itself; else all.
    head_size, value_size : int
        Of a head's keys, and values; 0: the width over the heads, and as keys.
    experts, experts_used : int
        Experts of a block, and how many of them a token uses; 0: there are none.
    expert_ffn, shared_ffn : int
        Widths of an expert, and of what all tokens use beside them.
    dense_blocks : int
        Blocks without experts, where others have them.
    bits, group_size : int
        Of weights, where the model says it: ``bits`` 0 else; ``group_size`` 0 is a row.
    matrices : tuple of Matrix
        Those of a checkpoint: they take the place of all linear layers that a shape would have.
    notes : tuple of str
        What a reader must know of where this comes from.
    """

    name: str
    hidden: int
    blocks: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    gated: bool = True
    rotary: bool = True
    sub_norms: bool = False
    causal: bool = True
    head_size: int = 0
    value_size: int = 0
    experts: int = 0
    experts_used: int = 0
    expert_ffn: int = 0
    shared_ffn: int = 0
    dense_blocks: int = 0
    bits: int = 0
    group_size: int = 0
    matrices: tuple[Matrix, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def head(self) -> int:
        """Elements of a head's query, or key."""
        return self.head_size or self.hidden // self.heads

    @property
    def queries(self) -> int:
        """Width of queries."""
        return self.head * self.heads

    @property
    def kv(self) -> int:
        """Width of keys."""
        return self.head * self.kv_heads

    @property
    def values(self) -> int:
        """Width of values."""
        return (self.value_size or self.head) * self.kv_heads

    @property
    def mixed(self) -> int:
        """Width of what attention makes."""
        return (self.value_size or self.head) * self.heads


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What is computed at once.

    ``batch`` sequences of ``tokens`` new tokens each, which see ``context`` tokens, themselves
    included.
    """

    name: str
    batch: int
    tokens: int
    context: int

    @property
    def rows(self) -> int:
        """Rows of activations."""
        return self.batch * self.tokens


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a phase.

    Attributes
    ----------
    name : str
    count : int or float
        How often it is there; a mean where experts of one block differ.
    shape : (int, int, int) or None
        M, N, K of a linear layer; None: it runs on the host.
    operations : int
        Multiplications and additions.
    bytes : int
        Of a host's operator: activations and cache, read and written, HALF each. Of a linear
        layer, see :mod:`lutcore.gen.performance.model`.
    source : str
        Of a linear layer: the activations whose tables it needs.
    matrix : Matrix or None
        Of a linear layer: what the checkpoint says of it; None: it is as the system says.
    """

    name: str
    count: int | float
    shape: tuple[int, int, int] | None = None
    operations: int = 0
    bytes: int = 0
    source: str = ""
    matrix: Matrix | None = None


#: Stages of linear layers (:class:`~lutcore.gen.performance.matrices.Matrix`) -> what they read.
_SOURCES = {
    "attention": "norm 1",
    "mixed": "attention",
    "router": "norm 2",
    "up": "norm 2",
    "down": "activation",
    "head": "norm 3",
}
_Stages = dict[str, list[Operator]]


def _linear(name: str, count: float, m: int, n: int, k: int, stage: str, matrix=None) -> Operator:
    return Operator(
        name=name, count=count, shape=(m, n, k), operations=2 * m * n * k,
        source=_SOURCES[stage], matrix=matrix,
    )  # fmt: skip


def _pointwise(name: str, count: int, read: int, written: int, each: int = 1) -> Operator:
    return Operator(
        name=name, count=count, operations=each * written, bytes=HALF * (read + written)
    )


def _of_checkpoint(model: ModelShape, phase: Phase) -> _Stages:
    """Linear layers, and what is between them, with a checkpoint's matrices."""
    m = phase.rows
    found: _Stages = {stage: [] for stage in (*_SOURCES, "activation", "sum")}
    wide = narrow = summed = sums = 0.0
    for matrix in model.matrices:
        stage = matrix.stage
        count, rows = matrix.uses(phase.batch if stage == "head" else m)
        linear = _linear(matrix.role, count, rows, matrix.n, matrix.k, stage, matrix)
        found[stage].append(linear)
        if stage == "up":
            wide += count * rows * matrix.n
        elif stage == "down":
            narrow += count * rows * matrix.k
            if matrix.used:
                made = m * matrix.n * matrix.count / matrix.experts
                sums += made
                summed += made * matrix.used
    if narrow:
        found["activation"].append(_pointwise("activation", 1, round(wide), round(narrow), each=4))
    if sums:
        bytes_ = HALF * round(summed + sums)
        one = Operator(name="sum of experts", count=1, operations=round(2 * summed), bytes=bytes_)
        found["sum"].append(one)
    return found


def _of_shape(model: ModelShape, phase: Phase) -> _Stages:
    """Linear layers, and what is between them, of a shape: queries, keys and values at once."""
    m, d = phase.rows, model.hidden
    found: _Stages = {stage: [] for stage in (*_SOURCES, "activation", "sum")}

    def linear(stage: str, name: str, count: int, rows: int, n: int, k: int) -> None:
        if count and n and k:
            found[stage].append(_linear(name, count, rows, n, k, stage))

    def feed_forward(name: str, count: int, rows: int, width: int, each: int = 1) -> None:
        up = (1 + model.gated) * width
        linear("up", f"{name}up" + ", gate" * model.gated, count * each, rows, up, d)
        linear("down", f"{name}down", count * each, rows, d, width)
        if count and width:
            number, rows = count, rows * each
            named = f"{name}activation"
            found["activation"].append(_pointwise(named, number, rows * up, rows * width, each=4))

    experts, blocks, used = model.experts, model.blocks, model.experts_used
    dense = model.dense_blocks if experts else blocks
    linear("attention", "qkv", blocks, m, model.queries + model.kv + model.values, d)
    linear("mixed", "output", blocks, m, d, model.mixed)
    feed_forward("", dense, m, model.ffn)
    if sparse := blocks - dense:
        busy = min(experts, m * used)
        router = Operator(
            name="router", count=sparse, operations=2 * m * experts * d,
            bytes=HALF * (experts * d + m * (experts + d)),
        )  # fmt: skip
        found["router"].append(router)
        feed_forward("expert ", sparse, -(-m * used // busy), model.expert_ffn, busy)
        feed_forward("shared ", sparse, m, model.shared_ffn)
        found["sum"].append(_pointwise("sum of experts", sparse, m * used * d, m * d, 2 * used))
    linear("head", "head", 1, phase.batch, model.vocabulary, d)
    return found


def operators(model: ModelShape, phase: Phase) -> Iterator[Operator]:
    """Operators of all blocks and the head: linear layers, and what the host does.

    Attention is causal, unless the model's is not: of ``tokens`` new ones each sees half of them
    and all earlier ones; its scores stay on the chip. The head is computed for the last token of
    each sequence. Tokens spread evenly over as many experts as they can.
    """
    m, d, blocks = phase.rows, model.hidden, model.blocks
    found = (_of_checkpoint if model.matrices else _of_shape)(model, phase)
    seen = phase.context - (phase.tokens - 1) / 2 * model.causal
    norms, turned = 2 + 2 * model.sub_norms, model.queries + model.kv
    yield _pointwise("norms", norms * blocks, m * d, m * d, each=4)
    yield from found["attention"]
    if model.rotary:
        yield _pointwise("rotary", blocks, m * turned, m * turned, each=3)
    cache = phase.batch * phase.context * (model.kv + model.values)
    yield Operator(
        name="attention",
        count=blocks,
        operations=int(2 * m * seen * (model.queries + model.mixed)),
        bytes=HALF * (m * (model.queries + model.mixed) + cache),
    )
    yield from found["mixed"]
    yield _pointwise("residuals", 2 * blocks, 2 * m * d, m * d)
    for stage in ("router", "up", "activation", "down", "sum", "head"):
        yield from found[stage]


def _old(name: str, hidden: int, blocks: int, heads: int, vocabulary: int, rotary: bool = False):
    """Multi-head attention and a feed-forward part of four times the width without a gate."""
    return ModelShape(
        name=name, hidden=hidden, blocks=blocks, heads=heads, kv_heads=heads, ffn=4 * hidden,
        vocabulary=vocabulary, gated=False, rotary=rotary,
    )  # fmt: skip


def _llama(
    name: str, hidden: int, blocks: int, heads: int, kv_heads: int, ffn: int, sub: bool = False
):
    return ModelShape(
        name=name, hidden=hidden, blocks=blocks, heads=heads, kv_heads=kv_heads, ffn=ffn,
        vocabulary=32_000, sub_norms=sub,
    )  # fmt: skip


_SHAPES = (
    _old("opt-175b", 12_288, 96, 96, 50_272),
    _old("bloom-176b", 14_336, 70, 112, 250_880),
    _llama("llama2-7b", 4096, 32, 32, 32, 11_008),
    _llama("llama2-13b", 5120, 40, 40, 40, 13_824),
    _llama("llama2-70b", 8192, 80, 64, 8, 28_672),
    _llama("bitnet-3b", 3200, 26, 32, 32, 8640, sub=True),
)
#: Built-in shapes, of the published configurations.
MODELS = {shape.name: shape for shape in _SHAPES}
