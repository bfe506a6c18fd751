"""`rcgnn export`: the graph of a stored run in the form of another tool."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """The names of `rcgnn.export.FORMATS`, which are not loaded for `--help`."""

    DOT = "dot"
    GRAPHML = "graphml"
    JSON = "json"
    CSV = "csv"
    CSV_LAGS = "csv-lags"
    TIGRAMITE = "tigramite"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that fit wrote.")],
    *,
    form: Annotated[Form, typer.Option("--format", help="What to write.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write; without it the text is printed.")] = None,
) -> None:
    """Write the decided links of a stored run for Graphviz, GraphML readers, networkx, spreadsheets or tigramite."""
    from rcgnn.cli.console import console, safe
    from rcgnn.errors import InputError
    from rcgnn.export import FORMATS, written
    from rcgnn.rundir import RunDir

    content = written(RunDir.open(run).graph(), form.value)
    if out is None:
        if not FORMATS[form.value].text:
            raise InputError(f"export: {form.value} is not text; say where it goes with --out FILE{FORMATS[form.value].ending}.")
        typer.echo(content, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); choose another --out.") from error
    console().print(f"wrote {safe(out)}")
