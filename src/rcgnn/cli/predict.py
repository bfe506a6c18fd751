"""`rcgnn predict`: one step ahead on another table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rcgnn.cli.values import CellsOption, DropOption


def predict(  # noqa: PLR0913 - one parameter an option
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that fit wrote.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Table with the sensors of the run; best one that fit has not seen.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="CSV", help="File for every forecast with its interval.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="Column with the time of each row.")] = None,
    regime: Annotated[str | None, typer.Option(metavar="COL", help="Column with the operating mode of each row.")] = None,
    na: Annotated[list[str] | None, typer.Option(metavar="VALUE", help="Text or number that means missing.")] = None,
    drop: DropOption = None,
    max_cells: CellsOption = None,
) -> None:
    """Forecast every row of a table from the rows before it, and say how good that was.

    r2 is that of the forecast, last that of the last reading, inside the share of readings in the 95 % interval.
    """
    from rcgnn.cli.console import console, print_table, safe
    from rcgnn.cli.values import cell, save_table
    from rcgnn.data.readers import read_table
    from rcgnn.data.resample import regular
    from rcgnn.mechanism.equations import Mechanism
    from rcgnn.mechanism.forecast import forecast
    from rcgnn.rundir import RunDir

    stored = RunDir.open(run)
    mechanism = Mechanism.from_arrays(stored.equations())
    given = read_table(table, time=time, regime=regime, na=tuple(na or ()), max_cells=max_cells, drop=tuple(drop or ()))
    rows, _ = regular(given, stored.config().data.resample)
    done = forecast(mechanism, rows, set_aside=mechanism.clean)
    to = console()
    scores = ([s.sensor, str(s.rows), *(cell(x) for x in (s.r2, s.persistence, s.inside))] for s in done.scores())
    print_table(to, ("sensor", "rows", "r2", "last", "inside"), scores)
    aside = [f"{name} ({int(count)})" for name, count in zip(done.names, done.set_aside, strict=True) if count]
    if aside:
        to.print(f"\nSuspect cells not used: {safe(', '.join(aside))}")
    if out is not None:
        save_table(out, done.long())
        to.print(f"\nwrote {safe(out)}")
