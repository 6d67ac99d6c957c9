"""The configuration that everything reads: RTL, packing, golden model, benches and reports."""

import dataclasses
import hashlib
import json
import textwrap
from dataclasses import dataclass
from typing import Any

from lutcore.errors import InputError
from lutcore.files import toml_values
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.names import remedy
from lutcore.hdl.config.rates import Rates
from lutcore.hdl.config.rules import check


@dataclass(frozen=True, kw_only=True)
class CoreConfig(Rates):
    """One tensor core, described completely."""

    def __post_init__(self) -> None:
        for name, domain in DOMAINS.items():
            domain.check(name, getattr(self, name))
        check(self)

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values, in declaration order."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def to_toml(self) -> str:
        """Fields as TOML at top level, which :meth:`from_toml` reads."""
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in self.to_dict().items())

    @property
    def digest(self) -> str:
        """Short name of all fields together, 12 hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "CoreConfig":
        """Build from plain values; unknown names are an error."""
        if unknown := sorted(set(values) - set(DOMAINS)):
            raise InputError(
                f"unknown configuration field {unknown[0]!r}{remedy(unknown[0], sorted(DOMAINS))}"
            )
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> "CoreConfig":
        """Inverse of :meth:`to_json`."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_toml(cls, text: str) -> "CoreConfig":
        """Build from TOML text with the fields at top level."""
        return cls.from_dict(toml_values(text))

    def replace(self, **changes: Any) -> "CoreConfig":
        """Build a copy with some fields changed, validated again."""
        return self.from_dict(self.to_dict() | changes)


def _documentation() -> str:
    """The docstring of the configuration: what each field means is written once, at the field."""
    lines = [CoreConfig.__doc__ or "", "", "Parameters", "----------"]
    for name, domain in DOMAINS.items():
        lines += [f"{name} : {domain.text}", textwrap.indent(textwrap.fill(domain.meaning), "    ")]
    lines += [
        *("", "Raises", "------", "InputError"),
        "    (a :class:`ValueError`) naming the field, the value and what is allowed.",
    ]
    return "\n".join(lines)


CoreConfig.__doc__ = _documentation()


def check_config(config: object) -> None:
    """Refuse what is no configuration, a preset's name above all.

    Raises
    ------
    InputError
    """
    if not isinstance(config, CoreConfig):
        raise InputError(
            f"config must be a CoreConfig, not {config!r}: lutcore.preset(name) gives one"
        )
