"""`Series`: one table of sensor readings, checked once, never changed afterwards.

Shapes everywhere in rcgnn: T rows (time steps), N sensors. Values are in the sensors' own units until
`data.scaling`; a cell that was not observed holds NaN and `mask` False, so a forgotten mask shows at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rcgnn.errors import TableError
from rcgnn.mapped import LARGE, in_turn, spacious

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

GAP_FACTOR = 1.5
"""A time step longer than this many median steps starts a new segment."""


SLAB, LEAST_SLAB = 65_536, 1024
"""Rows looked at at a time where a whole table of intermediate results would be too much."""
SLAB_CELLS = 4_000_000
"""Cells of a slab of a wide table."""
BLOCK_CELLS = 2_000_000
"""Cells of a block of sensors; see `sensor_blocks`."""


def frozen(array: NDArray) -> NDArray:
    """The array, from now on read-only; a `Series` shares such an array instead of copying it."""
    array.flags.writeable = False
    return array


def still(array: NDArray) -> bool:
    """True where nobody can write the array through any array that it is a view of."""
    return not array.flags.writeable and (not isinstance(array.base, np.ndarray) or still(array.base))


def sensor_blocks(shape: tuple[int, ...]) -> list[slice]:
    """Neighbouring sensors of a table [T, N], so many at a time that a block has about `BLOCK_CELLS` cells.

    Example:
        >>> sensor_blocks((1_000_000, 6)), sensor_blocks((500, 6))
        ([slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)], [slice(0, 6, None)])
    """
    rows, sensors = shape
    width = max(BLOCK_CELLS // max(rows, 1), 1)
    return [slice(first, min(first + width, sensors)) for first in range(0, sensors, width)]


def slabs(rows: int, sensors: int = 1) -> list[slice]:
    """Rows of a table, `SLAB` at a time; of a wide one fewer, about `SLAB_CELLS` cells.

    Example:
        >>> len(slabs(1_000_000)), len(slabs(1_000_000, 1000))
        (16, 250)
    """
    step = min(SLAB, max(SLAB_CELLS // max(sensors, 1), LEAST_SLAB))
    return [slice(first, min(first + step, rows)) for first in range(0, rows, step)]


def tiles(cells: NDArray[Any]) -> list[tuple[slice, slice]]:
    """All of a table [T, N] in parts whose cells lie close to each other in memory: some sensors whole, or some rows whole.

    Example:
        >>> len(tiles(spacious((1_000_000, 6)))), len(tiles(spacious((1_000_000, 6), order="C")))
        (3, 16)
    """
    if cells.flags.f_contiguous:
        return [(slice(0, len(cells)), block) for block in sensor_blocks(cells.shape)]
    return [(slab, slice(0, cells.shape[1])) for slab in slabs(*cells.shape)]


def below(tables: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Tables [T, N] of the same columns, one below the other, as a table of its own."""
    found = spacious((sum(len(one) for one in tables), tables[0].shape[1]), tables[0].dtype)
    first = 0
    for one in tables:
        for part in in_turn(slabs(*one.shape), one, found):
            found[first + part.start : first + part.stop] = one[part]
        first += len(one)
    return found


def beside(draws: Sequence[FloatArray]) -> FloatArray:
    """[S, T, N] of S draws [T, N]; one alone is not copied."""
    return draws[0][None] if len(draws) == 1 else np.stack(draws)


def nothing(shape: tuple[int, ...], kind: DTypeLike = np.float64) -> NDArray[Any]:
    """A table of zeros that takes no room, to be read only."""
    return np.broadcast_to(frozen(np.zeros((), kind)), shape)


def columns(cells: NDArray[Any], index: list[int]) -> NDArray[Any]:
    """Some columns of a table [T, N], in order; a view where they are neighbours, or where all cells are one."""
    if not any(cells.strides):
        return cells[:, : len(index)]
    if index and index == list(range(index[0], index[0] + len(index))):
        return cells[:, index[0] : index[0] + len(index)]
    found = spacious((len(cells), len(index)), cells.dtype)
    for place, j in in_turn(enumerate(index), cells, found):
        found[:, place] = cells[:, j]
    return found


def taken(cells: NDArray[Any], rows: IntArray | BoolArray | slice) -> NDArray[Any]:
    """Some rows of a table [T, N], in rising order: what `cells[rows]` gives, laid out as `spacious` does where that is much."""
    if isinstance(rows, slice):
        return cells[rows]
    at = np.flatnonzero(rows) if rows.dtype == bool else rows
    if cells.size <= LARGE:
        return cells[at]
    found = spacious((len(at), cells.shape[1]), cells.dtype)
    for part in in_turn(slabs(*cells.shape), cells, found):
        among = slice(*np.searchsorted(at, [part.start, part.stop]))
        found[among] = cells[at[among]]
    return found


