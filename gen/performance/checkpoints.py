"""The shape of a checkpoint's network, with the matrices that its headers list."""

from dataclasses import replace

from lutcore.compiler.graph.build import describe
from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.errors import InputError
from lutcore.gen.performance.matrices import (
    Found,
    Matrix,
    Sizes,
    Tensors,
    matrices_of,
    sort_tensors,
)
from lutcore.gen.performance.metadata import from_metadata
from lutcore.gen.performance.shapes import ModelShape

#: How the note on a network begins that cannot be compiled.
REFUSED = "lutcore compile refuses this network"
#: Roles of the matrix that makes queries, and nothing else.
_QUERIES = ("attn_q", "self_attn.q_proj", "attention.self.query")


def checkpoint_shape(
    name: str, checkpoint: Checkpoint, rounding: tuple[int, int] | None = None
) -> ModelShape:
    """Sizes by the metadata, linear layers by the tensors.

    Parameters
    ----------
    rounding : (bits, group size), optional
        What matrices that are not quantised are rounded to.

    Raises
    ------
    InputError
        It is no network, incomplete, contradicts itself, or is quantised to other bits.
    """
    tensors = sort_tensors(checkpoint)
    if not tensors.blocks:
        missing = "" if checkpoint.metadata else " and no metadata"
        raise InputError(
            f"{checkpoint.path}: has no matrices of blocks (blk.0.*, layers.0.*){missing}: "
            "no network that is known"
        )
    shape = from_metadata(name, checkpoint.metadata, _defaults(tensors))
    found = [one for one in tensors.blocks if one.block < shape.blocks]
    missing = sorted(set(range(shape.blocks)) - {one.block for one in found})
    if missing:
        raise InputError(
            f"{checkpoint.path}: has no matrices of block {missing[0]}, and the metadata say "
            f"{shape.blocks} blocks: it is no whole network"
        )
    architecture = str(
        checkpoint.metadata.get("general.architecture") or checkpoint.metadata.get("model_type")
    )
    encoder = "bert" in architecture
    head = None if encoder else tensors.head or tensors.embedding
    sizes = Sizes(shape.hidden, shape.experts, shape.experts_used)
    read = [*found, head] if head else found
    plain = matrices_of(checkpoint, read, sizes)
    matrices = matrices_of(checkpoint, read, sizes, rounding) if rounding else plain
    notes = [*_sources(tensors, head, encoder), *_contradictions(shape, found)]
    notes += _rounded(checkpoint, plain, rounding) if rounding else []
    aside = [one.name for one in tensors.blocks if one.block >= shape.blocks] + tensors.others
    if aside:
        more = f" and {len(aside) - 3} more" if len(aside) > 3 else ""
        notes.append(f"not counted: {', '.join(aside[:3])}{more}")
    notes += _refusal(checkpoint)
    return replace(
        shape,
        matrices=matrices,
        causal=not encoder,
        rotary=not encoder,
        sub_norms=any("sub_norm" in role for role in tensors.norms),
        notes=tuple(notes),
    )


def _refusal(checkpoint: Checkpoint) -> list[str]:
    """Why the network is not compiled, if it is not: its times are those of its matrices alone."""
    try:
        describe(checkpoint)[1].refuse_unknown(str(checkpoint.path))
    except InputError as error:
        return [f"{REFUSED}: {str(error).removeprefix(f'{checkpoint.path}: ')}"]
    return []


def _defaults(tensors: Tensors) -> dict[str, int]:
    """What tensors say of fields that metadata may leave out."""
    table = tensors.head or tensors.embedding
    downs = [one.size[1] for one in tensors.blocks if one.stage == "down"]
    return {"vocabulary": table.size[0] if table else 1, "ffn": max(downs, default=1)}


def _sources(tensors: Tensors, head: Found | None, encoder: bool) -> list[str]:
    """Where the output matrix comes from."""
    if head is None:
        return [] if encoder else ["it has no output matrix and no embedding: no head"]
    if tensors.head is None:
        return [f"the head is {head.name}: it has no output matrix of its own"]
    return []


def _contradictions(shape: ModelShape, found: list[Found]) -> list[str]:
    """Matrices of queries of another width than the metadata's heads."""
    odd = [x for x in found if x.role in _QUERIES and x.size[0] != shape.queries]
    if not odd:
        return []
    first, heads = odd[0], f"{shape.heads} heads of {shape.head}"
    return [f"{first.name} has {first.size[0]} rows, where attention is that of {heads}"]


def _rounded(
    checkpoint: Checkpoint, plain: tuple[Matrix, ...], rounding: tuple[int, int]
) -> list[str]:
    """What ``--bits`` changes; refused where it contradicts all that is there."""
    bits, group = rounding
    own = sorted({x.bits for x in plain if x.bits})
    floats = sum(x.count for x in plain if not x.bits and x.stage != "router")
    widths = ", ".join(map(str, own))
    if not floats and own != [bits]:
        raise InputError(
            f"--bits {bits} contradicts {checkpoint.path}, whose matrices have {widths} bits: "
            "leave --bits out"
        )
    if not floats:
        return []
    groups = f"a scale for {group} elements" if group else "a scale a row"
    kept = f"; the others keep theirs ({widths} bits)" if own else ""
    return [f"--bits {bits}: {floats} matrices rounded to {bits} bits, {groups}{kept}"]
