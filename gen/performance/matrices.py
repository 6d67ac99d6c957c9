"""The matrices that a network multiplies by, as a checkpoint's headers give them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from lutcore.compiler.importers.checkpoint import Checkpoint, Facts
from lutcore.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Matrices of a checkpoint that are alike: of one role, size and format.

    Attributes
    ----------
    tensor : str
        The first tensor that has one.
    role : str
        What its name says inside a block; ``head`` of the output matrix.
    stage : {"attention", "mixed", "up", "router", "down", "head"}
        Where in a block: up to attention, behind it, up to the activation, behind that.
    count : int
        How many there are, each expert's its own.
    n, k : int
    kind : str
        Type in the checkpoint's terms.
    bits : int
        Of the codes; 0: plain numbers, or a type that is not read.
    group_size : int
        Elements of a scale; 0: a row.
    scales : str
        Format of scale records (:data:`lutcore.hdl.isa.lmma.SCALES`).
    minimums : bool
        Each group has a minimum, which the host adds.
    nbytes : int or None
        Of one in the file.
    problem : str or None
        Why it is for no core, whichever.
    experts, used : int
        Of how many experts this is one, and how many of them a token uses; 0: every token uses it.
    """

    tensor: str
    role: str
    stage: str
    count: int
    n: int
    k: int
    kind: str
    bits: int
    group_size: int
    scales: str
    minimums: bool
    nbytes: int | None
    problem: str | None
    experts: int = 0
    used: int = 0

    @property
    def groups(self) -> int:
        """Scales of a row."""
        return -(-self.k // self.group_size) if self.group_size else 1

    def uses(self, rows: int) -> tuple[int | float, int]:
        """How often one of them is multiplied by for so many rows, and by how many rows each time.

        Rows spread evenly over as many experts as they can. The first number has a fraction where
        experts of one block differ in format: it is a mean.
        """
        if not self.experts:
            return self.count, rows
        busy = min(self.experts, rows * self.used)
        times = Fraction(self.count * busy, self.experts)
        whole = times.denominator == 1
        return int(times) if whole else float(times), -(-rows * self.used // busy)


@dataclass(frozen=True)
class Found:
    """A matrix's tensor: where it stands, and what its header says.

    ``expert`` is the number in its name, None where all experts, or no expert, are one tensor.
    """

    name: str
    block: int
    role: str
    expert: int | None
    facts: Facts

    @property
    def of_experts(self) -> bool:
        """One expert's, or a stack of theirs."""
        stack = len(self.facts.shape) == 3 and re.search(r"_(ch)?exps\b|\bexperts\b", self.role)
        return self.expert is not None or bool(stack)

    @property
    def stage(self) -> str:
        """As :attr:`Matrix.stage`."""
        return next(stage for stage, form in _STAGES.items() if form.search(self.role))

    @property
    def size(self) -> tuple[int, int]:
        """N and K."""
        return self.facts.shape[-2], self.facts.shape[-1]


@dataclass
class Tensors:
    """A checkpoint's tensors by what they are for.

    Attributes
    ----------
    blocks : list of Found
        Matrices of blocks.
    head, embedding : Found or None
    others : list of str
        Matrices that are none of these.
    norms : set of str
        Roles of vectors in blocks.
    """

    blocks: list[Found] = field(default_factory=list)
    head: Found | None = None
    embedding: Found | None = None
    others: list[str] = field(default_factory=list)
    norms: set[str] = field(default_factory=set)


#: A tensor of a block, in GGUF and in Hugging Face's names, and its number.
_BLOCK = re.compile(r"(.*?)(?:^|(?<=\.))(?:blk|layers?|h|blocks)\.(\d{1,6})\.(.+)")
#: Beginnings of what is beside the network that makes tokens: images, sounds, drafts.
_ASIDE = re.compile(r"vis(ion|ual)|audio|image|speech|mtp|multi_modal|^(v|a|mm|enc|dec)\.")
#: One expert's own tensor; the number goes.
_EXPERT = re.compile(r"(?<![^.])(experts|ffn_gate|ffn_up|ffn_down)\.(\d{1,6})(?=\.|$)")
_STACK = re.compile(r"experts\.(gate_up|gate|up|down)_proj$")
_HEADS = ("output", "lm_head", "embed_out")
_EMBEDDINGS = ("token_embd", "embed_tokens", "wte", "word_embeddings")
#: Tables that are looked up, not multiplied by.
_LOOKED_UP = re.compile(r"position|token_type|rope|wpe|embed|embd")
_STAGES = {
    "router": re.compile(r"gate_inp|router|^(mlp|block_sparse_moe|ffn|feed_forward)\.gate$"),
    "down": re.compile(
        r"ffn_down|down_proj|\bw2$|\bfc2$|4h_to_h$|^(mlp\.c_proj|output\.dense|ffn\.output)"
    ),
    "up": re.compile(r"ffn_|(gate|up)_proj|\bw[13]$|\bfc1$|h_to_4h$|^(mlp|intermediate|ffn)\b"),
    "mixed": re.compile(r"attn_out|\bo_proj|out_proj|\bwo$|c_proj|attention\.(output\.)?dense"),
    "attention": re.compile(""),
}


def sort_tensors(checkpoint: Checkpoint) -> Tensors:
    """Sort a checkpoint's tensors by their names; nothing but headers is read."""
    tensors = Tensors()
    for name in checkpoint.names():
        facts = checkpoint.facts(name)
        stem, inside = name.removesuffix(".weight"), _BLOCK.fullmatch(name)
        matrix = len(facts.shape) in (2, 3) and (stem != name or _STACK.search(name))
        if _ASIDE.search(inside[1] if inside else name):
            tensors.others += [name] if matrix else []
        elif inside and matrix:
            role = inside[3].removesuffix(".weight")
            expert = _EXPERT.search(role)
            role = _EXPERT.sub(r"\1", role)
            number = int(expert[2]) if expert else None
            tensors.blocks.append(Found(name, int(inside[2]), role, number, facts))
        elif inside:
            tensors.norms.add(inside[3].removesuffix(".weight"))
        elif matrix and stem.rpartition(".")[2] in _HEADS:
            tensors.head = Found(name, -1, "head", None, facts)
        elif matrix and stem.rpartition(".")[2] in _EMBEDDINGS:
            tensors.embedding = Found(name, -1, "head", None, facts)
        elif matrix and not _LOOKED_UP.search(stem):
            tensors.others.append(name)
    return tensors


def _size(found: Found, hidden: int) -> tuple[int, int]:
    """N and K of a matrix; stacks of plain numbers are the other way round in some checkpoints."""
    n, k = found.size
    up, down = found.stage == "up", found.stage == "down"
    if len(found.facts.shape) == 3 and found.facts.bits is None:
        if (up and n == hidden != k) or (down and k == hidden != n):
            return k, n
    return n, k


def _one(checkpoint: Checkpoint, found: Found) -> tuple[Facts, int]:
    """Facts of one matrix, and how many the tensor has."""
    whole = found.facts
    if len(whole.shape) != 3:
        return whole, 1
    count = whole.shape[0]
    if whole.bits is not None:
        return checkpoint.facts(f"{found.name}[0]"), count
    return replace(whole, nbytes=whole.nbytes and whole.nbytes // count), count


def _experts(found: list[Found]) -> Mapping[tuple[int, str], int]:
    """Block and role -> how many experts it has."""
    numbers: dict[tuple[int, str], int] = {}
    for one in filter(lambda one: one.of_experts, found):
        place = one.block, one.role
        count = one.facts.shape[0] if one.expert is None else numbers.get(place, 0) + 1
        numbers[place] = count
    return numbers


@dataclass(frozen=True)
class Sizes:
    """What metadata say that matrices alone do not: see :class:`Matrix`."""

    hidden: int
    experts: int
    used: int


def _matrices(
    checkpoint: Checkpoint, found: list[Found], sizes: Sizes, rounding: tuple[int, int] | None
) -> Iterator[Matrix]:
    experts = _experts(found)
    for one in found:
        stage = "head" if one.block < 0 else one.stage
        facts, count = _one(checkpoint, one)
        n, k = _size(one, sizes.hidden)
        total = experts[one.block, one.role] if one.of_experts else 0
        if total and not 0 < sizes.used <= total:
            raise InputError(
                f"{checkpoint.where(one.name)} is one of {total} experts, of which a token uses "
                f"{sizes.used or 'nobody says how many'}: expert_used_count or "
                "num_experts_per_tok must say it"
            )
        if total and sizes.experts and total != sizes.experts:
            raise InputError(
                f"{checkpoint.where(one.name)} is one of {total} experts, where the metadata say "
                f"{sizes.experts}: the checkpoint is incomplete or damaged"
            )
        if rounding and facts.bits is None and stage != "router":
            bits, group = rounding
            facts = replace(
                facts, kind=f"{facts.kind} rounded", bits=bits, group_size=group or k,
                problem=None, scales="fp16-zero",
            )  # fmt: skip
        group = facts.group_size or k
        yield Matrix(
            tensor=one.name,
            role=one.role,
            stage=stage,
            count=count,
            n=n,
            k=k,
            kind=facts.kind,
            bits=facts.bits or 0,
            group_size=group if group < k else 0,
            scales=facts.scales,
            minimums=facts.minimums,
            nbytes=facts.nbytes,
            problem=facts.problem,
            experts=total,
            used=sizes.used if total else 0,
        )


def matrices_of(
    checkpoint: Checkpoint,
    found: list[Found],
    sizes: Sizes,
    rounding: tuple[int, int] | None = None,
) -> tuple[Matrix, ...]:
    """Matrices of tensors, those that are alike together, in the file's order.

    Parameters
    ----------
    rounding : (bits, group size), optional
        What matrices that are not quantised are rounded to, routers left out.

    Raises
    ------
    InputError
        Experts disagree with the metadata.
    """
    alike: dict[Matrix, Matrix] = {}
    for matrix in _matrices(checkpoint, found, sizes, rounding):
        same = replace(matrix, tensor="", count=0)
        before = alike.get(same)
        alike[same] = (
            replace(before, count=before.count + matrix.count) if before is not None else matrix
        )
    return tuple(alike.values())
