"""One trial: a full run folder, and the row of it in the table of the sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rcgnn.errors import RcgnnError, RunDirError
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
    "error",
)
"""Columns after the settings; docs/sweep.md says what they mean."""
SHOWN = tuple(name for name in FIGURES if name != "error")
"""Columns of the table on the terminal; errors are lines under it."""
Row = dict[str, Any]


def run_trial(series: Series, folder: Path, trial: Trial, tell: Callable[[None], None]) -> str | None:
    """Fit and write the run folder; what `rcgnn fit` with these settings would write.

    Args:
        series: the table.
        folder: of all trials.
        trial: which.
        tell: told when it begins.

    Returns:
        None, or why there is no answer.
    """
    from rcgnn.pipeline import fit_series

    tell(None)
    try:
        run = RunDir(folder / trial.name, overwrite=True)
        run.write_config(trial.config)
        run.write_answer(fit_series(series, trial.config, on_record=run.append), series, trial.config)
    except RcgnnError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a trial that fails is a row, the others go on
        return f"{type(error).__name__}: {error}".rstrip(": ")
    return None


def row_of(swept: Sequence[str], trial: Trial, folder: Path) -> Row:
    """The row of a finished trial, from its folder."""
    try:
        run = RunDir.open(folder / trial.name)
        return {**_settings(swept, trial), **figures(run.summary(), run.records()), "error": None}
    except RunDirError as error:
        return failed_row(swept, trial, str(error))


def failed_row(swept: Sequence[str], trial: Trial, error: str) -> Row:
    """The row of a trial without an answer."""
    return {**_settings(swept, trial), **dict.fromkeys(FIGURES), "error": error}


def figures(summary: dict[str, Any], records: Sequence[HealthRecord]) -> Row:
    """What a run says of itself, null where it does not; of the last attempt where training was repeated.

    `held_out_loss` is the lowest that was measured, `gain_over_self` that of the same epoch; `network_links` and
    `clip_share` are the last epoch's, `raw_max` is the largest of all epochs.
    """
    last = records[-1] if records else None
    kept = [record for record in records if last and record.attempt == last.attempt]
    judged = [record for record in kept if record.loss.val is not None]
    best = min(judged, key=lambda record: record.loss.val or 0.0) if judged else None
    return {
        "verdict": summary["verdict"],
        "links": summary["links"],
        "network_links": last.graph.edges if last and last.graph else None,
        "held_out_loss": best.loss.val if best else None,
        "gain_over_self": best.gain_over_self if best else None,
        "clip_share": last.grad.clip_share if last else None,
        "raw_max": max((r.grad.raw_max for r in kept if r.grad.raw_max is not None), default=None),
        "seconds": round(sum(summary["seconds"].values()), 3),
        "reruns": last.attempt - 1 if last else 0,
    }


def _settings(swept: Sequence[str], trial: Trial) -> Row:
    return {"trial": trial.name, **dict(zip(swept, trial.values, strict=True))}
