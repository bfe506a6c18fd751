"""Sudden changes of unit or level: a sensor that reads a thousand times as much, or stands elsewhere, from one row on.

Links are about how sensors move, so the parts of such a sensor are brought to one level and one scale, those of its last part,
which is what new readings will come in. Only what no process does by itself is touched: a change within a row, for good, far
beyond everything the sensor does before and after.

    unit    mean ln |x(t) - x(t-1)| of the two sides differs by at least ln 8, and by five times what it differs between
            neighbouring thirty rows of the sides, 70 % of it within sixty rows
    level   medians of the two sides differ by at least 8 robust standard deviations of the sides, 70 % of it within twenty rows

Where to cut is the largest CUSUM of ln |x(t) - x(t-1)|, then of x itself, side by side until nothing is left to cut.
Source: binary segmentation (Scott & Knott 1974; Vostrikova 1981).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rcgnn.data.findings import finding
from rcgnn.data.quality_rules import MAD_TO_SD
from rcgnn.health import Finding
from rcgnn.mapped import in_turn
from rcgnn.series import FloatArray, IntArray, Series, below

LEAST_SIDE = 60
"""Readings on each side of a change."""
UNIT, STEADY, BLOCK = np.log(8.0), 5.0, 30
LEVEL, NEAR = 8.0, 10
ABRUPT = 0.7
"""Share of a change that must happen between the `BLOCK` (unit) or `NEAR` (level) readings before it and those after it."""
MOST_STILL = 0.1
"""A sensor with more unchanged readings than this (counts, steps, stuck) has no scale of its own changes."""
UNSURE = 3
"""Readings on each side of a change that are set aside."""
WINSOR = 4.0


@dataclass(frozen=True, eq=False)
class Part:
    """Readings [first, last) of one sensor between two changes.

    Attributes:
        first, last: places among its observed readings.
        level: their median.
        size: geometric mean of their row-to-row changes.
    """

    first: int
    last: int
    level: float
    size: float


def splice(series: Series) -> tuple[Series, tuple[Finding, ...]]:
    """The series with every sensor at one level and one scale, and what was done; the same series where nothing changed.

    Tables of several recordings or operating modes are left as they are: there a sensor may well read differently.

    Args:
        series: readings as they came; not changed.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((400, 2)); x[250:, 1] *= 1000
        >>> spliced, found = splice(Series.of(x, names=["flow", "level"]))
        >>> found[0].sensor, found[0].evidence["kind"], found[0].evidence["rows"]
        ('level', 'unit_change', [250])
    """
    if len(series.segments()) > 1:
        return series, ()
    values, mask, found = series.values, series.mask, list[Finding]()
    for j, name in in_turn(enumerate(series.names), values, mask):
        seen = np.flatnonzero(mask[:, j])
        x = values[seen, j]
        with np.errstate(over="ignore"):
            parts = _parts(x)
        if len(parts) < 2:
            continue
        if not found:
            values, mask = below([values]), below([mask])
        values[seen, j] = _joined(x, parts)
        cuts = [part.first for part in parts[1:]]
        unsure = np.unique(np.concatenate([np.arange(cut - UNSURE, cut + UNSURE) for cut in cuts]))
        mask[seen[unsure], j] = False
        found.append(_told(name, parts, seen[cuts]))
    return (series.with_values(values, mask), tuple(found)) if found else (series, ())


def _parts(x: FloatArray) -> list[Part]:
    """The sensor cut wherever its unit or level changes; one part where nothing does."""
    change = np.abs(np.diff(x))
    within_floats = len(x) > 0 and bool(np.isfinite(2 * LEVEL * np.ptp(x)))
    if len(x) < 2 * LEAST_SIDE or not within_floats or np.mean(change == 0) > MOST_STILL:
        return [Part(0, len(x), 0.0, 1.0)]
    logs = np.log(np.maximum(change, np.min(change[change > 0])))
    edges = [0, *sorted(_cuts(x, logs, 0, len(x))), len(x)]
    return [Part(a, b, float(np.median(x[a:b])), float(np.exp(np.mean(logs[a : b - 1])))) for a, b in pairwise(edges)]


def _cuts(x: FloatArray, logs: FloatArray, first: int, last: int) -> Iterator[int]:
    """Places between `first` and `last` where the unit or the level changes."""
    cut = _unit_change(logs[first : last - 1])
    if cut is None:
        cut = _level_change(x[first:last])
    if cut is not None:
        yield from _cuts(x, logs, first, first + cut)
        yield first + cut
        yield from _cuts(x, logs, first + cut, last)


def _unit_change(logs: FloatArray) -> int | None:
    cut = _largest_cusum(logs)
    if cut is None:
        return None
    before, after = logs[:cut], logs[cut:]
    higher = float(np.mean(after) - np.mean(before))
    at_once = float(np.mean(after[:BLOCK]) - np.mean(before[-BLOCK:]))
    if abs(higher) < max(UNIT, STEADY * max(_unrest(before), _unrest(after))) or at_once / higher < ABRUPT:
        return None
    return cut + (higher > 0)  # the change over the boundary is large in either direction


def _unrest(logs: FloatArray) -> float:
    """Median difference between the means of neighbouring blocks: what the size of the changes does by itself."""
    blocks = logs[: len(logs) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=1)
    return float(np.median(np.abs(np.diff(blocks))))


def _level_change(x: FloatArray) -> int | None:
    cut = _largest_cusum(x)
    if cut is None:
        return None
    before, after = x[:cut], x[cut:]
    jump = float(np.median(after) - np.median(before))
    spread = MAD_TO_SD * max(float(np.median(np.abs(side - np.median(side)))) for side in (before, after))
    at_once = float(np.median(after[:NEAR]) - np.median(before[-NEAR:]))
    return cut if spread > 0 and abs(jump) >= LEVEL * spread and at_once / jump >= ABRUPT else None


def _largest_cusum(x: FloatArray) -> int | None:
    """The cut [LEAST_SIDE, n - LEAST_SIDE] with the largest sqrt(n1 n2 / n) |mean - mean|; single readings count so much at most."""
    n = len(x)
    if n < 2 * LEAST_SIDE:
        return None
    middle = np.median(x)
    unit = np.median(np.abs(x - middle))
    if unit == 0:
        return None
    sums = np.cumsum(np.clip((x - middle) / unit, -WINSOR, WINSOR))
    cuts = np.arange(LEAST_SIDE, n - LEAST_SIDE + 1)
    left = sums[cuts - 1]
    gap = np.abs(left / cuts - (sums[-1] - left) / (n - cuts))
    return int(cuts[np.argmax(gap * np.sqrt(cuts * (n - cuts) / n))])


def _joined(x: FloatArray, parts: list[Part]) -> FloatArray:
    """All parts at the level of the last one, and at its scale where theirs is another."""
    out, last = x.copy(), parts[-1]
    for part in parts[:-1]:
        factor = last.size / part.size if _other_unit(part, last) else 1.0
        out[part.first : part.last] = (x[part.first : part.last] - part.level) * factor + last.level
    return out


def _other_unit(part: Part, last: Part) -> bool:
    return bool(abs(np.log(part.size) - np.log(last.size)) >= UNIT)


def _told(name: str, parts: list[Part], rows: IntArray) -> Finding:
    """What changed, where, and what was done about it."""
    last = parts[-1]
    factors = [last.size / part.size for part in parts[:-1]]
    unit = any(_other_unit(part, last) for part in parts[:-1])
    where = ", ".join(str(row) for row in rows)
    what = f"its unit changes (x {factors[-1]:.3g})" if unit else f"its level jumps (by {last.level - parts[-2].level:.3g})"
    text = (
        f"{name}: {what} at row {where}, for good.",
        "Its parts were brought to the level and scale of the last one, whose unit strengths are in. Check the sensor's history.",
    )
    kind = "unit_change" if unit else "level_change"
    made = finding(kind, "act", name, text, rows=[int(row) for row in rows], factors=factors, levels=[part.level for part in parts])
    return made.model_copy(update={"applied": True})
