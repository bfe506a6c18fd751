"""`rcgnn fit`: from a table to a run folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rcgnn.cli.engines import AddressOption, EngineName, EngineOption
from rcgnn.cli.values import CellsOption, DropOption, lag

REFUSAL = "fit: --truth is refused, since what learns must not see the answer; fit first, then `rcgnn score RUN --truth FILE`."


class Recipe(StrEnum):
    """The recipes of `rcgnn.config`, which is not loaded for `--help`."""

    AUTO = "auto"
    ORIGIN_BEFORE = "origin-before"
    ORIGIN_AFTER = "origin-after"


def fit(  # noqa: PLR0913 - one parameter an option
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE", help="Table of readings; several are recordings of one system.")],
    *,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run folder to make.")],
    max_lag: Annotated[
        str | None, typer.Option(metavar="K", parser=lag, help="Longest delay looked at, in steps, or auto [default: 3].")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="YAML", help="Settings to start from.")] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One setting, e.g. train.lr=1e-3.")] = None,
    prior: Annotated[Path | None, typer.Option(metavar="YAML", help="What is known beforehand; see docs/prior-knowledge.md.")] = None,
    recipe: Annotated[Recipe | None, typer.Option(help="Preset under all other settings [default: auto].")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="Column with the time of each row.")] = None,
    regime: Annotated[str | None, typer.Option(metavar="COL", help="Column with the operating mode of each row.")] = None,
    na: Annotated[list[str] | None, typer.Option(metavar="VALUE", help="Text or number that means missing.")] = None,
    drop: DropOption = None,
    max_cells: CellsOption = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Start of every random number [default: 1337].")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [default: auto].")] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="The best graph found in this time: 90s, 10m, 1h30m.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Second looks at a time, each on one thread.")] = 1,
    engine: EngineOption = EngineName.LOCAL,
    address: AddressOption = None,
    live: Annotated[bool, typer.Option("--live", help="Show the run in the browser while it goes on; prints the address.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the live page [default: a free one].")] = None,
    live_for: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Keep the live page so long after the fit [default: 0].")
    ] = None,
    log: Annotated[list[str] | None, typer.Option(metavar="TOOL", help="Log of another tool: tensorboard, mlflow.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in the folder.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, which was interrupted.")] = False,
    truth: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Find the causal graph of a table of sensor readings.

    Settings: the --config file, over it the --prior file and the options here, over them --set.
    """
    from rcgnn.cli.beside import Live, beside
    from rcgnn.cli.engines import spread_of
    from rcgnn.cli.fitting import fit_tables
    from rcgnn.cli.resuming import Place
    from rcgnn.cli.together import help_out, helps, together
    from rcgnn.config import Config
    from rcgnn.errors import TruthRefusedError

    if helps():
        help_out()
        return
    if truth is not None:
        raise TruthRefusedError(REFUSAL)
    options = {"recipe": recipe, "data.max_lag": max_lag, "seed": seed, "device": device, "budget": budget}
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    settings = Config.assemble(config, [*given, *(sets or [])], prior)
    asked = Live(port or 0, live_for or 0.0) if live or port is not None or live_for is not None else None
    reading = {"time": time, "regime": regime, "na": tuple(na or ()), "max_cells": max_cells, "drop": tuple(drop or ())}
    spread = spread_of(engine, address, jobs)
    with together(), beside(tables, asked, log or ()) as others:
        fit_tables(tables, reading, settings, Place(out, overwrite=overwrite, quiet=quiet, resume=resume), others, spread)
