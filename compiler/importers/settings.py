"""Settings of a quantisation: where they stand, that they agree, that all are understood.

``quantization_config`` of config.json, or a file beside it (:data:`METHODS`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lutcore.compiler.importers.harmless import reason
from lutcore.errors import InputError

#: Files beside config.json that hold settings -> the method of one that names none.
METHODS = {"quantize_config.json": "gptq", "quant_config.json": "awq"}
#: Names that producers have for a key, beside the one that is read.
_NAMES = {
    "w_bit": "bits",
    "q_group_size": "group_size",
    "method": "quant_method",
    "format": "checkpoint_format",
}
#: How :mod:`~lutcore.compiler.importers.harmless` names a setting, wherever it stands.
_MEMBER = "quantization_config."
#: Keys whose values are written in either case.
_CASELESS = ("version", "checkpoint_format", "quant_method")

_FLAG = (True, False, None)
#: Keys that producers write with every method -> values that change nothing.
COMMON: dict[str, tuple[Any, ...]] = {
    "pack_dtype": ("int32", None),
    "activation": (None,),
    "rotation": (None,),
    "adapter": (None,),
    "tokenizer": (None,),
    "batch_size": (1, None),
    "pad_token_id": (None,),
    "max_input_length": (None,),
    # How the order of rounding was chosen, and which kernels run.
    "act_group_aware": _FLAG,
    "hyb_act": _FLAG,
    "static_groups": _FLAG,
    "true_sequential": _FLAG,
    "cache_block_outputs": _FLAG,
    "exllama_config": ({"version": 1}, {"version": 2}, None),
}
#: Verdicts of :meth:`Settings.judge`.
USED = "used"
NEUTRAL = "of this value it changes nothing of what is stored"


def short(value: object) -> str:
    """A value of a file as errors quote it, in one line."""
    if isinstance(value, str):
        return repr(value[:40])
    try:
        return repr(value)[:40]
    except (RecursionError, ValueError):  # nested too deep, a number too long
        return "..."


def same(one: object, other: object) -> bool:
    """Whether two values of JSON are the same; 1 is neither true nor "1"."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return one == other


