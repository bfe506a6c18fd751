"""What the learned system does when a sensor is held at a value: do(x_i = v) from the next step on (Pearl 2009, def. 3.2.1).

The held sensor's own equation is cut out; everybody else follows theirs. Two expected paths leave the same state, one with and one
without the held values. Intervals: every resample runs the coefficients of one bootstrap sample of blocks. The interval of the
difference is that of the expected paths, the uncertainty of the coefficients; the interval of the path adds shocks, rows of
residuals drawn with replacement: where a reading will be (its measurement noise, if any, comes on top).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from rcgnn.errors import InputError
from rcgnn.mechanism.equations import FAR, Mechanism
from rcgnn.mechanism.forecast import states
from rcgnn.series import FloatArray, IntArray, Series

if TYPE_CHECKING:
    import pandas as pd

LONGEST, MOST_CELLS = 1_000, 100_000
"""Steps at most, and steps times sensors at most: every resample holds them in memory."""
COVERED = (0.025, 0.975)
GROWING = 1.0
NAMED = 8
"""Sensors that a note names at most."""


@dataclass(frozen=True, eq=False)
class Intervention:
    """Two futures of the learned system, [H, n] in sensor units; row 0 is the first step after the start.

    Attributes:
        names: n sensors.
        held: value of each held sensor.
        path: with the held values.
        path_low: lower end of its 95 % interval: shocks and coefficients.
        path_high: upper end.
        base: without them.
        difference: path - base.
        difference_low: lower end of its 95 % interval: coefficients alone.
        difference_high: upper end.
        notes: what to know before believing it, one sentence each.
    """

    names: tuple[str, ...]
    held: Mapping[str, float]
    path: FloatArray
    path_low: FloatArray
    path_high: FloatArray
    base: FloatArray
    difference: FloatArray
    difference_low: FloatArray
    difference_high: FloatArray
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Columns step (from 1), sensor, path, path_low, path_high, base, difference, difference_low, difference_high."""
        import pandas as pd

        steps, n = self.path.shape
        parts = ("path", "path_low", "path_high", "base", "difference", "difference_low", "difference_high")
        where = {"step": np.repeat(np.arange(1, steps + 1), n), "sensor": np.tile(np.array(self.names, object), steps)}
        return pd.DataFrame(where | {part: getattr(self, part).ravel() for part in parts})


def intervene(
    mechanism: Mechanism, hold: Mapping[str, float], horizon: int, *, start: Series | None = None, rng: np.random.Generator
) -> Intervention:
    """The path of every sensor while some are held, beside the path without.

    Args:
        mechanism: the equations.
        hold: value in sensor units of each held sensor.
        horizon: H, steps.
        start: readings whose last K rows are the start; None: the last rows of the table of the fit.
        rng: for coefficients and shocks.

    Raises:
        InputError: nothing is held, an unknown sensor, a value that is no finite number, a horizon outside 1..1,000 (less above 100
            sensors), or a start without one of the sensors.

    Example:
        >>> from rcgnn import RCGNN
        >>> from rcgnn.synth import simulate
        >>> model = RCGNN(max_lag=1, select__refine="off").fit(simulate("linear", seed=0, rows=400, sensors=3).series)
        >>> intervene(model.mechanism_, {"x0": 1.0}, 5, rng=np.random.default_rng(0)).path.shape
        (5, 3)
    """
    values = checked(mechanism, hold, horizon)
    past, level = _start(mechanism, start)
    mechanism = replace(mechanism, state=past)
    at = mechanism.to_z(_wide(mechanism, values), level)
    held = {j: float(at[j]) for j in values}
    quiet, fitted = np.zeros((1, horizon, mechanism.size)), Run(mechanism, mechanism.coefficient[None], mechanism.intercept[None])
    base, path = fitted.path(quiet, {})[0], fitted.path(quiet, held)[0]
    low, high, swing = _intervals(mechanism, horizon, held, rng)
    nothing = -mechanism.sensors.offset
    found = Intervention(
        mechanism.sensors.names,
        {mechanism.sensors.names[j]: value for j, value in values.items()},
        mechanism.to_units(path, level),
        mechanism.to_units(low, level),
        mechanism.to_units(high, level),
        mechanism.to_units(base, level),
        mechanism.to_units(path - base, nothing),
        mechanism.to_units(swing[0], nothing),
        mechanism.to_units(swing[1], nothing),
        (),
    )
    return replace(found, notes=_notes(mechanism, found, values))


