"""Results of a study or an exploration, as plain values and as files: CSV and JSON."""

import csv
import dataclasses
import io
import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lutcore.gen.asic.liberty import library_name
from lutcore.gen.experiments.compare import counts, status
from lutcore.gen.experiments.point import FAMILIES
from lutcore.gen.experiments.points import Finding, Plot, Row, Settings, Study
from lutcore.gen.experiments.runner import OnDone, Runner
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import PRESETS

#: Preset that commands start from.
_FROM = "w2a8"

#: What every row's CSV line has besides its study's columns and its configuration.
_ALWAYS = ("series", "key", "measure", "weight_bits", "liberty", "period_ns", "slack_ns", "status")


def reproduce(row: Row, liberty: Path | None) -> str:
    """Command line that measures the row again."""
    measured_on = ["--liberty", str(liberty)] if liberty else []
    measured_on += ["--period", str(row["period_ns"])] if row["period_ns"] else []
    if row["measure"] == "dp4":
        return shlex.join(["python", "-m", "lutcore.gen.experiments.dp4", *measured_on, "--json"])
    if row["measure"] in FAMILIES:
        measured_on = ["--target", row["measure"]]
    config, start = row["config"], PRESETS[_FROM].to_dict()
    names = (field.name for field in dataclasses.fields(CoreConfig))
    changes = [f"{name}={config[name]}" for name in names if config[name] != start[name]]
    changed = [word for change in changes for word in ("--set", change)]
    if row["measure"] == "energy":
        measured_on += ["--bits", str(row["weight_bits"])]
    command = "energy" if row["measure"] == "energy" else "synth"
    return shlex.join(["lutcore", command, _FROM, *changed, *measured_on])


def run_study(
    study: Study, settings: Settings, runner: Runner, on_done: OnDone | None = None
) -> dict[str, Any]:
    """Measure a study's points and compare them; returns its result (see :func:`result`)."""
    entries = study.entries(settings)
    records = runner.run([entry.point for entry in entries], on_done)
    rows = [entry.row(record) for entry, record in zip(entries, records, strict=True)]
    words = ["lutcore", "study", study.name]
    words += ["--liberty", str(settings.liberty)] if settings.liberty else []
    words += ["--period", str(settings.period)] if settings.period else []
    words += ["--points", str(settings.most)] if settings.most else []
    words += ["--reduced"] if settings.reduced else []
    return result(
        name=study.name,
        title=f"{study.title} ({study.figure})",
        method=study.method,
        command=shlex.join(words),
        settings=settings,
        rows=rows,
        findings=study.findings(rows),
        plots=study.plots,
        columns=study.columns,
    )


def result(
    *,
    name: str,
    title: str,
    method: str,
    command: str,
    settings: Settings,
    rows: Sequence[Row],
    findings: Sequence[Finding],
    plots: Sequence[Plot],
    columns: Sequence[str],
    **more: Any,
) -> dict[str, Any]:
    """Everything that a report is made from, as plain values.

    Besides the arguments: each row gets ``status`` (see
    :func:`lutcore.gen.experiments.compare.status`), ``compared`` and ``command``; ``counts`` tells
    how many points there are, were compared, and why the others were not; ``tool_versions`` what
    measured them; ``seconds`` what that took on one core, whether it was done now or found.
    """
    rows = [
        {
            **row,
            "status": status(row),
            "compared": counts(row),
            "command": "" if "design" not in row else reproduce(row, settings.liberty),
        }
        for row in rows
    ]
    points = {row["key"]: row for row in rows}
    versions: dict[str, str] = {}
    for row in rows:
        versions |= row.get("tool_versions") or {}
    return {
        "name": name,
        "title": title,
        "method": method,
        "command": command,
        "settings": {
            "liberty": library_name(settings.liberty) if settings.liberty else None,
            "period_ns": settings.period,
            "reduced": settings.reduced,
            "points_of_each": settings.most,
        },
        "counts": _counts(points.values()),
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "plots": [dataclasses.asdict(plot) for plot in plots],
        "columns": list(columns),
        "rows": rows,
        "tool_versions": versions,
        "seconds": round(sum(row.get("seconds") or 0 for row in points.values()), 1),
        **more,
    }


_COUNTED = ("points", "compared", "slower", "not_closed", "not_analysed", "failed")


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for row in rows:
        found["points"] += 1
        if row["compared"]:
            found["compared"] += 1
            found["slower"] += row.get("closed") is False
        elif row.get("closed") is False:
            found["not_closed"] += 1
        else:
            found["failed" if row.get("error") else "not_analysed"] += 1
    return {name: found[name] for name in _COUNTED}


def counted(counts: Mapping[str, int]) -> str:
    """The counts of a result, in words."""
    slower = f" ({counts['slower']} at a longer period that they reach)" if counts["slower"] else ""
    return (
        f"{counts['points']} points, {counts['compared']} compared{slower}, "
        f"{counts['not_closed']} without closed timing, {counts['not_analysed']} without timing, "
        f"{counts['failed']} failed"
    )


def flat(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A row's CSV line: its study's columns, what every row has, and its configuration."""
    names = dict.fromkeys([*_ALWAYS[:1], *columns, *_ALWAYS[1:]])
    line = {name: row.get(name) for name in names}
    return line | {f"config.{name}": value for name, value in row["config"].items()} | {
        "command": row["command"]
    }  # fmt: skip


def files(found: Mapping[str, Any]) -> dict[str, str]:
    """File name -> text: ``NAME.json`` has the result, ``NAME.csv`` its rows."""
    table = io.StringIO()
    lines = [flat(row, found["columns"]) for row in found["rows"]]
    names = list(dict.fromkeys(name for line in lines for name in line)) or ["series"]
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    name = found["name"]
    return {f"{name}.json": json.dumps(found, indent=1) + "\n", f"{name}.csv": table.getvalue()}


def failures(found: Mapping[str, Any]) -> dict[str, int]:
    """Message -> how many points failed with it."""
    messages: dict[str, int] = {}
    for row in {row["key"]: row for row in found["rows"]}.values():
        if row.get("error"):
            messages[row["error"]] = messages.get(row["error"], 0) + 1
    return messages
