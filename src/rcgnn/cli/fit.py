"""`rcgnn fit`: from a table to a run folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rcgnn.cli.values import lag

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
    seed: Annotated[int | None, typer.Option(min=0, help="Start of every random number [default: 1337].")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [default: auto].")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in the folder.")] = False,
    truth: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Find the causal graph of a table of sensor readings.

    Settings: the --config file, over it the --prior file and the options here, over them --set.
    """
    from rcgnn.cli.console import console
    from rcgnn.cli.progress import progress
    from rcgnn.cli.tables import print_answer
    from rcgnn.config import Config
    from rcgnn.errors import TruthRefusedError
    from rcgnn.prior import Prior
    from rcgnn.rundir import RunDir

    if truth is not None:
        raise TruthRefusedError(REFUSAL)
    options = {"recipe": recipe, "data.max_lag": max_lag, "seed": seed, "device": device}
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    settings = Config.assemble(config, [*given, *(sets or [])], prior)
    with progress(quiet=quiet) as report:
        report("read", {})
        from rcgnn.data.readers import read_tables
        from rcgnn.data.resample import check, regular
        from rcgnn.encode import as_npz
        from rcgnn.estimator import fit_series
        from rcgnn.report.page import write_report
        from rcgnn.report.traces import traces

        series = read_tables(tables, time=time, regime=regime, na=tuple(na or ()))
        Prior.given(settings, series.names)
        check(series, settings.data.resample)
        run = RunDir(out, overwrite=overwrite)
        run.write_config(settings)
        answer = fit_series(series, settings, progress=report, on_record=run.append)
        report("write", {})
        run.write("traces.npz", as_npz(traces(regular(series, settings.data.resample)[0], answer.prepared, answer.signal)))
        run.write_answer(answer, series, settings)
        write_report(run)
    print_answer(console(), answer.graph, answer.findings, run.summary(), run.files())
