"""What goes wrong with readings, one pure function a fault: `(Readings, severity, rng) -> Readings`.

Faults that alter the signal move `values` (in units of each sensor's clean sd, `Readings.sd`); faults that hide it
clear cells of `mask`. The table of them is `rcgnn.synth.corruption.CORRUPTIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.signal import lfilter
from scipy.special import expit

from rcgnn.errors import ConfigError
from rcgnn.series import BoolArray, FloatArray

OUTLIER_SIZE = 10.0
OUTAGE_ROWS = 50
STUCK_ROWS = 20
BURST_ROWS = 5
STEEPNESS = 3.0
"""How sharply the chance of a missing cell rises with the value that decides it, per sd."""
DRIVERS = 3
"""`mar`: every third sensor stays complete and decides when the others are missing."""
RARELY_COMPLETE = 0.98


@dataclass(frozen=True, eq=False)
class Readings:
    """A table on its way through the faults.

    Attributes:
        values: [T, N] sensor units.
        mask: [T, N] True where observed.
        centre: [N] mean of the clean sensor.
        sd: [N] standard deviation of the clean sensor; 0 when it never changes.
        truth: [K+1, N, N] true links, where a fault needs them.
    """

    values: FloatArray
    mask: BoolArray
    centre: FloatArray
    sd: FloatArray
    truth: BoolArray | None = None

    @property
    def z(self) -> FloatArray:
        """[T, N] values in clean sd from the clean mean; 0 where not observed."""
        scale = np.where(self.sd > 0, self.sd, 1.0)
        return np.nan_to_num((self.values - self.centre) / scale, nan=0.0)

    def plus(self, change: FloatArray) -> Readings:
        """`change` [T, N] in clean sd, added."""
        return replace(self, values=self.values + change * self.sd)

    def without(self, hidden: BoolArray) -> Readings:
        """`hidden` [T, N] cells no longer observed."""
        return replace(self, mask=self.mask & ~hidden)


def _walk(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """[T, N] random walks of zero mean and unit sd over the rows."""
    return _unit(np.cumsum(rng.standard_normal(shape), axis=0))


def _unit(path: FloatArray) -> FloatArray:
    path = path - path.mean(axis=0)
    sd = path.std(axis=0)
    return path / np.where(sd > 0, sd, 1.0)


def _steps(rng: np.random.Generator, shape: tuple[int, int], most: int = 4) -> FloatArray:
    """[T, N] piecewise constant paths: 1 to `most` jumps of random sign and size U(.5, 1.5)."""
    rows, sensors = shape
    path = np.zeros(shape)
    for j in range(sensors):
        for start in rng.integers(0, rows, int(rng.integers(1, most + 1))):
            path[start:, j] += rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.5)
    return path


def _blocks(rng: np.random.Generator, rows: int, share: float, mean_rows: int) -> Iterator[slice]:
    """Disjoint stretches of geometric length that cover `share` of the rows exactly (to one row)."""
    free = np.ones(rows, bool)
    left = round(share * rows)
    while left:
        start = int(rng.choice(np.flatnonzero(free)))
        stop = min(start + min(int(rng.geometric(1.0 / mean_rows)), left), rows)
        taken = np.flatnonzero(~free[start:stop])
        stop = start + int(taken[0]) if taken.size else stop
        free[start:stop] = False
        left -= stop - start
        yield slice(start, stop)


def _chances(decider: FloatArray, share: float) -> FloatArray:
    """[T] chance of a missing cell: `sigmoid(3 z + c)`, c such that the mean is `share`."""
    z = _unit(decider[:, None])[:, 0]
    if share <= 0 or not z.any():
        return np.full(len(z), share)
    # At |c| = 60 + 3 max|z| every chance is 0 or 1 to double precision: the mean brackets any share.
    far = 60.0 + STEEPNESS * float(np.abs(z).max())
    return expit(STEEPNESS * z + brentq(lambda c: expit(STEEPNESS * z + c).mean() - share, -far, far))


def _hide(r: Readings, deciders: dict[int, FloatArray], share: float, rng: np.random.Generator) -> Readings:
    hidden = np.zeros(r.mask.shape, bool)
    draw = rng.random(r.mask.shape)
    for j, decider in deciders.items():
        hidden[:, j] = draw[:, j] < _chances(decider, share)
    return r.without(hidden)


def common_mode(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """One interference, AR(1) with .5, picked up by every sensor with its own gain."""
    rows, sensors = r.values.shape
    shared = _unit(lfilter([1.0], [1.0, -0.5], rng.standard_normal((rows, 1)), axis=0))
    gain = rng.uniform(0.5, 1.5, sensors) * rng.choice([-1.0, 1.0], sensors)
    return r.plus(severity * shared * gain)


def gain(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Deviations from the mean are multiplied by `exp(severity path)`, path a slow walk or steps, half the sensors each."""
    walk, steps = _walk(rng, r.values.shape), _unit(_steps(rng, r.values.shape))
    path = np.where(rng.random(r.values.shape[1]) < 0.5, walk, steps)
    return r.plus(r.z * np.expm1(severity * path))


