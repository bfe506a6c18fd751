"""`rcgnn simulate`: a table whose causal graph is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for data.csv, truth.csv and, where readings go wrong, clean.csv.")],
    system: Annotated[str, typer.Option(metavar="NAME", help="station, linear, nonlinear, lorenz96, ar1, ...")] = "station",
    corrupt: Annotated[str | None, typer.Option(metavar="SPEC", help="drift=1,missing=0.3 or clean [station: its own faults].")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Start of every random number.")] = 1337,
    rows: Annotated[int | None, typer.Option(min=1, help="Rows [default: 1500; station: 2000].")] = None,
    sensors: Annotated[int, typer.Option(min=2, help="Sensors; the station always has 13.")] = 13,
) -> None:
    """Write readings of a system whose causal graph is known."""
    import shlex

    from rcgnn import synth
    from rcgnn.cli.console import console, safe

    simulated = synth.simulate(system, seed=seed, rows=rows, sensors=sensors)
    faults = synth.DEFAULT_CORRUPTION.get(system, {}) if corrupt is None else synth.parse_corruption(corrupt)
    readings = synth.corrupt(simulated.series, faults, seed=seed, truth=simulated.truth) if faults else None
    to = console()
    for file in synth.write_simulated(out, simulated, readings):
        to.print(f"wrote {safe(file)}")
    data, run = shlex.quote(str(out / "data.csv")), shlex.quote(str(out / "run"))
    to.print(f"next: rcgnn fit {safe(data)} --out {safe(run)}")
