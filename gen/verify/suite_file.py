"""A suite of a user's own: its file, which travels with batches, and what is in it."""

import ast
import contextlib
import functools
import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

import numpy as np

from lutcore.errors import HostError, InputError
from lutcore.gen.verify.suite import ROLE
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.plan.plan import Feature

#: Cases that are drawn, at most, until one is what constraints allow.
TRIES = 1000
#: From the seed of a case to that of the next try: seeds of tests are far below.
_NEXT = 1 << 32


class _Checked(Protocol):
    def check(self, config: CoreConfig) -> None: ...


Case = TypeVar("Case", bound=_Checked)
Function = Callable[..., Any]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


@dataclass(frozen=True)
class SuiteFile:
    """The text of a suite, with what else it depends on.

    Attributes
    ----------
    path : str
        As it was given; messages name it.
    folder : str
        Where it stands, in full.
    text : str
    sha256 : str
        Of the file.
    data : tuple of (str, str)
        Files that it names in ``DATA``, relative to its folder, and their SHA-256.
    """

    path: str
    folder: str
    text: str
    sha256: str
    data: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"{self.path!r}"

    @classmethod
    def read(cls, path: Path | str) -> "SuiteFile":
        """The suite in a file; nothing of it is run yet.

        Raises
        ------
        InputError
            The file, or one that it names in ``DATA``, cannot be read, or it is not Python.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            told = f"{path}: {error.strerror}: a suite is a Python file of your tests"
            raise InputError(told) from error
        folder = path.resolve().parent
        try:
            text = content.decode()
            names = _data(ast.parse(text))
        except SyntaxError as error:
            raise InputError(f"{path}:{error.lineno or 1}: {error.msg}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{path}: {' '.join(str(error).split())}") from error
        data = tuple((name, _sha256(folder / name)) for name in names)
        digest = hashlib.sha256(content).hexdigest()
        return cls(str(path), str(folder), text, digest, data)

    def facts(self) -> dict[str, Any]:
        """What results depend on; plain values."""
        return {"sha256": self.sha256, "data": dict(self.data)}

    def load(self) -> "Suite":
        """What is in it. It is run once in a process.

        Raises
        ------
        InputError
            It does not run to its end, has nothing, or its data are others here.
        """
        return _loaded(self)


def _data(tree: ast.Module) -> list[str]:
    """Names in the assignment to ``DATA``, without running anything."""
    names: list[str] = []
    sets = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "DATA"]
    sets = [name for name in sets if isinstance(name.ctx, ast.Store)]
    for node in tree.body:
        plain = isinstance(node, ast.Assign | ast.AnnAssign) and node.value
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not (plain and any(name in targets for name in sets)):
            continue
        try:
            found = ast.literal_eval(plain)
        except ValueError:
            found = None
        if not isinstance(found, list | tuple) or not all(isinstance(n, str) for n in found):
            raise ValueError(f"line {node.lineno}: DATA must be a list of names of files")
        names, sets = list(found), [name for name in sets if name not in targets]
    if sets:
        raise ValueError(f"line {sets[0].lineno}: DATA must be set once, to a list of names")
    return names


def changed(path: str, sha256: str, data: Mapping[str, str]) -> list[str]:
    """Why a suite is not what it was; empty if it is."""
    said = []
    for name, digest in {
        path: sha256,
        **{str(Path(path).parent / n): d for n, d in data.items()},
    }.items():
        try:
            now = _sha256(Path(name))
        except InputError as error:
            said.append(f"{error}: run --check in the folder of the regression")
            continue
        if now != digest:
            said.append(f"{name} has changed: verify again")
    return said


@functools.lru_cache(maxsize=8)
def _loaded(file: SuiteFile) -> "Suite":
    for name, digest in file.data:
        if _sha256(Path(file.folder) / name) != digest:
            raise InputError(f"{file.path}: {name} is another file now, or on this machine")
    module = ModuleType(f"lutcore_suite_{file.sha256[:16]}")
    module.__file__ = str(Path(file.folder) / Path(file.path).name)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        with _aside():
            exec(compile(file.text, file.path, "exec"), vars(module))
    except (Exception, SystemExit) as error:
        raise told(file.path, error, "") from error
    return Suite(file, vars(module))


def _aside() -> contextlib.AbstractContextManager[Any]:
    """What a user's code prints is no result: standard output may be JSON."""
    return contextlib.redirect_stdout(sys.stderr)


