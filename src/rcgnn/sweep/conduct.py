"""From a grid and a table to a folder: trials that are not there yet, `sweep.csv`, `sweep.md`, `sweep.svg`.

`sweep.json` is written first: it says which table and which settings the trials belong to.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rcgnn.crew import Engine, processes, work_off
from rcgnn.encode import as_csv, as_json, dotted, utf8
from rcgnn.errors import FitFailedError, RunDirError
from rcgnn.rundir import RunDir
from rcgnn.series import Series, digest
from rcgnn.sweep.figures import draw
from rcgnn.sweep.grid import Grid, Trial
from rcgnn.sweep.page import Swept, page
from rcgnn.sweep.trial import STOPPED_FILE, Row, failed_row, is_whole, row_of, run_trial
from rcgnn.whole import write_whole

IDENTITY, TRIALS, CSV, PAGE, PICTURE = "sweep.json", "trials", "sweep.csv", "sweep.md", "sweep.svg"
SCHEMA_VERSION = 1
Tell = Callable[[int, int, Row], None]
"""Told of each finished trial: how many are done, of how many, and its row."""
Over = Callable[[Trial, str | None], None]
"""Told of each trial that is over: None, or why there is no answer."""
Runner = Callable[[Series, Path, Sequence[Trial], int, Over], None]
"""Runs trials: the table, their folder, the trials, how many at a time, and who is told of each that is over."""


def silent(_done: int, _total: int, _row: Row) -> None:
    """Nobody is told."""


def by_crew(engine: Engine) -> Runner:
    """Whole trials, each a task of the engine."""

    def run(series: Series, folder: Path, trials: Sequence[Trial], jobs: int, over: Over) -> None:
        with engine(partial(run_trial, series, folder), min(jobs, len(trials)), None) as crew:
            for trial, end in work_off(crew, deque(trials)):
                over(trial, end.result if end.how == "done" else end.why)

    return run


def conduct(  # noqa: PLR0913 - what is swept, then how
    series: Series,
    grid: Grid,
    out: Path,
    *,
    jobs: int = 1,
    runner: Runner | None = None,
    stopping: bool = False,
    command: str = "",
    tell: Tell = silent,
) -> Swept:
    """Run the trials that have no whole run in `out`, and write the tables.

    Args:
        series: the table; handed over once a worker.
        grid: the trials.
        out: folder of the sweep. Finished trials in it are not run again; values may be added to the settings that are
            swept.
        jobs: trials at a time, each in a process of its own, on one thread.
        runner: who runs them, processes of this machine where nobody is named; on several machines all of them must see `out`.
        stopping: a trial that was stopped early is finished.
        command: for the page.
        tell: told of every trial as it ends.

    Raises:
        RunDirError: the folder holds something else, or cannot be written.
        FitFailedError: no trial gave an answer; the tables are written.
    """
    claim(out, series, grid)
    folder = out.resolve() / TRIALS
    rows = {trial.name: row_of(grid.swept, trial, folder) for trial in grid.trials if _reusable(trial, folder, stopping=stopping)}
    queue = [trial for trial in grid.trials if trial.name not in rows]
    reused, total = len(rows), len(queue)

    def over(trial: Trial, error: str | None) -> None:
        rows[trial.name] = row_of(grid.swept, trial, folder) if error is None else failed_row(grid.swept, trial, error)
        tell(len(rows) - reused, total, rows[trial.name])

    if queue:
        (runner or by_crew(processes))(series, folder, queue, jobs, over)
    return finish(Swept(grid, tuple(rows[trial.name] for trial in grid.trials), series.source, command, reused), out)


def finish(done: Swept, out: Path) -> Swept:
    """Write the tables of a sweep.

    Raises:
        FitFailedError: no trial gave an answer.
    """
    write(done, out)
    if all(row["error"] is not None for row in done.rows):
        raise FitFailedError(f"sweep: none of the {len(done.rows)} trials gave an answer; the first: {done.rows[0]['error']}")
    return done


def _reusable(trial: Trial, folder: Path, *, stopping: bool) -> bool:
    """Is there a whole run of this trial, or one that was stopped where that counts?

    Raises:
        RunDirError: a run with other settings has its place.
    """
    place = folder / trial.name
    if not (is_whole(place) or (stopping and (place / STOPPED_FILE).is_file())):
        return False
    other = _other_setting(trial.config.model_dump(), RunDir.open(place).config().model_dump())
    if other:
        raise RunDirError(f"{place}: holds a run {other}; choose another --out.")
    return True


def identity(series: Series, grid: Grid) -> dict[str, Any]:
    """What all trials of a folder share: table, swept names, and every other setting."""
    settings = grid.trials[0].config.model_dump(mode="json")
    if "recipe" in grid.swept:  # its presets differ from trial to trial
        settings = {"recipe": None}
    for name in grid.swept:
        section, _, key = name.rpartition(".")
        (settings.get(section, {}) if section else settings).pop(key, None)
    modes = hashlib.sha256(series.regime.tobytes() + repr(series.regime_names).encode()).hexdigest()
    table = {"source": series.source, "digest": digest(series), "sensors": list(series.names), "modes": modes}
    return {"schema_version": SCHEMA_VERSION, "swept": list(grid.swept), "settings": settings, "table": table}


def claim(out: Path, series: Series, grid: Grid) -> None:
    """Make the folder this sweep's, or see that it is.

    Raises:
        RunDirError: it holds another sweep or other files, or cannot be written.
    """
    mine = identity(series, grid)
    file = out / IDENTITY
    try:
        there = sorted(entry.name for entry in out.iterdir()) if out.exists() else []
        if not there:
            out.mkdir(parents=True, exist_ok=True)
            _write(file, as_json(mine))
            return
        if not file.is_file():
            raise RunDirError(f"{out}: the folder holds files but no sweep of rcgnn; choose another --out.")
        theirs = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunDirError(f"{out}: cannot be used ({error.strerror or error}); choose another --out.") from error
    except ValueError as error:
        raise RunDirError(f"{file}: damaged, {error}. Choose another --out.") from error
    other = _difference(mine, theirs if isinstance(theirs, dict) else {})
    if other:
        raise RunDirError(f"{out}: holds the trials of another sweep ({other}); choose another --out.")


def _difference(mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What another sweep has otherwise, in words; empty where it is the same."""
    if any(mine["table"][key] != theirs.get("table", {}).get(key) for key in ("digest", "sensors", "modes")):
        return f"of another table: {theirs.get('table', {}).get('source', 'unknown')}"
    if mine["swept"] != theirs.get("swept"):
        return f"over {', '.join(theirs.get('swept', [])) or 'nothing known'}"
    return _other_setting(mine["settings"], theirs.get("settings", {}))


def _other_setting(mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    """The first setting that differs, in words; empty where none does."""
    ours, others = dotted(mine), dotted(theirs)
    names = sorted(name for name in {*ours, *others} if ours.get(name) != others.get(name))
    return f"with {names[0]} = {others.get(names[0])}, not {ours.get(names[0])}" if names else ""


def write(done: Swept, out: Path) -> None:
    """The tables of a sweep.

    Raises:
        RunDirError: the folder cannot be written.
    """
    picture = draw(done)
    _write(out / CSV, as_csv(done.columns, done.rows))
    _write(out / PAGE, utf8(page(done, PICTURE if picture else None)))
    if picture:
        _write(out / PICTURE, picture)


def files(out: Path) -> list[Path]:
    """What a sweep wrote, the trials' own files left out."""
    return [out / name for name in (CSV, PAGE, PICTURE) if (out / name).is_file()]


def _write(path: Path, content: bytes) -> None:
    """The whole file or none of it."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise RunDirError(f"{path}: cannot be written ({error.strerror or error}).") from error
