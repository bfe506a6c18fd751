"""The page of one run: everything in one file that asks nobody for anything.

All data stands in one block of JSON; scripts put it in as text, never as markup. The Content-Security-Policy lets run what the
page brings along, known by its hash, and nothing else; for a report it allows no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rcgnn.encode import utf8
from rcgnn.report.answer_text import answer
from rcgnn.report.compare_page import write_page
from rcgnn.report.graph_data import graph_data
from rcgnn.report.run_data import findings_data, repeat_data, sure_data, table_data, training_data
from rcgnn.rundir import RunDir

FILE = "report.html"
LIBRARY = "plotly-basic.min.js"
STYLES = ("style.css", "graph.css", "parts.css", "print.css")
DARK = "dark.css"
"""The dark palette: declarations without a selector."""


@dataclass(frozen=True)
class Kind:
    """What makes one kind of page; library, styles and frame are those of all.

    Attributes:
        name: what the page is called in a sentence.
        over: stands over its title.
        sections: its parts, a template each.
        scripts: in the order in which they run; each adds its part to the one object `Report`.
        connect: whom the page may ask: `'none'`, or `'self'`.
        foot: last sentence.
        instead: command that prints the same.
    """

    name: str
    over: str
    sections: tuple[str, ...]
    scripts: tuple[str, ...]
    connect: str
    foot: str
    instead: str


SECTIONS = ("answer", "graph", "links", "data", "training", "findings", "sure", "repeat")
SCRIPTS = (
    "base.js", "theme.js", "chart.js", "text.js", "panzoom.js", "drawing.js", "graph.js", "table.js", "evidence.js", "sensors.js",
    "training.js", "sure.js", "main.js",
)  # fmt: skip
REPORT = Kind(
    "report",
    "Report",
    SECTIONS,
    SCRIPTS,
    "'none'",
    "Everything on this page comes from one run folder. It loads nothing and sends nothing.",
    "rcgnn show RUN",
)
ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters of the JSON block that could mean something to a browser, as JSON writes them otherwise."""


def write_report(run: RunDir, out: Path | None = None) -> Path:
    """The page of a run on disk, `report.html` in its folder or elsewhere.

    Raises:
        RunDirError: the run did not finish, or a file of it is damaged.
        InputError: `out` cannot be written.
    """
    if out is None:
        run.write(FILE, utf8(page(run)))
        return run.path / FILE
    write_page(out, utf8(page(run)).decode("utf-8"))
    return out


def page(run: RunDir) -> str:
    """The page as text; equal runs give equal pages."""
    return rendered(page_data(run))


def page_data(run: RunDir) -> dict[str, Any]:
    """Everything that the page shows, as JSON values."""
    graph, summary, findings = run.graph(), run.summary(), run.findings()
    equations = run.equations() if (run.path / "mechanism.npz").exists() else {}
    return {
        "kind": REPORT.name,
        "title": str(summary.get("table", "table")),
        "version": str(summary.get("version", "")),
        "verdict": str(summary.get("verdict", "")),
        "answer": answer(graph, summary, findings),
        "graph": graph_data(graph, equations),
        "table": table_data(graph, summary, run.traces()),
        "training": training_data(run.records()),
        "untrained": summary.get("network"),
        "findings": findings_data(findings),
        "sure": sure_data(graph, summary),
        "repeat": repeat_data(summary, run.config()),
    }


def rendered(data: dict[str, Any], kind: Kind = REPORT) -> str:
    """The page around the data."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    scripts = [_static(name) for name in (LIBRARY, *kind.scripts)]
    loader = PackageLoader("rcgnn.report", "templates")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.get_template("page.html").render(
        kind=kind,
        policy=policy(scripts, kind.connect),
        sections=[f"sections/{name}.html" for name in kind.sections],
        styles=[Markup(_static(name)) for name in STYLES],  # noqa: S704 - our own files
        dark=Markup(_static(DARK)),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files
        data=Markup(as_block(data)),  # noqa: S704 - escaped by as_block
    )


def policy(scripts: list[str], connect: str) -> str:
    """The Content-Security-Policy: scripts by the hash of their text, styles of the page's own, no request but those to `connect`."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'" for script in scripts)
    allowed = f"script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:"
    asked = "" if connect == "'none'" else f"; connect-src {connect}"
    return f"default-src 'none'; {allowed}{asked}; base-uri 'none'; form-action 'none'"


def as_block(data: dict[str, Any]) -> str:
    r"""JSON that no browser can take for markup.

    Example:
        >>> as_block({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escaped in ESCAPED.items():
        text = text.replace(character, escaped)
    return text


def _static(name: str) -> str:
    return (files("rcgnn.report") / "static" / name).read_text(encoding="utf-8")
