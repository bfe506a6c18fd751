"""One trial: a full run folder, and the row of it in the table of the sweep; of a trial that was stopped early, what there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rcgnn.errors import FAILURES, RunDirError, in_words
from rcgnn.health import HealthRecord
from rcgnn.rundir import RunDir
from rcgnn.series import Series
from rcgnn.sweep.grid import Trial

FIGURES = (
    "verdict",
    "links",
    "network_links",
    "held_out_loss",
    "gain_over_self",
    "clip_share",
    "raw_max",
    "seconds",
    "reruns",
    "stopped_epoch",
    "stopped_rung",
    "error",
)
"""Columns after the settings; docs/sweep.md says what they mean."""
STOPPED = ("stopped_epoch", "stopped_rung")
"""Columns that are shown only where a trial was stopped."""
STOPPED_FILE = "stopped.json"
"""In the folder of a trial that was stopped early: the epoch and the rung."""
Row = dict[str, Any]


def unheard(_record: HealthRecord) -> None:
    """Nobody listens."""


def run_trial(
    series: Series, folder: Path, trial: Trial, tell: Callable[[None], None], on_record: Callable[[HealthRecord], None] = unheard
) -> str | None:
    """Fit and write the run folder; what `rcgnn fit` with these settings would write.

    Args:
        series: the table.
        folder: of all trials.
        trial: which.
        tell: told when it begins.
        on_record: given every health record after it was written.

    Returns:
        None, or why there is no answer.
    """
    tell(None)
    try:
        _fit(series, folder / trial.name, trial, on_record)
    except FAILURES as error:
        return in_words(error)
    return None


def _fit(series: Series, place: Path, trial: Trial, on_record: Callable[[HealthRecord], None]) -> None:
    from rcgnn.pipeline import fit_series

    run = RunDir(place, overwrite=True)
    (run.path / STOPPED_FILE).unlink(missing_ok=True)
    run.write_config(trial.config)

    def record(one: HealthRecord) -> None:
        run.append(one)
        on_record(one)

    run.write_answer(fit_series(series, trial.config, on_record=record), series, trial.config)


def row_of(swept: Sequence[str], trial: Trial, folder: Path) -> Row:
    """The row of a trial that is over, from its folder."""
    place = folder / trial.name
    try:
        found = figures_of(place) | ({} if is_whole(place) else stopped_at(place))
        return {**_settings(swept, trial), **found, "error": None}
    except RunDirError as error:
        return failed_row(swept, trial, str(error))


def figures_of(place: Path) -> Row:
    """`figures` of the run in a folder.

    Raises:
        RunDirError: there is none.
    """
    run = RunDir.open(place)
    return figures(run.summary() if is_whole(place) else {}, run.records())


def is_whole(place: Path) -> bool:
    """Is there a whole run in this folder? `summary.json` is what a run writes last."""
    return (place / "summary.json").is_file()


def stopped_at(place: Path) -> dict[str, int]:
    """Epoch and rung at which the trial in this folder was stopped.

    Raises:
        RunDirError: it was not, or the file is damaged.
    """
    try:
        told = json.loads((place / STOPPED_FILE).read_text(encoding="utf-8"))
        return {"stopped_epoch": int(told["epoch"]), "stopped_rung": int(told["rung"])}
    except FileNotFoundError as error:
        raise RunDirError(f"{place}: no answer is there; on several machines all of them must see --out.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirError(f"{place / STOPPED_FILE}: damaged, {error}; remove the folder.") from error


def failed_row(swept: Sequence[str], trial: Trial, error: str) -> Row:
    """The row of a trial without an answer."""
    return {**_settings(swept, trial), **dict.fromkeys(FIGURES), "error": error}


def figures(summary: dict[str, Any], records: Sequence[HealthRecord]) -> Row:
    """What a run says of itself, null where it does not; of the last attempt where training was repeated. No summary: it did not end.

    `held_out_loss` is the lowest that was measured, `gain_over_self` that of the same epoch; `network_links` and
    `clip_share` are the last epoch's, `raw_max` is the largest of all epochs.
    """
    last = records[-1] if records else None
    kept = [record for record in records if last and record.attempt == last.attempt]
    judged = [record for record in kept if record.loss.val is not None]
    best = min(judged, key=lambda record: record.loss.val or 0.0) if judged else None
    return {
        "verdict": summary.get("verdict"),
        "links": summary.get("links"),
        "network_links": last.graph.edges if last and last.graph else None,
        "held_out_loss": best.loss.val if best else None,
        "gain_over_self": best.gain_over_self if best else None,
        "clip_share": last.grad.clip_share if last else None,
        "raw_max": max((r.grad.raw_max for r in kept if r.grad.raw_max is not None), default=None),
        "seconds": round(sum(summary["seconds"].values()) if summary else sum(record.wall_s for record in records), 3),
        "reruns": last.attempt - 1 if last else 0,
        **dict.fromkeys(STOPPED),
    }


def _settings(swept: Sequence[str], trial: Trial) -> Row:
    return {"trial": trial.name, **dict(zip(swept, trial.values, strict=True))}
