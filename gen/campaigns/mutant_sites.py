"""Where a module may be mutated, and its texts with one fault: by Cosmic Ray's operators.

Left out is what shows nothing: annotations and decorators; identity where equality stands or the
other way round, which is the same for None and small numbers; operators that rename variables or
make code that cannot be compiled.
"""

import difflib
import importlib
import random
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lutcore.errors import InputError

#: Cosmic Ray's operators that are used, by their names.
_OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_\w+|ReplaceUnaryOperator_\w+|NumberReplacer|AddNot"
    r"|ReplaceComparisonOperator_(Is_IsNot|IsNot_Is|(?!Is)[A-Za-z]+_(?!Is)[A-Za-z]+)"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ZeroIterationForLoop)"
)


@dataclass(frozen=True)
class Site:
    """A fault that could be put into a module.

    Attributes
    ----------
    operator : str
        Cosmic Ray's name of what it does, as ``NumberReplacer``.
    occurrence : int
        Which of the places in the module where the operator applies, from 0.
    function : str
        Where it is: ``Class.method``, empty outside of functions and classes.
    line, column : int
        Both from 1.
    """

    operator: str
    occurrence: int
    function: str
    line: int
    column: int


@dataclass(frozen=True)
class Mutant:
    """A module with one fault: the text, and the lines that differ, without their indentation."""

    site: Site
    text: str
    before: str
    after: str


def _cosmic_ray(module: str) -> Any:
    """A module of Cosmic Ray, which is no part of what the project needs."""
    try:
        return importlib.import_module(f"cosmic_ray.{module}")
    except ImportError as error:
        raise InputError(
            "cosmic-ray is missing: pip install 'lut-tensor-core[mutants]', or make mutants"
        ) from error


def _is_declaration(node: Any) -> bool:
    """Whether a node of the syntax tree is part of an annotation, or of a decorator."""
    while node.parent is not None:
        parent = node.parent
        kind = parent.type
        if kind in ("annassign", "tfpdef") and node is not parent.children[0]:
            # ": type = value": what is behind the type is code.
            return kind == "tfpdef" or node is parent.children[1]
        if kind == "decorator" or (kind == "funcdef" and node is parent.annotation):
            return True
        node = parent
    return False


def _function(node: Any) -> str:
    """Names of the functions and classes around a node, with dots."""
    names = []
    while node is not None:
        if node.type in ("funcdef", "classdef"):
            names.append(node.name.value)
        node = node.parent
    return ".".join(reversed(names))


def sites(text: str) -> list[Site]:
    """All faults that Cosmic Ray could put into a module.

    Raises
    ------
    InputError
        Cosmic Ray is not installed.
    """
    plugins = _cosmic_ray("plugins")
    tree = _cosmic_ray("ast")
    nodes = list(tree.ast_nodes(tree.get_ast(text)))
    found = []
    for name in filter(_OPERATORS.fullmatch, plugins.operator_names()):
        places = [
            (node, place)
            for node in nodes
            for place in plugins.get_operator(name)().mutation_positions(node)
        ]
        found += [
            Site(name.removeprefix("core/"), number, _function(node), start[0], start[1] + 1)
            for number, (node, (start, _)) in enumerate(places)
            if not _is_declaration(node)
        ]
    return found


def _compiles(text: str) -> bool:
    with warnings.catch_warnings(action="ignore"):
        try:
            compile(text, "mutant", "exec")
        except (SyntaxError, ValueError):
            return False
    return True


def mutant(text: str, site: Site) -> Mutant | None:
    """The module with a fault; None where that is no Python."""
    operator = _cosmic_ray("plugins").get_operator(f"core/{site.operator}")()
    changed = _cosmic_ray("mutating").mutate_code(text, operator, site.occurrence)
    if changed is None or changed == text or not _compiles(changed):
        return None
    old, new = text.splitlines(), changed.splitlines()
    parts = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    _, low, high, low_new, high_new = next(part for part in parts if part[0] != "equal")
    before, after = old[low:high], new[low_new:high_new]
    return Mutant(site, changed, *(" ".join(map(str.strip, lines)) for lines in (before, after)))


def drawn(text: str, count: int, seed: int) -> Iterator[Mutant]:
    """Mutants of a module in the order of a seed: every place once before any is taken twice.

    Parameters
    ----------
    count : int
        At most; all if it is 0.
    """
    generator = random.Random(seed)
    places: dict[tuple[int, int], list[Site]] = {}
    for site in sites(text):
        places.setdefault((site.line, site.column), []).append(site)
    rounds: list[list[Site]] = []
    for found in places.values():
        generator.shuffle(found)
        for number, site in enumerate(found):
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(site)
    for each in rounds:
        generator.shuffle(each)
    made = (mutant(text, site) for each in rounds for site in each)
    for number, found in enumerate(found for found in made if found is not None):
        if count and number >= count:
            return
        yield found


def difference(mutant: Mutant, path: str) -> str:
    """File, line, and what it was and is: two lines below a heading."""
    place = f"{path}:{mutant.site.line} {mutant.site.function or 'module'}"
    return f"{place}, {mutant.site.operator}\n  - {mutant.before}\n  + {mutant.after}"