@dataclass(frozen=True)
class Settings:
    """How a checkpoint is quantised, by the names of AutoGPTQ, and what the caller chose.

    Attributes
    ----------
    config : mapping
        Key -> value.
    written : mapping
        Key -> files that say it, and the name that it has there; the first is the one that counts.
    gptq_version : 1, 2 or None
        None where the checkpoint is to say it.
    origin : str
        The file that counts where none says a key.
    """

    config: Mapping[str, Any]
    gptq_version: int | None = None
    written: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    origin: str = "config.json"

    def file(self, key: str) -> str:
        """The file that says a key."""
        return self._places(key)[0][0]

    def _places(self, key: str) -> list[tuple[str, str]]:
        return self.written.get(key) or [(self.origin, key)]

    def _typed(self, key: str, kind: type, called: str) -> Any:
        value = self.config.get(key)
        if value is not None and (
            not isinstance(value, kind) or (kind is int and isinstance(value, bool))
        ):
            raise InputError(f"has {key} = {short(value)} in {self.file(key)}, not {called}")
        return value

    def integer(self, key: str) -> int | None:
        """A whole number, or None where it is not there."""
        return self._typed(key, int, "a whole number")

    def text(self, key: str) -> str | None:
        """A string, or None where it is not there."""
        return self._typed(key, str, "a string")

    def flag(self, key: str) -> bool | None:
        """True or false, or None where it is not there."""
        return self._typed(key, bool, "true or false")

    def choices(self, key: str) -> list[int]:
        """Whole numbers that a matrix may have: the common one and those of ``dynamic``.

        None at all where the common one is not there: then shapes decide.
        """
        common = self.integer(key)
        if common is None:
            return []
        found = [common]
        for rule in self._rules():
            value = rule.get(key, common)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"has dynamic with {key} = {short(value)}, not a whole number")
            found += [value] if value not in found else []
        return found

    def _rules(self) -> list[dict[str, Any]]:
        """What ``dynamic`` of GPTQModel changes for some modules: shapes tell for which."""
        rules = self._typed("dynamic", dict, "an object") or {}
        found = []
        for pattern, changes in rules.items():
            if pattern.startswith("-:"):  # modules that are not quantised
                continue
            if not isinstance(changes, dict):
                raise InputError(f"has dynamic {short(pattern)}: {short(changes)}, no object")
            for key in changes:
                if key not in ("bits", "group_size") and reason(_MEMBER + key) is None:
                    raise InputError(
                        f"has dynamic with {short(key)} for some modules in "
                        f"{self.file('dynamic')}, which is not read; read: bits, group_size"
                    )
            found.append(changes)
        return found

    def group_size(self, k: int, groups: int) -> int:
        """Scale group of ``groups`` in K elements; -1 in config.json is all of K."""
        stated = self.choices("group_size")
        if not stated:
            if k % groups:
                raise InputError(f"has {groups} groups, which do not divide K = {k}")
            return k // groups
        sizes = {k if size == -1 else size for size in stated}
        fit = sorted(size for size in sizes if size >= 1 and -(-k // size) == groups)
        if len(fit) != 1:
            which = " or ".join(map(str, fit or stated))
            why = "leaves it open" if fit else "disagrees"
            raise InputError(
                f"has {groups} groups for K = {k}, where group_size = {which} of "
                f"{self.file('group_size')} {why}"
            )
        return fit[0]

    def judge(self, keys: Mapping[str, tuple[Any, ...]]) -> dict[str, str]:
        """Key, by the name that it has in its file -> :data:`USED`, or why it changes nothing.

        Parameters
        ----------
        keys : mapping
            Keys that a layout understands -> values that it accepts, or () where it reads them.

        Raises
        ------
        InputError
            A key is not understood, or its value is not ("has ...").
        """
        found = {}
        for key, value in self.config.items():
            verdict = self._verdict(key, value, keys.get(key))
            found |= {name: verdict for _, name in self.written.get(key, ())}
        return found

    def _verdict(self, key: str, value: object, accepted: tuple[Any, ...] | None) -> str:
        file, name = self._places(key)[0]
        if accepted == ():
            return USED
        if accepted is not None:
            if not any(same(value, one) for one in accepted):
                listed = ", ".join("null" if one is None else str(one) for one in accepted)
                raise InputError(
                    f"has {name} = {short(value)} in {file}, which is not read; read: {listed}"
                )
            return NEUTRAL
        why = reason(_MEMBER + key)
        if why is not None:
            return why
        raise InputError(
            f"has the setting {short(name)} in {file}, which is not understood: "
            "if it changes nothing of what is stored, remove it there"
        )


def read_settings(
    folder: Path, config: Mapping[str, Any], sidecars: Mapping[str, Any], gptq_version: int | None
) -> Settings:
    """The settings of a folder: of config.json, completed by files beside it.

    Raises
    ------
    InputError
        They are no objects, or contradict each other.
    """
    stated = {"config.json": config.get("quantization_config")}
    stated |= {name: sidecars[name] for name in METHODS if name in sidecars}
    values: dict[str, Any] = {}
    written: dict[str, list[tuple[str, str]]] = {}
    implied = None
    for file, found in stated.items():
        if found is None:
            continue
        if not isinstance(found, dict):
            what = "quantization_config" if file == "config.json" else "it"
            raise InputError(f"{folder / file}: {what} must be an object: download it again")
        implied = implied or (file if file in METHODS else None)
        for name, value in found.items():
            key = _NAMES[name] if name in _NAMES else name
            places = written.setdefault(key, [])
            if values.get(key) is None:
                values[key] = value
                places.insert(0, (file, name))
                continue
            if value is not None and not _agree(key, values[key], value):
                first, called = places[0]
                raise InputError(
                    f"{folder / file}: has {short(name)} = {short(value)}, where {first} has "
                    f"{short(called)} = {short(values[key])}: correct the wrong one, or remove it"
                )
            places.append((file, name))
    if implied and values.get("quant_method") is None:
        values["quant_method"] = METHODS[implied]
    settings = Settings(values, gptq_version, written, implied or "config.json")
    _refuse(folder, settings)
    return settings


def _agree(key: str, one: object, other: object) -> bool:
    if key in _CASELESS and isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return same(one, other)


def _refuse(folder: Path, settings: Settings) -> None:
    """Refuse what makes all tensors of a checkpoint others than they seem."""
    method = settings.config.get("quant_method")
    if method == "torchao":
        raise InputError(
            f"{folder / settings.file('quant_method')}: quant_method is torchao, whose tensors are "
            "not read: quantise the model with GPTQ or AWQ, or convert it to GGUF"
        )
    if method == "bitnet" and settings.config.get("quantization_mode") == "online":
        raise InputError(
            f"{folder / settings.file('quantization_mode')}: quantization_mode is online: weights "
            "are stored as floats and rounded while the model runs, which is not read: give the "
            "checkpoint of packed weights (offline)"
        )
