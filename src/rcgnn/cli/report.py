"""`rcgnn report`: the page of a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that fit wrote.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the page goes [default: RUN/report.html].")] = None,
) -> None:
    """Write the page of a stored run again, from its files alone."""
    from contextlib import nullcontext

    from rcgnn.cli.console import console, safe
    from rcgnn.lock import locked
    from rcgnn.report.page import write_report
    from rcgnn.rundir import RunDir

    stored = RunDir.open(run)
    with locked(run) if out is None else nullcontext():
        page = write_report(stored, out)
    console().print(f"wrote {safe(page)}")
