"""What stands at the end of a network: logits, vectors, one vector of a text, classes."""

from dataclasses import dataclass
from typing import Any

from lutcore.compiler.graph.families import Family
from lutcore.compiler.graph.reading import Reading
from lutcore.compiler.importers.settings import short

_POOLING = "1_Pooling/config.json"
#: Key of 1_Pooling/config.json -> kind of pooling.
_MODES = {
    "pooling_mode_cls_token": "first",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean-sqrt",
    "pooling_mode_weightedmean_tokens": "weighted",
    "pooling_mode_lasttoken": "last",
}
#: ``pooling_mode`` of newer ones -> kind.
_NAMED = {
    "cls": "first",
    "mean": "mean",
    "max": "max",
    "mean_sqrt_len_tokens": "mean-sqrt",
    "weightedmean": "weighted",
    "lasttoken": "last",
}
#: ``pooling_type`` of GGUF -> kind; 4 ranks, which takes a head.
_NUMBERED = {0: "", 1: "mean", 2: "first", 3: "last"}
_PATHS = {"Transformer": "", "Pooling": "1_Pooling"}
_MODULES = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class End:
    """What is made of the last layer's vectors.

    Attributes
    ----------
    kind : str
        ``logits``: scores of the next token. ``masked``: scores of each token itself, by BERT's
        head. ``classes``: scores of classes, by the first token. ``vectors``: nothing more.
    pooling : str
        How ``vectors`` become one, a kind of the operation ``pool``; "" leaves all.
    unit : bool
        Whether that one is made of length 1.
    """

    kind: str
    pooling: str = ""
    unit: bool = False


def read_end(reading: Reading, kind: str, family: Family, width: int) -> End:
    """What a checkpoint says of the end.

    Raises
    ------
    InputError
        A head or a pooling that is not known.
    """
    if not reading.hugging_face:
        return _of_gguf(reading, kind, family)
    named = reading.take("architectures")
    ends = dict(family.ends)
    if named is None:
        end = next(iter(ends.values()))
    elif isinstance(named, list) and len(named) == 1 and str(named[0]) in ends:
        end = ends[named[0]]
    else:
        reading.refuse(
            f"architectures {short(named)} is not known; known: {', '.join(ends)}: "
            "take a checkpoint of one of them"
        )
    pooling, unit = _sentence(reading, width)
    if not pooling and not unit:
        return End(end)
    if end in ("masked", "logits"):
        end = "vectors"  # a sentence encoder that was made of another model: its head is left over
    if end != "vectors":
        having = ", ".join(name for name, kind in ends.items() if kind == "vectors")
        what = f"pools vectors of {having}, which {short(named)} has not"
        reading.refuse(f"{_POOLING} {what}: remove it")
    return End(end, pooling, unit)


def _of_gguf(reading: Reading, kind: str, family: Family) -> End:
    end = family.ends[""]
    number = reading.take(f"{kind}.pooling_type", 0)
    if isinstance(number, bool) or number not in _NUMBERED:
        reading.refuse(f"{kind}.pooling_type {short(number)} is not known: 0, 1, 2 or 3")
    pooling = _NUMBERED[number]
    return End("vectors" if pooling else end, pooling)


def _sentence(reading: Reading, width: int) -> tuple[str, bool]:
    """Pooling and normalising, as sentence-transformers' files say them."""
    modules = reading.take("modules.json")
    unit = False
    if modules is not None:
        names = [_module(part) for part in modules] if isinstance(modules, list) else []
        if names not in ([*_MODULES[:end]] for end in (1, 2, 3)):
            reading.refuse(
                f"modules.json: {short(names)} must be sentence_transformers' own "
                f"{', '.join(_MODULES)}, in order, the first at the folder itself, the second at "
                "1_Pooling"
            )
        if len(names) > 1 and _POOLING not in reading.checkpoint.sidecars:
            reading.refuse(f"modules.json names a pooling, but there is no {_POOLING}")
        if len(names) == 1:
            return "", False  # what else stands beside it is not of it
        unit = len(names) == 3
    elif _POOLING in reading.checkpoint.sidecars:
        reading.refuse(f"{_POOLING} is there, but no modules.json that names it: remove it")
    prefix = f"{_POOLING}: "
    for key in ("word_embedding_dimension", "embedding_dimension"):
        if reading.take(prefix + key, width) != width:
            reading.refuse(f"{prefix}{key} must be {width}, as config.json says")
    chosen = [kind for key, kind in _MODES.items() if reading.take(prefix + key) is True]
    named = reading.take(f"{prefix}pooling_mode")
    if named is not None:
        if not isinstance(named, str) or named not in _NAMED:
            reading.refuse(f"{prefix}pooling_mode {short(named)} is not known: {', '.join(_NAMED)}")
        chosen = [*{*chosen, _NAMED[named]}]
    if len(chosen) > 1:
        reading.refuse(f"{_POOLING} pools in {len(chosen)} ways: one is known, not a row of them")
    if not chosen and _POOLING in reading.checkpoint.sidecars:
        reading.refuse(f"{_POOLING} names no pooling that is known: {', '.join(_MODES)}")
    return (chosen[0] if chosen else "", unit)


def _module(part: Any) -> str:
    """Name of a module of the library's, where it stands as it does there; else all it says."""
    kind, path = (part.get("type"), part.get("path")) if isinstance(part, dict) else (part, None)
    name = str(kind).rpartition(".")[2]
    good = str(kind).startswith("sentence_transformers.") and _PATHS.get(name, path) == path
    return name if good else f"{kind} at {path!r}"
