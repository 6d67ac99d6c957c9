"""Reads test plans: which features a kind of design has, and what shows each of them."""

import tomllib
from dataclasses import dataclass
from importlib import resources

from lutcore.errors import InputError

#: Kinds of designs that have a plan.
KINDS = ("tile", "core")


@dataclass(frozen=True)
class Feature:
    """Something that a design does.

    Attributes
    ----------
    name, text : str
        Short, and in a whole sentence.
    tests : tuple of str
        Tests that must pass, the one that aims at the feature first.
    bins : tuple of str
        Groups of functional bins that must be hit.
    proofs : tuple of str
        Proofs of it (:mod:`lutcore.verif.formal.proofs`), where they mean something to a
        configuration.
    faults : tuple of str
        Names of faults that are put into designs on purpose, in tests of the project, each of which
        makes some of these tests fail.
    """

    name: str
    text: str
    tests: tuple[str, ...]
    bins: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()


def load(kind: str) -> list[Feature]:
    """The features of a kind of design, in the order of the data's way.

    Raises
    ------
    InputError
        There is no plan for it.
    """
    if kind not in KINDS:
        raise InputError(f"there is a test plan for {', '.join(KINDS)}, not for {kind!r}")
    text = resources.files("lutcore.verif.plan").joinpath(f"{kind}.toml").read_text("utf-8")
    return [
        Feature(
            entry["name"],
            entry["text"],
            *(tuple(entry.get(part, ())) for part in ("tests", "bins", "faults", "proofs")),
        )
        for entry in tomllib.loads(text)["feature"]
    ]