def told(path: str, error: BaseException, name: str, place: str = "") -> InputError:
    """An error in a user's code in one line: where in her file, in which function, and what."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    where = f"{path}:{frames[-1].lineno}" if frames else place or path
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    text = " ".join(str(error).split())
    return InputError(f"{where}: {name + ': ' if name else ''}{kind}{text}".removesuffix(": "))


class Suite:
    """Tests, golden models, constraints and features of a user's own.

    Attributes
    ----------
    file : SuiteFile
    tests, goldens, constraints : dict of str to callable
        By their names, in the order of the file.
    features : list of Feature
        ``PLAN``, and one for each test that it does not name.
    """

    def __init__(self, file: SuiteFile, namespace: Mapping[str, Any]):
        self.file = file
        found: dict[str, dict[str, Function]] = {"test": {}, "golden": {}, "constraint": {}}
        for value in namespace.values():
            role = getattr(value, ROLE, None) if inspect.isfunction(value) else None
            if role in found:
                found[role][value.__name__] = value
        self.tests, self.goldens, self.constraints = found.values()
        plan = namespace.get("PLAN", [])
        if not isinstance(plan, list | tuple) or not all(isinstance(f, Feature) for f in plan):
            raise InputError(f"{file.path}: PLAN must be a list of Feature")
        if not (any(found.values()) or plan):
            raise InputError(
                f"{file.path}: it has no test, golden model, constraint or PLAN: mark functions "
                "with the decorators of lutcore.gen.verify.suite"
            )
        named = {test for feature in plan for test in feature.tests}
        own = [name for name in self.tests if name not in named]
        self.features = [*plan, *(self._feature(name) for name in own)]
        for name in (*self.tests, *self.constraints):
            self.check_arguments(self._function(name), ("config", ""))

    def _feature(self, name: str) -> Feature:
        said = inspect.getdoc(self.tests[name]) or "A test of a suite."
        return Feature(name.replace("_", " "), said.splitlines()[0], (name,))

    def _function(self, name: str) -> Function:
        return (self.tests | self.constraints)[name]

    def check_arguments(self, function: Function, wanted: Sequence[str]) -> None:
        """Refuse a function that cannot be called with so many arguments."""
        try:
            inspect.signature(function).bind(*wanted)
        except TypeError as error:
            names = {"golden": ", ".join(wanted), "test": "config, seed"}
            takes = names.get(getattr(function, ROLE), "config, case")
            raise self.wrong(function, f"it must take ({takes}): {error}") from error

    def check_plan(self, planned: Sequence[Feature]) -> None:
        """Refuse tests and features that cannot stand beside those of a plan."""
        tests = {test for feature in planned for test in feature.tests}
        groups = {group for feature in planned for group in feature.bins}
        for name in tests & set(self.tests):
            raise self.wrong(self.tests[name], "there is a test of that name: name it otherwise")
        for feature in self.features:
            place = f"{self.file.path}: feature {feature.name!r}"
            if not feature.tests:
                raise InputError(f"{place} has no tests")
            for what, names, known in (
                ("test", feature.tests, tests | set(self.tests)),
                ("group of bins", feature.bins, groups),
            ):
                if unknown := [name for name in names if name not in known]:
                    listed = ", ".join(sorted(known))
                    raise InputError(f"{place}: no {what} {unknown[0]!r}; there are: {listed}")

    def place(self, function: Function) -> str:
        """File and line of a function."""
        code = inspect.unwrap(function).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    def wrong(self, function: Function, what: str) -> InputError:
        """An error of a function of the suite."""
        return InputError(f"{self.place(function)}: {function.__name__}: {what}")

    def call(self, function: Function, *arguments: Any) -> Any:
        """What a function of the suite returns.

        Raises
        ------
        InputError
            It raised something.
        """
        try:
            with _aside():
                return function(*arguments)
        except HostError:
            raise
        except (Exception, SystemExit) as error:
            place = self.place(function)
            raise told(self.file.path, error, function.__name__, place) from error

    def test(self, name: str) -> Function:
        """A test of it; :class:`InputError` if there is none of the name."""
        if name not in self.tests:
            raise InputError(f"no case: {self.file.path} has no test {name!r}")
        return self.tests[name]

    def draw(
        self,
        config: CoreConfig,
        test: str,
        seed: int,
        planned: Callable[[CoreConfig, str, int], Any],
        own: Callable[[Function, CoreConfig, int], Any],
        kind: type,
    ) -> Any:
        """A case of a test, of the plan's or an own one, that constraints allow.

        What is not of ``kind`` itself is not theirs.

        Raises
        ------
        InputError
            None of :data:`TRIES` cases is allowed.
        """
        function, refused = self.tests.get(test), None
        for attempt in range(TRIES):
            other = seed + attempt * _NEXT
            case = own(function, config, other) if function else planned(config, test, other)
            if type(case) is not kind:
                return case
            case, refused = self._held(config, case)
            if refused is None:
                return case
        assert refused is not None
        raise self.wrong(
            refused,
            f"it refuses all of {TRIES} cases of test {test}, seed {seed}, at {config.name}, or "
            "changes what others want: return a changed case in place of False, or forbid less",
        )

    def allows(self, config: CoreConfig, case: Any) -> bool:
        """Whether all constraints hold of a case as it is."""
        return all(self._answer(f, config, case) == case for f in self.constraints.values())

    def _held(self, config: CoreConfig, case: Case) -> tuple[Case, Function | None]:
        """A case as constraints have it, and one that refuses it or would change it again."""
        for function in self.constraints.values():
            found = self._answer(function, config, case)
            if found is None:
                return case, function
            case = found
        others = self.constraints.values()
        return case, next((f for f in others if self._answer(f, config, case) != case), None)

    def _answer(self, function: Function, config: CoreConfig, case: Case) -> Case | None:
        """The case in place of another one by a constraint; None where it refuses that."""
        answer = self.call(function, config, case)
        if isinstance(answer, bool | np.bool_):
            return case if answer else None
        if type(answer) is not type(case):
            kind, found = type(case).__name__, type(answer).__name__
            raise self.wrong(function, f"it must return True, False or a {kind}, not {found}")
        try:
            answer.check(config)
        except InputError as error:
            raise self.wrong(function, str(error)) from error
        except (TypeError, ValueError) as error:
            raise self.wrong(function, f"no case: {error}") from error
        return answer

    def summary(self) -> dict[str, Any]:
        """Plain values of a report: which file, and what it has."""
        names = {
            "tests": list(self.tests),
            "golden": list(self.goldens),
            "constraints": list(self.constraints),
        }
        return {"path": self.file.path, **self.file.facts(), **names}