def checked(mechanism: Mechanism, hold: Mapping[str, float], horizon: int) -> dict[int, float]:
    """The held values by place, once everything given makes sense.

    Raises:
        InputError: as in `intervene`.
    """
    most = max(min(LONGEST, MOST_CELLS // mechanism.size), 1)
    if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or not 1 <= horizon <= most:
        raise InputError(f"intervene: horizon must be a whole number of steps from 1 to {most}, got {horizon!r}.")
    if not isinstance(hold, Mapping) or not hold:
        raise InputError(f"intervene: name at least one sensor and the value to hold it at, for example pump=3.0; got {hold!r}.")
    values = {}
    for name, value in hold.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number):
            raise InputError(f"intervene: {name} must be held at a finite number in its own unit, got {value!r}.")
        values[mechanism.sensors.index(str(name), "intervene")] = number
    return values


def _wide(mechanism: Mechanism, values: Mapping[int, float]) -> FloatArray:
    wide = np.array(mechanism.sensors.offset)
    for j, value in values.items():
        wide[j] = value
    return wide


def _start(mechanism: Mechanism, start: Series | None) -> tuple[FloatArray, FloatArray]:
    """([K, n] z, [n] level) of the rows before the first step; a start of fewer rows repeats its first."""
    if start is None:
        return mechanism.state, mechanism.sensors.level
    table = mechanism.sensors.pick(start)
    z, level = states(mechanism, table.rows(table.segments()[-1]))
    short = max(mechanism.max_lag - len(z), 0)
    return np.concatenate([np.repeat(z[:1], short, axis=0), z])[-mechanism.max_lag :], level[-1]


@dataclass(frozen=True, eq=False)
class Run:
    """R systems with the terms of one mechanism, side by side.

    Attributes:
        mechanism: terms and start.
        coefficient: [R, P].
        intercept: [R, n].
    """

    mechanism: Mechanism
    coefficient: FloatArray
    intercept: FloatArray

    def path(self, shocks: FloatArray, held: Mapping[int, float]) -> FloatArray:
        """[R, H, n] z after the state of the mechanism, with shocks [R, H, n] and sensors held at values."""
        K, (k, i, _) = self.mechanism.max_lag, self.mechanism.terms.T
        known = np.repeat(self.mechanism.state[None], len(shocks), axis=0)
        known = np.concatenate([known, np.zeros(shocks.shape)], axis=1)
        before, now = np.flatnonzero(k > 0), np.flatnonzero(k == 0)
        into_before, into_now = self._into(before), self._into(now)
        places, values = list(held), list(held.values())
        for t in range(K, known.shape[1]):
            lagged = self.intercept + shocks[:, t - K] + (self.coefficient[:, before] * known[:, t - k[before], i[before]]) @ into_before
            z = lagged.copy()
            z[:, places] = values
            for _ in range(self.mechanism.depth):
                z = lagged + (self.coefficient[:, now] * z[:, i[now]]) @ into_now
                z[:, places] = values
            known[:, t] = np.clip(z, -FAR, FAR)
        return known[:, K:]

    def _into(self, at: IntArray) -> csr_array:
        """[terms, n] sparse: 1 where a term drives a sensor."""
        target = self.mechanism.terms[at, 2]
        return csr_array((np.ones(len(at)), (np.arange(len(at)), target)), shape=(len(at), self.mechanism.size))


def _intervals(
    mechanism: Mechanism, horizon: int, held: Mapping[int, float], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Path low and high [H, n], and difference [2, H, n], in z, over the resamples."""
    residual = mechanism.residual if len(mechanism.residual) else np.zeros((1, mechanism.size))
    resamples = Run(mechanism, mechanism.resampled, mechanism.resampled_intercept)
    shocks = residual[rng.integers(0, len(residual), (len(mechanism.resampled), horizon))]
    low, high = np.quantile(resamples.path(shocks, held), COVERED, axis=0)
    quiet = np.zeros(shocks.shape)
    return low, high, np.quantile(resamples.path(quiet, held) - resamples.path(quiet, {}), COVERED, axis=0)


def _notes(mechanism: Mechanism, found: Intervention, values: Mapping[int, float]) -> tuple[str, ...]:
    s, notes = mechanism.sensors, []
    for j, value in values.items():
        if not s.lowest[j] <= value <= s.highest[j]:
            notes.append(
                f"{s.names[j]} = {value:g} lies outside its readings, {s.lowest[j]:g} to {s.highest[j]:g}: what follows is extrapolation."
            )
    reached = reach(mechanism, list(values))
    outside = np.any((found.path < s.lowest) | (found.path > s.highest), axis=0, keepdims=True)[0]
    away = [s.names[j] for j in reached if outside[j]]
    if away:
        notes.append(f"The path leaves the range of the readings of {_some(away)}: there the equations were never checked.")
    for j in values:
        name = s.names[j]
        if not any(j != other for other in reach(mechanism, [j])):
            notes.append(f"No decided link leaves {name}; holding it moves nothing else.")
        if s.undecided[j]:
            notes.append(f"Undecided links are not used: {name} may or may not drive {s.undecided[j]} more sensors.")
    curved = [s.names[j] for j in reached if s.curved[j]]
    if curved:
        notes.append(f"The response of {_some(curved)} is curved; the path follows its best straight line.")
    growth = mechanism.growth()
    if growth >= GROWING:
        notes.append(f"The learned system does not settle (growth {growth:.3f} a step); long horizons mean little.")
    return tuple(notes)


def reach(mechanism: Mechanism, sources: list[int]) -> list[int]:
    """Sensors that a chain of links leads to from the sources, themselves left out."""
    links = {(int(i), int(j)) for _, i, j in mechanism.terms if i != j}
    found, new = set(sources), set(sources)
    while new:
        new = {j for i, j in links if i in new} - found
        found |= new
    return sorted(found - set(sources))


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
