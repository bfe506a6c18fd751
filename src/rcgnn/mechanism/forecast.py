"""One step ahead: what each sensor will read in the next row, from the rows before it.

    x_j(t) = level_j + offset_j + unit_j [ (c + sum_k z(t-k) B_k) (I - B_0)^-1 ]_j

Links within the step are followed through: the causes' own forecasts stand for readings that are not there yet. A reading that is
missing is stood in for by its own forecast, at the beginning of a segment by the last one before it. The interval is the
middle 95 % of the errors made on the table of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rcgnn.data.marks import KEPT, mark
from rcgnn.data.rolling import TREND_WINDOW
from rcgnn.errors import InputError
from rcgnn.mechanism.equations import Mechanism
from rcgnn.series import BoolArray, FloatArray, IntArray, Series

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecasts of a table, in sensor units.

    Attributes:
        names: n sensors.
        observed: [T, n] readings; NaN where missing or set aside.
        value: [T, n] forecast; NaN in the first K rows of every segment, which have no past.
        low: [T, n] lower end of the 95 % interval.
        high: [T, n] upper end.
        set_aside: [n] suspect cells that were not used.
    """

    names: tuple[str, ...]
    observed: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    set_aside: IntArray

    def wide(self) -> pd.DataFrame:
        """One row a row of the table, one column a sensor."""
        import pandas as pd

        return pd.DataFrame(self.value, columns=list(self.names))

    def long(self) -> pd.DataFrame:
        """Columns row, sensor, observed, predicted, low, high; only cells that have a forecast."""
        import pandas as pd

        row, sensor = np.nonzero(np.isfinite(self.value))
        columns = {"observed": self.observed, "predicted": self.value, "low": self.low, "high": self.high}
        cells = {name: array[row, sensor] for name, array in columns.items()}
        return pd.DataFrame({"row": row, "sensor": np.array(self.names, object)[sensor], **cells})

    def scores(self) -> list[Score]:
        """How good the forecast of each sensor was."""
        return [_score(name, self, j) for j, name in enumerate(self.names)]


@dataclass(frozen=True)
class Score:
    """How good the forecast of one sensor was.

    Attributes:
        sensor: its name.
        rows: readings that had a forecast.
        r2: 1 - sum (x - forecast)^2 / sum (x - mean of x)^2; None where there are fewer than two readings or all are the same.
        persistence: the same for the last reading in place of the forecast, over the readings that have one.
        inside: share of readings inside the 95 % interval; None without readings.
    """

    sensor: str
    rows: int
    r2: float | None
    persistence: float | None
    inside: float | None


def forecast(mechanism: Mechanism, series: Series, *, set_aside: bool = False) -> Forecast:
    """One-step forecasts of every row that has K rows before it.

    Args:
        mechanism: the equations.
        series: readings of at least the sensors of the fit, by name.
        set_aside: mark stuck, sentinel and spiky cells by the rules of the fit, and use none of them.

    Raises:
        InputError: a sensor of the fit is not in the table, or no segment is longer than K rows.
    """
    table = mechanism.sensors.pick(series)
    if max(part.stop - part.start for part in table.segments()) <= mechanism.max_lag:
        raise InputError(
            f"{series.source}: a forecast needs {mechanism.max_lag} rows in a row before it (the longest delay), and no run of rows "
            f"here is longer than that; give more rows."
        )
    kept = table.mask & (mark(table).codes == KEPT) if set_aside else table.mask
    z, level = ahead(mechanism, table.with_values(table.values, kept))
    value, low, high = (mechanism.to_units(z + error, level) for error in (0.0, *mechanism.error))
    return Forecast(table.names, np.where(kept, table.values, np.nan), value, low, high, (table.mask & ~kept).sum(axis=0))


def ahead(mechanism: Mechanism, table: Series) -> tuple[FloatArray, FloatArray]:
    """(forecasts [T, n] in z, NaN without a past, level [T, n] of the row before) of a table with the sensors of the fit, in order."""
    filled, level = states(mechanism, table)
    z, K = np.full(table.shape, np.nan), mechanism.max_lag
    for part in table.segments():
        rows = part.stop - part.start - K
        if rows > 0:
            lagged = np.broadcast_to(mechanism.intercept, (rows, mechanism.size))
            for k in range(1, K + 1):
                lagged = lagged + filled[part][K - k : K - k + rows] @ mechanism.matrices[k]
            z[part.start + K : part.stop] = mechanism.same_step(lagged)
    return z, np.concatenate([level[:1], level[:-1]])


def states(mechanism: Mechanism, table: Series) -> tuple[FloatArray, FloatArray]:
    """(z [T, n] without gaps, level [T, n] in sensor units) of a table with the sensors of the fit, in their order."""
    s = mechanism.sensors
    z = mechanism.to_z(table.values, np.where(s.drifts, s.level, 0.0))
    drift = np.where(s.drifts, trailing_mean(z, table), 0.0)
    z, level = z - drift, mechanism.to_units(drift, np.where(s.drifts, s.level, 0.0)) - s.offset
    for part in table.segments():
        for t in part.start + np.flatnonzero(np.isnan(z[part]).any(axis=1)):
            gaps = np.isnan(z[t])
            if t - part.start >= mechanism.max_lag:
                z[t, gaps] = mechanism.step(z[None, t - mechanism.max_lag : t], mechanism.intercept)[0, gaps]
            else:
                z[t, gaps] = z[t - 1, gaps] if t > part.start else 0.0
    return z, level


def trailing_mean(z: FloatArray, table: Series) -> FloatArray:
    """[T, n] mean of what is known of z [T, n] in the last `TREND_WINDOW` rows of the same segment; 0 where nothing is."""
    mean = np.zeros(z.shape)
    for part in table.segments():
        seen = np.isfinite(z[part])
        known = np.where(seen, z[part], 0.0)
        count, total = (np.concatenate([np.zeros((1, z.shape[1])), np.cumsum(a, axis=0)]) for a in (seen, known))
        end = np.arange(1, len(seen) + 1)
        begin = np.maximum(end - TREND_WINDOW, 0)
        mean[part] = (total[end] - total[begin]) / np.maximum(count[end] - count[begin], 1.0)
    return mean


def _score(name: str, done: Forecast, j: int) -> Score:
    x, both = done.observed[:, j], np.isfinite(done.observed[:, j]) & np.isfinite(done.value[:, j])
    before = np.concatenate([[np.nan], x[:-1]])
    inside = (x[both] >= done.low[both, j]) & (x[both] <= done.high[both, j])
    share = float(inside.mean()) if both.any() else None
    return Score(name, int(both.sum()), _r2(x, done.value[:, j], both), _r2(x, before, both & np.isfinite(before)), share)


def _r2(x: FloatArray, guess: FloatArray, rows: BoolArray) -> float | None:
    if rows.sum() < 2:
        return None
    unit = float(np.abs(x[rows]).max()) or 1.0
    seen, missed = x[rows] / unit, x[rows] / unit - guess[rows] / unit
    moved = seen - seen.mean()
    spread = float(moved @ moved)
    return float(1.0 - (missed @ missed) / spread) if np.ptp(seen) > 0 and spread > 0 else None
