"""The rules by which readings are judged; pure functions of arrays, thresholds named where they are decided.

Shapes: x [T, N] with NaN where not observed; segments are row slices within which rows are neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rcgnn.data.rolling import rolling
from rcgnn.series import BoolArray, FloatArray, IntArray

SENTINEL_SHARE = 0.003
SENTINEL_IQR = 4.0
SENTINEL_ALONE = 0.5
ALONE, ALONE_NEGATIVE = 1.0, 0.5
LARGEST_MARKER = 1e7
STUCK_SHARE = 0.01
STUCK_LENGTH = 4
REPEATS = 0.02
QUANTISED = 0.5
HAMPEL_WINDOW = 25
HAMPEL_MAD = 5.0
HAMPEL_LEAST = 5
FLANK_Z = 3.0
FLANK_USUAL = 1.5
FLANK_LEAST = 8
EVENT_SHARE = 0.05
SPIKY_SHARE = 0.02
SHORT_RUNS = 0.005
FAVOURITE = 0.05
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Runs:
    """Runs of equal neighbouring readings of one sensor; missing cells between equal readings do not end a run.

    Attributes:
        rows: [n] rows of the observed cells.
        first: [R] index into `rows` of the first cell of each run.
        length: [R] readings in each run.
    """

    rows: IntArray
    first: IntArray
    length: IntArray

    @classmethod
    def of(cls, x: FloatArray, segment: IntArray) -> Runs:
        """Runs of one column; `segment` [T] numbers the segment of each row."""
        rows = np.flatnonzero(np.isfinite(x))
        new = np.ones(len(rows), bool)
        new[1:] = (np.diff(x[rows]) != 0) | (np.diff(segment[rows]) != 0)
        first = np.flatnonzero(new)
        return cls(rows, first, np.diff(np.append(first, len(rows))))

    def repeat_chance(self) -> float:
        """Chance p that a reading repeats by nature, from short runs only: (n2 + n3) / (n1 + n2), as runs of length k thin out by p."""
        counts = np.bincount(np.minimum(self.length, 4), minlength=5)
        if not counts[1] + counts[2]:
            return 0.99
        return float(min(0.99, (counts[2] + counts[3]) / (counts[1] + counts[2])))

    def stuck_length(self) -> float:
        """Length from which a run is called stuck: 4, or max(12, 2 ln(1e-3 / n) / ln p) for sensors that repeat by nature."""
        p = self.repeat_chance()
        if p <= REPEATS:
            return STUCK_LENGTH
        return max(12.0, 2 * np.log(1e-3 / max(len(self.rows), 1)) / np.log(p))

    def cells(self, longest: float) -> IntArray:
        """Rows of all cells but the first in runs of at least `longest` readings."""
        number = np.repeat(np.arange(len(self.length)), self.length)
        inside = self.length[number] >= longest
        inside[self.first] = False
        return self.rows[inside]


@dataclass(frozen=True)
class Stuck:
    """What the stuck rule says about one sensor.

    Attributes:
        cells: rows of all cells but the first of each long run.
        share: share of readings inside long runs.
        by_nature: the sensor repeats by nature and the rule is off: short runs (2-4 equal readings) outnumber max(.5 % of
            the rows, long runs), or one value starts more than 5 % of the runs.
        favourite: share of runs that start with the commonest value.
    """

    cells: IntArray
    share: float
    by_nature: bool
    favourite: float

    @classmethod
    def of(cls, x: FloatArray, segment: IntArray) -> Stuck:
        """The rule on one column."""
        runs = Runs.of(x, segment)
        if len(runs.rows) < 2:
            return cls(np.zeros(0, np.int64), 0.0, False, 0.0)
        limit = runs.stuck_length()
        long = runs.length >= limit
        short = int(((runs.length >= 2) & (runs.length <= 4) & ~long).sum())
        common = int(np.unique(x[runs.rows[runs.first]], return_counts=True)[1].max())
        favourite = common / len(runs.first) if common > 3 else 0.0
        by_nature = short > max(SHORT_RUNS * len(x), int(long.sum())) or favourite > FAVOURITE
        by_nature = by_nature and not _apart(x[runs.rows[runs.first]], runs.length, limit)
        return cls(runs.cells(limit), float(runs.length[long].sum() / len(runs.rows)), bool(by_nature), favourite)


def _apart(starts: FloatArray, length: IntArray, limit: float) -> bool:
    """True where long runs stand apart from the rest: hardly any of middle length, and at more than one value."""
    long = length >= limit
    if long.sum() < 2:
        return False
    middle = int(((length > 4) & ~long).sum())
    common = int(np.unique(starts[long], return_counts=True)[1].max())
    return bool(2 * middle <= long.sum() and 2 * common <= long.sum())


def sentinel(x: FloatArray, unit: float = 1.0) -> float | None:
    """One exact value, at least .3 % of the readings, that does not belong to the others.

    It is the lowest or highest value and either lies more than 4 interquartile ranges outside the quartiles of the others,
    making up half of all readings out there (a heavy tail is no sentinel); or it is a whole number other than 0 (in sensor
    units: `unit` times x) that stands alone, further than one interquartile range from the nearest other reading, half of
    one when it is the only negative value (-200 in the air-quality table).

    Returns:
        The value in the units of x, or None.
    """
    seen = x[np.isfinite(x)]
    found = [] if not seen.size else [c for value in {seen.min(), seen.max()} if (c := _apart_by(seen, float(value), unit))]
    return max(found)[1] if found else None


def _apart_by(seen: FloatArray, value: float, unit: float) -> tuple[int, float] | None:
    """(number of readings, value) when the value is a sentinel among the readings."""
    count = int((seen == value).sum())
    others = seen[seen != value]
    if count < max(3, SENTINEL_SHARE * seen.size) or not others.size:
        return None
    low, high = np.quantile(others, [0.25, 0.75])
    iqr = float(high - low)
    if iqr <= 0:
        return None
    negative = value < 0 <= others.min()
    nearest = float(np.abs(others - value).min())
    whole = 0 < abs(value * unit) < LARGEST_MARKER and (value * unit).is_integer()
    alone = whole and nearest > (ALONE_NEGATIVE if negative else ALONE) * iqr
    fence = SENTINEL_IQR * iqr
    outside = value < low - fence or value > high + fence
    beyond = int((others < low - fence).sum() if value < low else (others > high + fence).sum())
    return (count, value) if alone or (outside and count >= SENTINEL_ALONE * (count + beyond)) else None


def quantised_step(x: FloatArray) -> float | None:
    """Smallest distance of distinct readings, where more than half of the readings repeat an earlier one."""
    seen = x[np.isfinite(x)]
    values = np.unique(seen)
    if seen.size < 3 or values.size < 2 or 1 - values.size / seen.size <= QUANTISED:
        return None
    gaps = np.diff(values)
    real = gaps[gaps > 1e-9 * (values[-1] - values[0])]
    return float(real.min()) if real.size else None


@dataclass(frozen=True)
class Hampel:
    """Spikes by a rolling median: |x - median of 25 rows| > max(5 x 1.4826 MAD of all residuals, quantisation step).

    A fault is back on level in the next row; an event has a flank. A spike whose nearest reading without one, before or
    after, lies more than 3 robust sd to the same side is an event. Where that is the rule for a sensor (median of those
    neighbours above 1.5 sd), or spikes exceed
    5 % of its readings, all its spikes are kept.

    Attributes:
        spikes: [T, N] True where beyond the limit.
        faults: [T, N] spikes without a flank, of sensors whose spikes are not all kept.
        spiky: [N] spikes belong to the sensor's nature: the flank rule or the 5 % rule holds, and they exceed 2 % of readings.
    """

    spikes: BoolArray
    faults: BoolArray
    spiky: BoolArray

    @classmethod
    def of(cls, x: FloatArray, segment: IntArray, segments: Sequence[slice], steps: Sequence[float | None]) -> Hampel:
        """Spikes of the columns; `steps` [N] are quantisation steps."""
        residual = x - rolling(x, segments, HAMPEL_WINDOW, "median", HAMPEL_LEAST)
        sd = MAD_TO_SD * nan_median(np.abs(residual))
        unit = np.where(sd > 0, sd, np.inf)
        z = np.where(np.isfinite(residual), residual, 0.0) / unit
        limit = np.maximum(HAMPEL_MAD, np.array([step or 0.0 for step in steps]) * (1 + 1e-9) / unit)
        spikes = np.abs(z) > limit
        flank = np.stack([_beside(z, spikes, np.isfinite(residual), segment, back) for back in (True, False)])
        same_side = flank * np.sign(z)
        events = spikes & (np.nan_to_num(same_side) > FLANK_Z).any(axis=0)
        calm = np.concatenate([np.ones((1, x.shape[1]), bool), ~spikes, np.ones((1, x.shape[1]), bool)])
        edges = np.where(spikes & np.stack([calm[:-2], calm[2:]]), same_side, np.nan).reshape(-1, x.shape[1])
        usual = nan_median(edges)
        enough = np.isfinite(edges).sum(axis=0) >= FLANK_LEAST
        share = spikes.sum(axis=0) / np.maximum(np.isfinite(x).sum(axis=0), 1)
        kept = (enough & (np.nan_to_num(usual) > FLANK_USUAL)) | (share > EVENT_SHARE)
        return cls(spikes, spikes & ~events & ~kept, kept & (share > SPIKY_SHARE))


def _beside(z: FloatArray, spikes: BoolArray, seen: BoolArray, segment: IntArray, back: bool) -> FloatArray:  # noqa: FBT001
    """[T, N] z of the nearest row without a spike before (or after) each row; NaN when not observed or in another segment."""
    if not back:
        return _beside(z[::-1], spikes[::-1], seen[::-1], segment[::-1], True)[::-1]
    row = np.arange(len(z))[:, None]
    calm = np.maximum.accumulate(np.where(spikes, -1, row), axis=0)
    calm = np.concatenate([np.full((1, z.shape[1]), -1), calm[:-1]])
    found = np.take_along_axis(np.where(seen, z, np.nan), np.maximum(calm, 0), axis=0)
    return np.where((calm >= 0) & (segment[np.maximum(calm, 0)] == segment[:, None]), found, np.nan)


def nan_median(x: FloatArray) -> FloatArray:
    """Median of each column over its finite cells; NaN where there is none."""
    out = np.full(x.shape[1], np.nan)
    for j, column in enumerate(x.T):
        seen = column[np.isfinite(column)]
        if seen.size:
            out[j] = np.median(seen)
    return out
