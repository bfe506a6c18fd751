"""`rcgnn sweep`: one table, many settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rcgnn.cli.engines import AddressOption, EngineName, EngineOption
from rcgnn.cli.fit import Recipe
from rcgnn.cli.sweeping import Asked, Search, Stop, sweep_tables
from rcgnn.cli.values import CellsOption, DropOption, lag

REFUSAL = "sweep: --truth is refused, since what is chosen must not see the answer; sweep first, then `rcgnn score TRIAL --truth FILE`."


def sweep(  # noqa: PLR0913 - one parameter an option
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE", help="Table of readings; several are recordings of one system.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the sweep; finished trials in it are not run again.")],
    sets: Annotated[list[str], typer.Option("--set", metavar="NAME=A,B", help="A setting, with several values or a range LOW..HIGH.")],
    search: Annotated[Search, typer.Option(help="Every combination, drawn by chance, or proposed by TPE.")] = Search.GRID,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of --search random or tpe [default: 20].")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Start of the search; a fit's own is --set seed=N [default: 1337].")] = None,
    stop: Annotated[Stop | None, typer.Option(help="End trials early whose held-out loss falls behind.")] = None,
    max_lag: Annotated[
        str | None, typer.Option(metavar="K", parser=lag, help="Longest delay looked at, in steps, or auto [default: 3].")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="YAML", help="Settings to start from.")] = None,
    prior: Annotated[Path | None, typer.Option(metavar="YAML", help="What is known beforehand; see docs/prior-knowledge.md.")] = None,
    recipe: Annotated[Recipe | None, typer.Option(help="Preset under all other settings [default: auto].")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="Column with the time of each row.")] = None,
    regime: Annotated[str | None, typer.Option(metavar="COL", help="Column with the operating mode of each row.")] = None,
    na: Annotated[list[str] | None, typer.Option(metavar="VALUE", help="Text or number that means missing.")] = None,
    drop: DropOption = None,
    max_cells: CellsOption = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time, each on one thread.")] = 1,
    engine: EngineOption = EngineName.LOCAL,
    address: AddressOption = None,
    most: Annotated[int, typer.Option(min=1, help="Trials of a grid at most.")] = 500,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    truth: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Fit one table with many settings, and compare them by held-out loss.

    Each trial is a run folder in DIR/trials; sweep.csv and sweep.md compare them. Stopped? The same command goes on.
    """
    from rcgnn.errors import TruthRefusedError

    if truth is not None:
        raise TruthRefusedError(REFUSAL)
    options = {"recipe": recipe, "data.max_lag": max_lag}
    fixed = [f"{name}={value}" for name, value in options.items() if value is not None]
    base = {"config": config, "fixed": fixed, "prior": prior}
    asked = Asked(sets, base, search, trials, seed, stop, jobs, most, engine, address)
    reading = {"time": time, "regime": regime, "na": tuple(na or ()), "max_cells": max_cells, "drop": tuple(drop or ())}
    sweep_tables(tables, reading, asked, out, quiet=quiet)
