"""The commands ``presets`` and ``show``: which configurations there are, and what one is."""

from typing import Any

from rich.markup import escape

from lutcore.cli.options import AsJson, Config, Overrides
from lutcore.cli.shared import OUT, Column, print_json, print_table
from lutcore.hdl.config.description import describe, kind, shape, weights
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, SUMMARIES, load_config


def presets(as_json: AsJson = False) -> None:
    """List the presets: what each is, its shape, and its products a cycle.

    Products are of one-bit weights where a slice is a bit plane.

    Example: lutcore presets
    """
    found = [
        {
            "name": name,
            "summary": SUMMARIES[name],
            "engine": config.engine,
            "shape": shape(config),
            "activation": config.activation,
            "weights": weights(config),
            "products_per_cycle": config.products_per_cycle,
            "kind": kind(config),
        }
        for name, config in (PRESETS | CORE_PRESETS).items()
    ]
    if as_json:
        print_json({"presets": found})
        return
    rows = []
    for entry in found:
        datapath = f"{entry['engine']}, {entry['shape']}"
        precision = f"{entry['activation']} x {entry['weights']}"
        words = f"{escape(entry['summary'])}\n[dim]{datapath}, {precision}[/dim]"
        rows.append((entry["name"], words, f"{entry['products_per_cycle']:,}", entry["kind"]))
    columns = (Column("preset"), Column("what it is"), Column.number("products a cycle"))
    print_table("Presets", (*columns, Column("makes a")), rows)


def show(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show a configuration: all fields, what follows from them, and what full rate asks for.

    Example: lutcore show default --set n=32
    """
    found = describe(load_config(config, overrides or ()))
    if as_json:
        print_json(found)
        return
    _print_fields(found)
    columns = (Column("what follows"), Column.number("value"), Column("meaning"))
    rows = [
        (item["name"], f"{item['value']:,}", escape(item["meaning"])) for item in found["derived"]
    ]
    print_table("", columns, rows)
    OUT.print("\nFull rate, one slice every cycle:", highlight=False)
    for sentence in found["full_rate"]["conditions"]:
        OUT.print(f"- {sentence}", highlight=False, markup=False)
    if found["kind"] == "core":
        OUT.print("\nA core can be built around this tile.", highlight=False)
    else:
        OUT.print("\nThis is a tile alone. For a core:", highlight=False)
        for reason in found["no_core"]:
            OUT.print(f"- {reason}", highlight=False, markup=False)


def _print_fields(found: dict[str, Any]) -> None:
    rows = []
    for field in found["fields"]:
        value = f"[bold]{field['value']}[/bold]" if field["changed"] else str(field["value"])
        default = str(field["default"]) if field["changed"] else "the same"
        words = f"{escape(field['meaning'])}\n[dim]{escape(field['allowed'])}[/dim]"
        rows.append((field["name"], value, default, words))
    columns = map(Column, ("field", "value", "default", "meaning, and what it may be"))
    title = f"{found['name']}: {found['shape']}, weights of {found['weights']}"
    print_table(title, tuple(columns), rows)
