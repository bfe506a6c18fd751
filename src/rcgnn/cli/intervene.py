"""`rcgnn intervene`: what the learned system does while sensors are held at values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rcgnn.cli.values import CellsOption


def intervene(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that fit wrote.")],
    *,
    sets: Annotated[list[str], typer.Option("--set", metavar="SENSOR=VALUE", help="A sensor and the value it is held at.")],
    horizon: Annotated[int, typer.Option(help="Steps to look ahead.")] = 10,
    start: Annotated[Path | None, typer.Option(metavar="TABLE", help="Its last rows are the start [last rows of the fit].")] = None,
    max_cells: CellsOption = None,
    out: Annotated[Path | None, typer.Option(metavar="CSV", help="File for every step of every sensor.")] = None,
) -> None:
    """Hold sensors at values and follow the fitted equations, beside the path without.

    Prints the last step; difference with its 95 % interval. An answer about the learned system, not about the plant.
    """
    from rcgnn.cli.console import console, print_table, safe
    from rcgnn.cli.values import pairs_of, save_table
    from rcgnn.data.readers import read_table
    from rcgnn.data.resample import regular
    from rcgnn.mechanism.equations import Mechanism
    from rcgnn.mechanism.intervention import intervene as simulate
    from rcgnn.numerics import rng
    from rcgnn.rundir import RunDir

    stored = RunDir.open(run)
    mechanism = Mechanism.from_arrays(stored.equations())
    config = stored.config()
    rows = None if start is None else regular(read_table(start, max_cells=max_cells), config.data.resample)[0]
    found = simulate(mechanism, pairs_of(sets), horizon, start=rows, rng=rng(config.seed, "intervene"))
    to, last = console(), found.frame().query("step == @horizon")
    numbers = ("base", "path", "path_low", "path_high", "difference", "difference_low", "difference_high")
    moved = last[(last["difference"] != 0) | last["sensor"].isin(list(found.held))]
    print_table(to, ("sensor", *numbers), ([row["sensor"], *(f"{row[x]:.4g}" for x in numbers)] for _, row in moved.iterrows()))
    to.print(f"\nAfter {horizon} step{'s' if horizon > 1 else ''}; {len(last) - len(moved)} of {len(last)} sensors do not move.")
    for note in found.notes:
        to.print(safe(note))
    if out is not None:
        save_table(out, found.frame())
        to.print(f"\nwrote {safe(out)}")
