"""`rcgnn show`: the answer of a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that fit wrote.")]) -> None:
    """Print graph and findings of a stored run."""
    from rcgnn.cli.console import console
    from rcgnn.cli.tables import print_answer
    from rcgnn.rundir import RunDir

    stored = RunDir.open(run)
    print_answer(console(), stored.graph(), stored.findings(), stored.summary(), stored.files())
