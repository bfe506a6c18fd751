"""Kalman filter, smoother and simulation smoother of a vector autoregression seen through missing and noisy readings.

Model, with sensors scaled to unit size:

    x_t = A (x_{t-1}, ..., x_{t-L}) + w_t,   w_t ~ N(0, Q)        signal
    y_t = x_t + v_t,                         v_t ~ N(0, diag R)   reading, where observed

The state carries one lag more than the model needs, s_t = (x_t, ..., x_{t-L}), so that every moment the M-step wants
stands in one posterior covariance. Source: Durbin & Koopman, Time Series Analysis by State Space Methods, 2nd ed.,
eqs. 4.24 (filter), 4.39 and 4.43 (smoother), section 4.9 (simulation smoother by mean corrections).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray, IntArray, slabs
from rcgnn.signal.kalman import side_by_side, smoothed, together


@dataclass(frozen=True, eq=False)
class Selection:
    """How the readings of each sensor vanish, in the units of the readings: `P(missing | x) = Phi(slope x - offset)`.

    Attributes:
        slope: [N] of the probit; 0 where missing does not depend on the value.
        offset: [N] of the probit.
        level: [N] mean of the signal, which the readings that are left no longer show; 0 where slope is.
    """

    slope: FloatArray
    offset: FloatArray
    level: FloatArray

    @property
    def used(self) -> BoolArray:
        """[N] sensors whose missing cells are taken for evidence."""
        return np.asarray(self.slope != 0)

    def of(self, sensors: IntArray) -> Selection:
        """That of some sensors, in the order given."""
        return Selection(self.slope[sensors], self.offset[sensors], self.level[sensors])


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Parameters: `A` [N, N L] with lag 1 first, `Q` [N, N], `R` [N]; how readings vanish, None where that was not asked."""

    A: FloatArray
    Q: FloatArray
    R: FloatArray
    selection: Selection | None = None

    @property
    def lags(self) -> int:
        """L, the order of the autoregression."""
        return self.A.shape[1] // self.A.shape[0]


