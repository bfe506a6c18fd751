"""One fit from the command line: read, fit, write, print; who is told meanwhile stands in `beside`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.cli.beside import Beside
from rcgnn.cli.resuming import Begun, Place, begun, ending

if TYPE_CHECKING:
    from rcgnn.budget import Budget
    from rcgnn.config import Config
    from rcgnn.health import Progress
    from rcgnn.looks import Spread
    from rcgnn.pipeline import Fit
    from rcgnn.series import Series

AGAIN = "the same command with --resume goes on."


def fit_tables(
    tables: Sequence[Path], reading: Mapping[str, Any], settings: Config, place: Place, others: Beside, spread: Spread[Any]
) -> None:
    """Fit the tables and print the answer.

    Args:
        tables: recordings of one system.
        reading: `time`, `regime`, `na`, `max_cells`, `drop` of `read_tables`.
        settings: all settings.
        place: where the run goes.
        others: who is told while it goes on.
        spread: who does the second looks.
    """
    from rcgnn.cli.console import console, safe
    from rcgnn.cli.progress import progress
    from rcgnn.cli.tables import print_answer
    from rcgnn.errors import StoppedError

    place.check()
    with progress(quiet=place.quiet) as bars:
        report = others.progress(bars)
        report("read", {})
        from rcgnn.budget import Budget
        from rcgnn.data.readers import read_tables
        from rcgnn.data.resample import check
        from rcgnn.lock import locked
        from rcgnn.prior import Prior

        budget = Budget.of(settings.budget)
        series = read_tables(tables, **reading)
        Prior.given(settings, series.names)
        check(series, settings.data.resample)
        with locked(place.out) as holder, ending():
            here = begun(place, series, settings, holder.token)
            if here.warning:
                console(stderr=True).print(safe(f"rcgnn: {here.warning}"))
            if here.complete:
                here.finish()
            else:
                answer = _fitted(here, series, settings, (report, others, budget), spread)
    if here.complete:
        console().print(safe(f"{here.run.path}: the run is complete; there is nothing to go on with."))
        return
    print_answer(console(), answer.graph, answer.findings, here.run.summary(), here.run.files())
    if answer.summary.get("partial"):
        raise StoppedError(f"Interrupted. What {here.run.path} holds is partial; {AGAIN}")


def _fitted(here: Begun, series: Series, settings: Config, told: tuple[Progress, Beside, Budget], spread: Spread[Any]) -> Fit:
    """The fit itself, and every file of it.

    Raises:
        StoppedError: it was interrupted before there was an answer.
    """
    from rcgnn.encode import as_npz
    from rcgnn.errors import StoppedError
    from rcgnn.formats import stamped
    from rcgnn.pipeline import fit_series
    from rcgnn.report.page import write_report
    from rcgnn.report.traces import traces

    (report, others, budget), run, store = told, here.run, here.store
    try:
        others.logs.begin(run, settings)
        record = others.record(run.append)
        answer = fit_series(series, settings, progress=report, on_record=record, budget=budget, store=store, spread=spread)
        report("write", {})
        run.write("traces.npz", as_npz(stamped(traces(answer.series, answer.prepared, answer.signal))))
        run.write_answer(answer, series, settings)
        write_report(run)
    except KeyboardInterrupt as error:
        raise StoppedError(f"Interrupted. There is no answer yet; {AGAIN}") from error
    others.finish(run)
    if not answer.summary.get("partial"):
        store.remove()
    return answer