@dataclass(frozen=True, eq=False)
class Series:
    """Readings of N sensors over T steps: one or several recordings of one system.

    Attributes:
        values: [T, N] float64 in sensor units; NaN where not observed. The readings of one sensor lie side by side in memory;
            arrays that are `frozen` and already agree with each other are shared, not copied.
        mask: [T, N] True where observed.
        names: N distinct sensor names.
        time: [T] seconds (or the user's unit), rising within a recording; None when rows are simply evenly spaced.
        regime: [T] integer operating mode of each row, an index into `regime_names`.
        recording: [T] integer; rows of different recordings are never neighbours.
        regime_names: what the user calls the regimes.
        source: where the table came from, for messages.

    Raises:
        TableError: shapes disagree, names repeat, time runs backwards, or there is nothing in the table.

    Example:
        >>> s = Series.of([[1.0, 2.0], [float("nan"), 3.0]], names=["flow", "level"])
        >>> s.shape, s.mask.sum()
        ((2, 2), np.int64(3))
    """

    values: FloatArray
    mask: BoolArray
    names: tuple[str, ...]
    time: FloatArray | None = None
    regime: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    recording: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    regime_names: tuple[str, ...] = ("0",)
    source: str = "table"

    def __post_init__(self) -> None:
        shape, masked = np.shape(self.values), np.shape(self.mask)
        if len(shape) != 2 or 0 in shape:
            raise TableError(f"{self.source}: expected a table of rows x sensors with at least one of each, got shape {shape}.")
        rows, sensors = shape
        if masked != shape:
            raise TableError(f"{self.source}: the mask has shape {masked}, the values {shape}; they must agree.")
        values, mask = _cells(self.values, self.mask)
        names = tuple(str(name) for name in self.names)
        if len(names) != sensors:
            raise TableError(f"{self.source}: {len(names)} names for {sensors} sensors; give one name per column.")
        if len(set(names)) != sensors:
            twice = next(name for name in names if names.count(name) > 1)
            raise TableError(f"{self.source}: two sensors are both called {twice!r}; rename one of the columns.")
        regime = self._per_row("regime", self.regime, rows)
        recording = self._per_row("recording", self.recording, rows)
        if regime.size and (regime.min() < 0 or regime.max() >= len(self.regime_names)):
            raise TableError(f"{self.source}: regimes must be 0..{len(self.regime_names) - 1}, got {regime.min()}..{regime.max()}.")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "regime", frozen(regime))
        object.__setattr__(self, "recording", frozen(recording))
        object.__setattr__(self, "time", self._checked_time(recording))

    def _per_row(self, what: str, given: IntArray, rows: int) -> IntArray:
        if len(given) == 0:
            return nothing((rows,), np.int64)
        if len(given) != rows:
            raise TableError(f"{self.source}: {what} has {len(given)} entries for {rows} rows; give one per row.")
        return _shared(given, np.int64)

    def _checked_time(self, recording: IntArray) -> FloatArray | None:
        if self.time is None:
            return None
        time = _shared(self.time, np.float64)
        if time.shape != recording.shape or not np.isfinite(time).all():
            raise TableError(f"{self.source}: the time column must hold one finite stamp per row.")
        back = np.flatnonzero((np.diff(time) <= 0) & (np.diff(recording) == 0))
        if back.size:
            raise TableError(
                f"{self.source}: time does not rise from row {back[0] + 1} to row {back[0] + 2}; sort the table, drop repeated stamps."
            )
        return frozen(time)

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        mask: ArrayLike | None = None,
        source: str = "array",
    ) -> Series:
        """A series from one array [T, N]; NaN and infinite cells count as not observed."""
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 2:
            raise TableError(f"{source}: expected a table of rows x sensors, got {array.ndim} dimension(s).")
        observed = np.isfinite(array) if mask is None else np.asarray(mask, dtype=bool)
        return cls(array, observed, tuple(names) if names is not None else default_names(array.shape[1]), source=source)

    @property
    def shape(self) -> tuple[int, int]:
        """(T, N)."""
        return self.values.shape[0], self.values.shape[1]

    def segments(self) -> list[slice]:
        """Longest runs of rows within which neighbouring rows are one step apart and share recording and regime."""
        breaks = (np.diff(self.recording) != 0) | (np.diff(self.regime) != 0)
        if self.time is not None and len(self.time) > 1:
            step = np.diff(self.time)
            inside = step[np.diff(self.recording) == 0]
            if inside.size:
                breaks |= step > GAP_FACTOR * np.median(inside)
        edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), self.values.shape[0]]
        return [slice(a, b) for a, b in pairwise(edges)]

    def with_values(self, values: FloatArray, mask: BoolArray) -> Series:
        """The same sensors, times and regimes with other readings."""
        return replace(self, values=values, mask=mask)

    def by_sensor(self) -> Iterator[tuple[FloatArray, BoolArray]]:
        """Readings [T] and mask [T] of one sensor after the other; of a large table one at a time is in memory."""
        return in_turn(zip(self.values.T, self.mask.T, strict=True), self.values, self.mask)

    def rows(self, keep: slice | IntArray | BoolArray) -> Series:
        """Some of the rows, in order."""
        time = None if self.time is None else self.time[keep]
        return replace(
            self,
            values=taken(self.values, keep),
            mask=taken(self.mask, keep),
            time=time,
            regime=self.regime[keep],
            recording=self.recording[keep],
        )

    def sensors(self, keep: Sequence[int]) -> Series:
        """Some of the sensors, in the order given."""
        index = list(keep)
        if index == list(range(len(self.names))):
            return self
        values, mask = columns(self.values, index), columns(self.mask, index)
        return replace(self, values=frozen(values), mask=frozen(mask), names=tuple(self.names[i] for i in index))