@dataclass(frozen=True, eq=False)
class Readings:
    """What the filter sees.

    Attributes:
        values: [T, N] scaled.
        mask: [T, N] True where read.
        segments: runs of rows in which rows are neighbours.
        suspects: [T, N] missing cells that may be missing because of their own value; None: none. See `selection`.
        spread: [T, N] variance of single readings in place of the model's R; NaN where R holds; None: R everywhere.
    """

    values: FloatArray
    mask: BoolArray
    segments: Sequence[slice]
    suspects: BoolArray | None = None
    spread: FloatArray | None = None

    def noise(self, usual: FloatArray) -> FloatArray:
        """[T, N] variance of every reading, where `usual` [N] is that of an ordinary one."""
        every = np.broadcast_to(usual, self.values.shape)
        return every if self.spread is None else np.where(np.isnan(self.spread), every, self.spread)


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the readings say about the signal under one model.

    Attributes:
        mean: [T, N] smoothed signal.
        variance: [T, N] its posterior variance.
        moment: [D, D] mean over rows of E[s_t s_t' | readings], D = N (L + 1), rows with a full past only.
        count: number of those rows.
        draws: [S, T, N] exact draws from the joint posterior.
        gated: [T, N] readings that were refused as impossible under the model.
        log_likelihood: of the accepted readings; None where it was not asked for.
    """

    mean: FloatArray
    variance: FloatArray
    moment: FloatArray
    count: int
    draws: FloatArray
    gated: BoolArray
    log_likelihood: float | None


def smooth(
    model: LinearModel,
    readings: Readings,
    *,
    gate: float = 6.0,
    draws: int = 0,
    rng: np.random.Generator | None = None,
    likelihood: bool = False,
) -> Posterior:
    """Posterior of the signal given the readings.

    Args:
        model: the parameters.
        readings: scaled readings; the state starts afresh in every segment.
        gate: readings further than this many predictive sd from their prediction are refused.
        draws: number S of posterior draws.
        rng: needed when `draws` > 0.
        likelihood: work out the log-likelihood, which nothing else needs.

    Returns:
        The posterior; time O((N L)^3) for every row until the covariance settles, and after every change in what is read, O((N L)^2) for
        all others; memory O((N L)^2) for each row of the first kind, of a stretch of them at a time.
    """
    values, mask, noise = readings.values, readings.mask, readings.noise(model.R)
    sensors = values.shape[1]
    mean, variance, drawn = (spacious(shape, order="C") for shape in (values.shape, values.shape, (draws, *values.shape)))
    gated = spacious(values.shape, bool, order="C")
    moment, count, log_likelihood = np.zeros((sensors * (model.lags + 1),) * 2), 0, 0.0
    made = [_simulate(model, noise[part], draws, rng) for part in readings.segments]
    for batch in together([part.stop - part.start for part in readings.segments], model.A):
        parts = [readings.segments[n] for n in batch]
        targets = [_target(values[part], mask[part], made[n][1]) for n, part in zip(batch, parts, strict=True)]
        chains = side_by_side(targets, [mask[p] for p in parts], [noise[p] for p in parts])
        done = smoothed(model.A, model.Q, chains, gate, likelihood=likelihood)
        moment += done.covariance
        log_likelihood += done.log_likelihood or 0.0
        for b, (n, part) in enumerate(zip(batch, parts, strict=True)):
            rows = part.stop - part.start
            for some in in_turn(slabs(rows, sensors * (draws + 1)), done.means, done.variance, made[n][0], mean, variance, drawn):
                to = slice(part.start + some.start, part.start + some.stop)
                mean[to], variance[to], gated[to] = done.means[some, b, :, 0], done.variance[some, b], done.gated[some, b]
                drawn[:, to] = np.moveaxis(done.means[some, b, :, 1:] + made[n][0][some], 2, 0)
            moment += _second_moment(mean[part], model.lags)
            count += max(rows - model.lags, 0)
    return Posterior(mean, variance, moment / max(count, 1), count, drawn, gated, log_likelihood if likelihood else None)


def _target(values: FloatArray, mask: BoolArray, simulated: FloatArray) -> FloatArray:
    target = spacious((*values.shape, 1 + simulated.shape[2]), order="C")
    for part in in_turn(slabs(len(values), target[0].size), target, values, mask, simulated):
        target[part, :, 0] = np.where(mask[part], values[part], 0.0)
        target[part, :, 1:] = values[part, :, None] - simulated[part]
    return target


def _second_moment(mean: FloatArray, lags: int) -> FloatArray:
    """[D, D] sum of s_t s_t' over the rows with a full past, s_t the means of rows t, ..., t - L."""
    rows = max(len(mean) - lags, 0)
    stacked = np.concatenate([mean[lags - k : lags - k + rows] for k in range(lags + 1)], axis=1)
    return np.asarray(stacked.T @ stacked)


def _mirrored(rng: np.random.Generator, shape: tuple[int, ...], draws: int) -> FloatArray:
    """Standard normal numbers [*shape, S] of which the second half is the first with the other sign.

    A draw is the posterior mean plus a deviation that is linear in these numbers, so deviations cancel against the mean in second
    moments averaged over draws: the links depend less on the seed. Source: Hammersley & Morton 1956 (antithetic variates).
    """
    made, half = spacious((*shape, draws), order="C"), (draws + 1) // 2
    for part in in_turn(slabs(shape[0], made[0].size), made):
        made[part, ..., :half] = rng.standard_normal((part.stop - part.start, *shape[1:], half))
        made[part, ..., half:] = -made[part, ..., : draws - half]
    return made


def _simulate(model: LinearModel, spread: FloatArray, draws: int, rng: np.random.Generator | None) -> tuple[FloatArray, FloatArray]:
    """Signals and readings [T, N, S] from the model itself, started from the filter's own prior."""
    (rows, sensors), lags = spread.shape, model.lags
    if draws == 0 or rng is None:
        return np.zeros((rows, sensors, 0)), np.zeros((rows, sensors, 0))
    root = np.linalg.cholesky(model.Q + 1e-12 * np.eye(sensors))
    shocks = _mirrored(rng, (rows, sensors), draws)
    past = _mirrored(rng, (sensors * lags,), draws)
    signal = spacious((rows, sensors, draws), order="C")
    for part in in_turn(slabs(rows, sensors * draws), shocks, signal):
        for t, shock in enumerate(np.einsum("ij,tjs->tis", root, shocks[part]), start=part.start):
            now = past[:sensors] if t == 0 else model.A @ past + shock
            if t > 0:
                past = np.concatenate([now, past[:-sensors]])
            signal[t] = now
    read = _mirrored(rng, (rows, sensors), draws)
    for part in in_turn(slabs(rows, sensors * draws), read, signal, spread):
        read[part] = signal[part] + np.sqrt(spread[part])[:, :, None] * read[part]
    return signal, read
