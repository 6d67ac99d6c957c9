"""A document of paragraphs, lists, tables and figures, as Markdown and as one page of HTML.

Text may have ``code`` between backticks.
"""

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

_NUMBER = re.compile(r"[\d,.]+( ?%)?|")


@dataclass(frozen=True)
class Table:
    """Headings, and rows of text."""

    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def numeric(self, column: int) -> bool:
        """Whether a column has nothing but numbers."""
        return all(_NUMBER.fullmatch(row[column]) for row in self.rows)


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: list[str]


@dataclass(frozen=True)
class Figure:
    """A picture in SVG: the end of its file's name, what stands below it, and its text."""

    name: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Heading:
    """Of a part of a section."""

    text: str


Part = str | Bullets | Table | Figure | Heading


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    parts: list[Part]


@dataclass(frozen=True)
class Sheet:
    """A document."""

    title: str
    sections: list[Section]

    @property
    def figures(self) -> list[Figure]:
        """All pictures."""
        parts = (part for section in self.sections for part in section.parts)
        return [part for part in parts if isinstance(part, Figure)]


def markdown(sheet: Sheet, name: str) -> str:
    """The document; its figures are files ``<name>_<figure>.svg`` beside it."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    def table(part: Table) -> str:
        rule = ["---:" if part.numeric(i) else "---" for i in range(len(part.heads))]
        rows = [part.heads, rule, *part.rows]
        return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in rows)

    write: dict[type, Callable] = {
        str: str,
        Bullets: lambda part: "\n".join(f"- {item}" for item in part.items),
        Table: table,
        Heading: lambda part: f"### {part.text}",
        Figure: lambda part: f"![{part.caption}]({name}_{part.name}.svg)\n\n{part.caption}",
    }
    blocks = [f"# {sheet.title}"]
    for section in sheet.sections:
        blocks += [f"## {section.title}", *(write[type(part)](part) for part in section.parts)]
    return "\n\n".join(blocks) + "\n"


def html(sheet: Sheet) -> str:
    """The document as one page that needs no other file."""
    write: dict[type, Callable] = {
        str: lambda part: f"<p>{_text(part)}</p>",
        Bullets: lambda part: f"<ul>{_tagged('li', part.items)}</ul>",
        Table: _table,
        Heading: lambda part: f"<h3>{_text(part.text)}</h3>",
        Figure: _figure,
    }
    body, contents = [], []
    for section in sheet.sections:
        key = section.title.lower().replace(" ", "-")
        contents.append(f'<a href="#{key}">{_text(section.title)}</a>')
        parts = "\n".join(write[type(part)](part) for part in section.parts)
        body.append(f'<section id="{key}">\n<h2>{_text(section.title)}</h2>\n{parts}\n</section>')
    here = Path(__file__).parent
    return Template((here / "datasheet.html").read_text("utf-8")).substitute(
        title=_text(sheet.title),
        style=(here / "datasheet.css").read_text("utf-8"),
        contents="\n".join(contents),
        body="\n".join(body),
    )


def _text(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _tagged(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{_text(text)}</{tag}>" for text in texts)


def _table(part: Table) -> str:
    looks = [' class="number"' if part.numeric(i) else "" for i in range(len(part.heads))]
    rows = []
    for row in part.rows:
        cells = zip(looks, row, strict=True)
        made = "".join(f"<td{look}>{_text(cell)}</td>" for look, cell in cells)
        rows.append(f"<tr>{made}</tr>")
    head = f"<thead><tr>{_tagged('th', part.heads)}</tr></thead>"
    body = "\n".join(rows)
    return f'<div class="table"><table>{head}\n<tbody>\n{body}\n</tbody></table></div>'


def _figure(part: Figure) -> str:
    data = base64.b64encode(part.svg.encode()).decode()
    image = f'<img alt="{escape(part.caption)}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure>{image}\n<figcaption>{_text(part.caption)}</figcaption></figure>"