def bias(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Zero point jumps one to four times, by .5 to 1.5 times the severity each."""
    return r.plus(severity * _steps(rng, r.values.shape))


def drift(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Zero point wanders: a random walk in half the sensors, a slow trend with half a wave in the others."""
    rows, sensors = r.values.shape
    walk = _walk(rng, r.values.shape)
    clock = np.linspace(0.0, 1.0, rows)[:, None]
    trend = _unit(rng.choice([-1.0, 1.0], sensors) * clock + 0.5 * np.sin(np.pi * (clock * rng.uniform(0.5, 2.0, sensors))))
    return r.plus(severity * np.where(rng.random(sensors) < 0.5, walk, trend))


def noise(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """White Gaussian measurement noise."""
    return r.plus(severity * rng.standard_normal(r.values.shape))


def outliers(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Single cells off by 10 sd, either sign."""
    hit = rng.random(r.values.shape) < severity
    return r.plus(hit * OUTLIER_SIZE * rng.choice([-1.0, 1.0], r.values.shape))


def bursts(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Outliers of 10 sd that come in runs of about five cells, one sign a run."""
    rows, sensors = r.values.shape
    change = np.zeros((rows, sensors))
    for j in range(sensors):
        for block in _blocks(rng, rows, severity, BURST_ROWS):
            change[block, j] = OUTLIER_SIZE * rng.choice([-1.0, 1.0])
    return r.plus(change)


def quantise(r: Readings, severity: float, rng: np.random.Generator) -> Readings:  # noqa: ARG001 - one signature for all faults
    """Rounded to multiples of the severity, counted from the clean mean."""
    step = severity * r.sd
    steps = np.round((r.values - r.centre) / np.where(step > 0, step, 1.0))
    return replace(r, values=np.where(step > 0, r.centre + steps * step, r.values))


def stuck(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """The reading freezes for about 20 rows at a time at its first value."""
    values = r.values.copy()
    rows, sensors = values.shape
    for j in range(sensors):
        for block in _blocks(rng, rows, severity, STUCK_ROWS):
            values[block, j] = values[block.start, j]
    return replace(r, values=values, mask=r.mask & np.isfinite(values))


def mar(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Missing when another, complete sensor is high. Every third sensor is such a driver."""
    n = r.values.shape[1]
    order = rng.permutation(n)
    drivers = order[: max(1, n // DRIVERS)]
    z = r.z
    deciders = {int(j): z[:, drivers[m % len(drivers)]] for m, j in enumerate(order[len(drivers) :])}
    return _hide(r, deciders, min(severity * n / max(1, len(deciders)), RARELY_COMPLETE), rng)


def mnar(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Self-masking: high values vanish."""
    z = r.z
    return _hide(r, {j: z[:, j] for j in range(z.shape[1])}, severity, rng)


def mnar_parent(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Missing when a true cause, itself not always observed, is high; at random where a sensor has no cause."""
    if r.truth is None:
        raise ConfigError("corrupt: mnar_parent needs the true links; give truth=, or use mnar or mar.")
    z = r.z
    deciders: dict[int, FloatArray] = {}
    for j in range(z.shape[1]):
        causes = np.argwhere(r.truth[:, :, j])
        shifted = [np.roll(z[:, i], k) for k, i in causes if i != j]
        deciders[j] = np.sum(shifted, axis=0) if shifted else np.zeros(len(z))
    return _hide(r, deciders, severity, rng)


def outage(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Each sensor falls silent for stretches of about 50 rows."""
    rows, sensors = r.mask.shape
    hidden = np.zeros((rows, sensors), bool)
    for j in range(sensors):
        for block in _blocks(rng, rows, severity, OUTAGE_ROWS):
            hidden[block, j] = True
    return r.without(hidden)


def missing(r: Readings, severity: float, rng: np.random.Generator) -> Readings:
    """Single cells missing completely at random."""
    return r.without(rng.random(r.mask.shape) < severity)
