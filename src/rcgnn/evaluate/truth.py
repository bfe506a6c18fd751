"""Known graphs: reading and writing them. Nothing that fits or selects may import this room."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rcgnn.encode import guarded, unguarded
from rcgnn.errors import InputError, TableError, shown
from rcgnn.files import check_file
from rcgnn.series import BoolArray

COLUMNS = ("cause", "effect", "lag")
LONGEST_LAG = 10_000
Row = dict[str, str]


@dataclass(frozen=True, eq=False)
class Truth:
    """A known graph. Self links are dropped: a sensor's own memory is never a link.

    Attributes:
        summary: [N, N] True where i drives j at any lag.
        window: [K+1, N, N] True where i at t-k drives j at t; None where the lags are not known.

    Raises:
        InputError: shapes disagree.

    Example:
        >>> window = np.zeros((2, 2, 2), bool); window[1, 0, 1] = True
        >>> Truth.of(window).summary.tolist()
        [[False, True], [False, False]]
    """

    summary: BoolArray
    window: BoolArray | None = None

    def __post_init__(self) -> None:
        summary = np.array(self.summary, dtype=bool)
        if summary.ndim != 2 or summary.shape[0] != summary.shape[1]:
            raise InputError(f"truth: the summary graph must be [N, N], got {summary.shape}.")
        np.fill_diagonal(summary, val=False)
        object.__setattr__(self, "summary", _frozen(summary))
        if self.window is None:
            return
        window = np.array(self.window, dtype=bool)
        if window.ndim != 3 or window.shape[1:] != summary.shape:
            raise InputError(f"truth: the window graph must be [K+1, {len(summary)}, {len(summary)}], got {window.shape}.")
        window[:, np.eye(len(summary), dtype=bool)] = False
        if not np.array_equal(window.any(axis=0), summary):
            raise InputError("truth: the summary graph must hold exactly the links of the window graph.")
        object.__setattr__(self, "window", _frozen(window))

    @classmethod
    def of(cls, links: NDArray) -> Truth:
        """A truth from a window graph [K+1, N, N] or, where the lags are not known, from a summary graph [N, N]."""
        links = np.array(links, dtype=bool)
        return cls(np.asarray(links.any(axis=0)), links) if links.ndim == 3 else cls(links)

    @property
    def instantaneous(self) -> BoolArray | None:
        """[N, N] links within one step; None where the lags are not known."""
        return None if self.window is None else self.window[0]


def write_truth(path: Path, truth: NDArray | Truth, names: Sequence[str]) -> None:
    """Write a graph as CSV: `cause,effect,lag`, or `cause,effect` where the lags are not known. Names are guarded, see `encode`.

    Args:
        path: the file.
        truth: a `Truth`, a window graph [K+1, N, N] or a summary graph [N, N].
        names: N sensor names.

    Raises:
        InputError: the number of names is not N, or the file cannot be written.
    """
    known = truth if isinstance(truth, Truth) else Truth.of(truth)
    if len(names) != len(known.summary):
        raise InputError(f"{path}: {len(names)} names for a graph of {len(known.summary)} sensors; give one name a sensor.")
    shown_as = [guarded(name) for name in names]
    if known.window is None:
        rows = [[shown_as[i], shown_as[j]] for i, j in np.argwhere(known.summary)]
    else:
        rows = [[shown_as[i], shown_as[j], str(k)] for k, i, j in np.argwhere(known.window)]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(COLUMNS[: 2 if known.window is None else 3])
            out.writerows(rows)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from error


def read_truth(path: Path, names: Sequence[str], max_lag: int) -> Truth:
    """Read a known graph: a CSV with columns `cause,effect` and, if known, `lag`, or a matrix in `.npy` (`A_true.npy`).

    Columns may stand in any order, in any case, beside others; comma, semicolon or tab apart. Sensors match by name, also by the
    one that `encode.guarded` makes of it, and numbers by value ("1.0" is "1"). A matrix is [N, N] or [K+1, N, N], row = cause,
    column = effect; whatever is not 0 is
    a link.

    Args:
        path: the file.
        names: N sensor names, in the order of the table.
        max_lag: K; the window grows when the file knows a longer lag, so that such a link counts as missed.

    Raises:
        InputError: the file is not there or cannot be opened.
        TableError: a column is missing, a sensor is unknown, a lag is not a whole number >= 0.
    """
    check_file(path, InputError)
    if path.suffix.lower() == ".npy":
        return _read_matrix(path, len(names))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    index = {_canonical(name): i for i, name in enumerate(names)} | {name: i for i, name in enumerate(names)}
    try:
        header, rows = _rows(path, text)
    except csv.Error as error:
        raise TableError(
            f"{path}: cannot be split into cells ({error}); expected a header 'cause,effect,lag' and one link a line."
        ) from error
    lagged = "lag" in header
    links: list[tuple[int, int, int]] = []
    for line, row in rows:
        where = f"{path}, line {line}"
        cause, effect = (_sensor(where, row[column], index, names) for column in COLUMNS[:2])
        links.append((_lag(where, row["lag"]) if lagged else 0, cause, effect))
    window = np.zeros((max([max_lag, *(k for k, _, _ in links)]) + 1, len(names), len(names)), bool)
    for key in links:
        window[key] = True
    return Truth.of(window) if lagged else Truth.of(window[0])


def _frozen(array: BoolArray) -> BoolArray:
    array.flags.writeable = False
    return array


def _rows(path: Path, text: str) -> tuple[list[str], Iterator[tuple[int, Row]]]:
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    lines = [(reader.line_num, row) for row in reader]
    header = [cell.strip().lower() for cell in (lines[0][1] if lines else [])]
    absent = [column for column in COLUMNS[:2] if column not in header]
    if absent:
        raise TableError(
            f"{path}: no column {absent[0]!r}; expected a header 'cause,effect' or 'cause,effect,lag', got {shown(first.strip())}."
        )

    def cells() -> Iterator[tuple[int, Row]]:
        for number, row in lines[1:]:
            if not any(cell.strip() for cell in row):
                continue
            padded = [*row, *[""] * (len(header) - len(row))]
            yield number, {name: cell.strip() for name, cell in zip(header, padded, strict=False)}

    return header, cells()


def _canonical(name: str) -> str:
    """Numbers in one spelling; any other name as it is."""
    try:
        return repr(float(name))
    except ValueError:
        return name.strip()


def _sensor(where: str, name: str, index: dict[str, int], names: Sequence[str]) -> int:
    found = next((index[known] for known in (unguarded(name), name, _canonical(name)) if known in index), None)
    if found is None:
        some = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        raise TableError(f"{where}: the table has no sensor {shown(name)} (it has {some}). Correct the name or leave the line out.")
    return found


def _lag(where: str, text: str) -> int:
    try:
        lag = float(text)
    except ValueError:
        lag = math.nan
    if not (lag.is_integer() and 0 <= lag <= LONGEST_LAG):
        raise TableError(
            f"{where}: lag is {shown(text)}; expected whole steps back, 0 to {LONGEST_LAG}. If lags are not known, leave the column out."
        )
    return int(lag)


def _read_matrix(path: Path, sensors: int) -> Truth:
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read as a numpy matrix ({error}).") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim not in (2, 3) or matrix.shape[-2:] != (sensors, sensors):
        shape = getattr(matrix, "shape", "several arrays")
        raise TableError(f"{path}: expected a matrix [{sensors}, {sensors}] or [K+1, {sensors}, {sensors}], row = cause, got {shape}.")
    if matrix.dtype.kind not in "biuf" or not np.isfinite(matrix).all():
        raise TableError(f"{path}: expected finite numbers, 0 = no link, got {matrix.dtype} with other contents.")
    return Truth.of(matrix)
