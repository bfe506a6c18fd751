"""`rcgnn sweep`: one table, many settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rcgnn.cli.engines import AddressOption, EngineName, EngineOption, engine_of
from rcgnn.cli.fit import Recipe
from rcgnn.cli.values import lag

REFUSAL = "sweep: --truth is refused, since what is chosen must not see the answer; sweep first, then `rcgnn score TRIAL --truth FILE`."


def sweep(  # noqa: PLR0913 - one parameter an option
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE", help="Table of readings; several are recordings of one system.")],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the sweep; finished trials in it are not run again.")],
    sets: Annotated[list[str], typer.Option("--set", metavar="NAME=A,B", help="A setting; every combination of several values is run.")],
    max_lag: Annotated[
        str | None, typer.Option(metavar="K", parser=lag, help="Longest delay looked at, in steps, or auto [default: 3].")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="YAML", help="Settings to start from.")] = None,
    prior: Annotated[Path | None, typer.Option(metavar="YAML", help="What is known beforehand; see docs/prior-knowledge.md.")] = None,
    recipe: Annotated[Recipe | None, typer.Option(help="Preset under all other settings [default: auto].")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="Column with the time of each row.")] = None,
    regime: Annotated[str | None, typer.Option(metavar="COL", help="Column with the operating mode of each row.")] = None,
    na: Annotated[list[str] | None, typer.Option(metavar="VALUE", help="Text or number that means missing.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time, each on one thread.")] = 1,
    engine: EngineOption = EngineName.LOCAL,
    address: AddressOption = None,
    most: Annotated[int, typer.Option(min=1, help="Trials at most.")] = 500,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    truth: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Fit one table with every combination of settings.

    Each trial is a run folder in DIR/trials; sweep.csv and sweep.md compare them. Stopped? The same command goes on.
    """
    import shlex
    import sys

    from rcgnn.cli.console import console, print_table, safe
    from rcgnn.data.readers import read_tables
    from rcgnn.data.resample import check
    from rcgnn.errors import TruthRefusedError
    from rcgnn.prior import Prior
    from rcgnn.sweep.conduct import conduct, files, silent
    from rcgnn.sweep.grid import make_grid
    from rcgnn.sweep.page import HEADS, cells, trial_line, verdict_line
    from rcgnn.sweep.trial import SHOWN

    if truth is not None:
        raise TruthRefusedError(REFUSAL)
    options = {"recipe": recipe, "data.max_lag": max_lag}
    fixed = [f"{name}={value}" for name, value in options.items() if value is not None]
    grid = make_grid(sets, config=config, fixed=fixed, prior=prior, most=most)
    series = read_tables(tables, time=time, regime=regime, na=tuple(na or ()))
    for trial in grid.trials:
        Prior.given(trial.config, series.names)
        check(series, trial.config.data.resample)
    who, errors = engine_of(engine, address), console(stderr=True)
    command = shlex.join(["rcgnn", *sys.argv[1:]])
    news = silent if quiet else (lambda *told: errors.print(safe(trial_line(*told))))
    done = conduct(series, grid, out, jobs=jobs, engine=who, command=command, tell=news)
    head = (*grid.swept, *(HEADS[name] for name in SHOWN))
    print_table(console(), head, (cells(row, [*grid.swept, *SHOWN]) for row in done.ranked), text_columns=len(grid.swept) + 1)
    for row in done.rows:
        if row["error"] is not None:
            console().print(safe(f"failed: {row['trial']}: {row['error']}"))
    console().print(safe(verdict_line(done)))
    for file in files(out):
        console().print(f"wrote {safe(file)}")
