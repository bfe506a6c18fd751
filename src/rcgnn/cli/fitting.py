"""One fit from the command line: read, fit, write, print; who is told meanwhile stands in `beside`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.cli.beside import Beside

if TYPE_CHECKING:
    from rcgnn.config import Config


@dataclass(frozen=True)
class Place:
    """Where the run goes, and whether progress is shown on the way."""

    out: Path
    overwrite: bool = False
    quiet: bool = False


def fit_tables(tables: Sequence[Path], reading: Mapping[str, Any], settings: Config, place: Place, others: Beside) -> None:
    """Fit the tables and print the answer.

    Args:
        tables: recordings of one system.
        reading: `time`, `regime`, `na`, `max_cells` of `read_tables`.
        settings: all settings.
        place: where the run goes.
        others: who is told while it goes on.
    """
    from rcgnn.cli.console import console
    from rcgnn.cli.progress import progress
    from rcgnn.cli.tables import print_answer

    with progress(quiet=place.quiet) as bars:
        report = others.progress(bars)
        report("read", {})
        from rcgnn.budget import Budget
        from rcgnn.data.readers import read_tables
        from rcgnn.data.resample import check
        from rcgnn.encode import as_npz
        from rcgnn.estimator import fit_series
        from rcgnn.formats import stamped
        from rcgnn.prior import Prior
        from rcgnn.report.page import write_report
        from rcgnn.report.traces import traces
        from rcgnn.rundir import RunDir

        budget = Budget.of(settings.budget)
        series = read_tables(tables, **reading)
        Prior.given(settings, series.names)
        check(series, settings.data.resample)
        run = RunDir(place.out, overwrite=place.overwrite)
        run.write_config(settings)
        others.logs.begin(run, settings)
        answer = fit_series(series, settings, progress=report, on_record=others.record(run.append), budget=budget)
        report("write", {})
        run.write("traces.npz", as_npz(stamped(traces(answer.series, answer.prepared, answer.signal))))
        run.write_answer(answer, series, settings)
        write_report(run)
        others.finish(run)
    print_answer(console(), answer.graph, answer.findings, run.summary(), run.files())