def _shared(given: NDArray[Any], kind: DTypeLike) -> NDArray[Any]:
    """The array itself where nobody can write it, otherwise a copy."""
    return given if isinstance(given, np.ndarray) and given.dtype == kind and still(given) else np.array(given, dtype=kind)


def _cells(values: FloatArray, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
    """The cells of a table: shared where they are frozen and agree, otherwise a copy that does."""
    shared = all(isinstance(cells, np.ndarray) and cells.dtype == kind and still(cells) for cells, kind in ((values, float), (mask, bool)))
    if shared and all(_agree(values[part], mask[part]) for part in in_turn(tiles(values), values, mask)):
        return values, mask
    values, mask = np.asarray(values, np.float64), np.asarray(mask, bool)
    own, seen = spacious(values.shape), spacious(values.shape, bool)
    for part in in_turn(tiles(values), values, mask, own, seen):
        seen[part] = mask[part] & np.isfinite(values[part])
        own[part] = np.where(seen[part], values[part], np.nan)
    return frozen(own), frozen(seen)


def _agree(values: FloatArray, mask: BoolArray) -> bool:
    return bool((np.isfinite(values) == mask).all() and (np.isnan(values) != mask).all())


def default_names(count: int) -> tuple[str, ...]:
    """x0, x1, ... for sensors that came without names."""
    return tuple(f"x{i}" for i in range(count))


def concatenate(recordings: Sequence[Series]) -> Series:
    """Several recordings of one system as one series; they must name the same sensors.

    Raises:
        TableError: no recording, or a recording with other sensors.
    """
    if not recordings:
        raise TableError("recordings: expected at least one table, got none.")
    first = recordings[0]
    for number, other in enumerate(recordings[1:], start=2):
        if other.names != first.names:
            raise TableError(
                f"{other.source}: recording {number} has sensors {list(other.names)[:4]}..., the first has {list(first.names)[:4]}...; "
                "all recordings must have the same columns in the same order."
            )
    labels = sorted({label for s in recordings for label in s.regime_names})
    regime = [np.array([labels.index(label) for label in s.regime_names])[s.regime] for s in recordings]
    shift = np.cumsum([0, *(int(s.recording.max()) + 1 for s in recordings[:-1])])
    timed = all(s.time is not None for s in recordings)
    return Series(
        values=frozen(below([s.values for s in recordings])),
        mask=frozen(below([s.mask for s in recordings])),
        names=first.names,
        time=np.concatenate([s.time for s in recordings if s.time is not None]) if timed else None,
        regime=np.concatenate(regime),
        recording=np.concatenate([s.recording + k for s, k in zip(recordings, shift, strict=True)]),
        regime_names=tuple(labels),
        source=first.source,
    )


def digest(series: Series) -> str:
    """sha256 of what was read: the values [T, N] as little-endian float64, NaN where not observed, then the mask as bytes.

    Example:
        >>> digest(Series.of([[1.0, 2.0]]))[:8]
        '...'
    """
    sha = hashlib.sha256()
    for array in (series.values.astype("<f8", copy=False), series.mask):
        for part in in_turn(slabs(*array.shape), array):
            sha.update(array[part].tobytes())
    return sha.hexdigest()
