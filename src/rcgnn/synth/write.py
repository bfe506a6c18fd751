"""A simulated system as a folder of CSV files: what `rcgnn simulate` leaves behind."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rcgnn.errors import InputError
from rcgnn.series import Series
from rcgnn.synth.simulated import Simulated

DATA, TRUTH, CLEAN = "data.csv", "truth.csv", "clean.csv"


def write_simulated(folder: Path, simulated: Simulated, corrupted: Series | None = None) -> list[Path]:
    """Write `data.csv` (readings; empty cell = not observed), `truth.csv` (cause, effect, lag), `clean.csv`.

    Recordings and regimes, where there are several, are columns `recording` and `regime` of `data.csv`.

    Args:
        folder: made when it is not there; files of the same name are replaced.
        simulated: the system.
        corrupted: its readings after `corrupt`; `clean.csv` is written only with them.

    Returns:
        The files written.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [_write(folder / DATA, *_table(corrupted or simulated.series))]
        written.append(_write(folder / TRUTH, ("cause", "effect", "lag"), simulated.links()))
        if corrupted is not None:
            written.append(_write(folder / CLEAN, *_table(simulated.series)))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error}). Choose another folder.") from error
    return written


def _table(series: Series) -> tuple[list[str], Iterable[Sequence[object]]]:
    """Header and rows; floats in their shortest exact form."""
    labels: dict[str, list[object]] = {}
    if series.recording.max() > 0:
        labels["recording"] = series.recording.tolist()
    if len(series.regime_names) > 1:
        labels["regime"] = [series.regime_names[r] for r in series.regime.tolist()]
    rows = (
        [*label, *("" if math.isnan(x) else repr(x) for x in row)]
        for *label, row in zip(*labels.values(), series.values.tolist(), strict=True)
    )
    return [*labels, *series.names], rows


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
    return path
