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

from rcgnn.series import BoolArray, FloatArray, IntArray

STILL = 1e-12
"""A covariance that changes by less than this share of its largest entry from row to row has settled."""


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
        log_likelihood: of the accepted readings.
    """

    mean: FloatArray
    variance: FloatArray
    moment: FloatArray
    count: int
    draws: FloatArray
    gated: BoolArray
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class _Update:
    """How the readings of one row change the state; the same object in all rows of a run once the covariance no longer moves.

    Attributes:
        cov: [D, D] of the state given the rows before.
        seen: [m] sensors that are read.
        noise: [m] variance of these readings.
        gain, precision: [D, m] and [m, m].
        after: [D, D] covariance given this row as well.
        log_det: of the predictive covariance.
    """

    cov: FloatArray
    seen: IntArray
    noise: FloatArray
    gain: FloatArray
    precision: FloatArray
    after: FloatArray
    log_det: float

    @classmethod
    def of(cls, cov: FloatArray, seen: IntArray, noise: FloatArray) -> _Update:
        predictive = cov[np.ix_(seen, seen)] + np.diag(noise)
        precision = np.linalg.inv(predictive)
        gain = cov[:, seen] @ precision
        after = cov - gain @ cov[seen]
        log_det = float(np.linalg.slogdet(predictive)[1])
        return cls(cov, seen, noise, gain, np.asarray(precision, np.float64), 0.5 * (after + after.T), log_det)

    def is_that_of(self, cov: FloatArray, seen: IntArray, noise: FloatArray) -> bool:
        return np.array_equal(seen, self.seen) and np.array_equal(noise, self.noise) and _still(cov, self.cov)


@dataclass(frozen=True, eq=False)
class _Step:
    """What the backward pass needs of one row."""

    mean: FloatArray
    update: _Update
    surprise: FloatArray


@dataclass(frozen=True, eq=False)
class _Segment:
    """Smoothed means [T, D, columns], covariance sums and diagonals of one segment."""

    means: FloatArray
    cov_sum: FloatArray
    variance: FloatArray
    gated: BoolArray
    log_likelihood: float


def smooth(
    model: LinearModel,
    readings: Readings,
    *,
    gate: float = 6.0,
    draws: int = 0,
    rng: np.random.Generator | None = None,
) -> Posterior:
    """Posterior of the signal given the readings.

    Args:
        model: the parameters.
        readings: scaled readings; the state starts afresh in every segment.
        gate: readings further than this many predictive sd from their prediction are refused.
        draws: number S of posterior draws.
        rng: needed when `draws` > 0.

    Returns:
        The posterior; time O((N L)^3) for every row until the covariance settles, and after every change in what is read, O((N L)^2) for
        all others; memory O((N L)^2) for each row of the first kind.
    """
    values, mask, noise = readings.values, readings.mask, readings.noise(model.R)
    rows, sensors = values.shape
    size = sensors * (model.lags + 1)
    mean = np.zeros((rows, sensors))
    variance = np.zeros((rows, sensors))
    drawn = np.zeros((draws, rows, sensors))
    gated = np.zeros((rows, sensors), bool)
    moment, count, log_likelihood = np.zeros((size, size)), 0, 0.0
    for part in readings.segments:
        length = part.stop - part.start
        signal, noisy = _simulate(model, noise[part], draws, rng)
        target = np.concatenate([np.where(mask[part], values[part], 0.0)[:, :, None], values[part][:, :, None] - noisy], axis=2)
        done = _segment(model, target, mask[part], noise[part], gate)
        mean[part] = done.means[:, :sensors, 0]
        variance[part] = done.variance
        gated[part] = done.gated
        drawn[:, part] = np.moveaxis(done.means[:, :sensors, 1:] + signal, 2, 0)
        log_likelihood += done.log_likelihood
        full = done.means[model.lags :, :, 0]
        moment += full.T @ full + done.cov_sum
        count += max(length - model.lags, 0)
    return Posterior(mean, variance, moment / max(count, 1), count, drawn, gated, log_likelihood)


def _mirrored(rng: np.random.Generator, shape: tuple[int, ...], draws: int) -> FloatArray:
    """Standard normal numbers [*shape, S] of which the second half is the first with the other sign.

    A draw is the posterior mean plus a deviation that is linear in these numbers, so deviations cancel against the mean in second
    moments averaged over draws: the links depend less on the seed. Source: Hammersley & Morton 1956 (antithetic variates).
    """
    half = rng.standard_normal((*shape, (draws + 1) // 2))
    return np.concatenate([half, -half], axis=-1)[..., :draws]


def _simulate(model: LinearModel, spread: FloatArray, draws: int, rng: np.random.Generator | None) -> tuple[FloatArray, FloatArray]:
    """Signals and readings [T, N, S] from the model itself, started from the filter's own prior."""
    (rows, sensors), lags = spread.shape, model.lags
    if draws == 0 or rng is None:
        return np.zeros((rows, sensors, 0)), np.zeros((rows, sensors, 0))
    root = np.linalg.cholesky(model.Q + 1e-12 * np.eye(sensors))
    shocks = np.einsum("ij,tjs->tis", root, _mirrored(rng, (rows, sensors), draws))
    past = _mirrored(rng, (sensors * lags,), draws)
    signal = np.zeros((rows, sensors, draws))
    for t in range(rows):
        now = past[:sensors] if t == 0 else model.A @ past + shocks[t]
        if t > 0:
            past = np.concatenate([now, past[:-sensors]])
        signal[t] = now
    noise = np.sqrt(spread)[:, :, None] * _mirrored(rng, (rows, sensors), draws)
    return signal, signal + noise


def _segment(model: LinearModel, target: FloatArray, mask: BoolArray, noise: FloatArray, gate: float) -> _Segment:
    steps, gated, log_likelihood = _forward(model, target, mask, noise, gate)
    means, cov_sum, variance = _backward(model, steps)
    return _Segment(means, cov_sum, variance, gated, log_likelihood)


def _forward(
    model: LinearModel, target: FloatArray, mask: BoolArray, noise: FloatArray, gate: float
) -> tuple[list[_Step], BoolArray, float]:
    sensors, past = model.A.shape[0], model.A.shape[1]
    mean = np.zeros((sensors + past, target.shape[2]))
    cov = np.eye(sensors + past)
    steps: list[_Step] = []
    gated = np.zeros(mask.shape, bool)
    log_likelihood = 0.0
    for t in range(len(target)):
        if t > 0:
            mean = np.concatenate([model.A @ mean[:past], mean[:past]])
            cov = _ahead(model, steps)
        seen = np.flatnonzero(mask[t])
        surprise = target[t, seen] - mean[seen]
        spread = cov[seen, seen] + noise[t, seen]
        far = surprise[:, 0] ** 2 > gate**2 * spread
        if far.any():
            gated[t, seen[far]] = True
            seen, surprise = seen[~far], surprise[~far]
        update = steps[-1].update if steps else None
        if update is None or not update.is_that_of(cov, seen, noise[t, seen]):
            update = _Update.of(cov, seen, noise[t, seen])
        steps.append(_Step(mean, update, surprise))
        weighted = update.precision @ surprise[:, 0]
        log_likelihood -= 0.5 * (surprise[:, 0] @ weighted + update.log_det + len(seen) * np.log(2 * np.pi))
        mean = mean + update.gain @ surprise
    return steps, gated, float(log_likelihood)


def _ahead(model: LinearModel, steps: list[_Step]) -> FloatArray:
    """[D, D] covariance of the next state; where the last two rows shared an update it is that of the last one."""
    update, past = steps[-1].update, model.A.shape[1]
    if len(steps) > 1 and steps[-2].update is update:
        return update.cov
    sensors, across = model.A.shape[0], model.A @ update.after[:past, :past]
    cov = np.empty_like(update.cov)
    cov[:sensors, :sensors] = across @ model.A.T + model.Q
    cov[:sensors, sensors:] = across
    cov[sensors:, :sensors] = across.T
    cov[sensors:, sensors:] = update.after[:past, :past]
    return cov


def _still(now: FloatArray, before: FloatArray) -> bool:
    """Has a covariance stopped moving?"""
    return now is before or float(np.abs(now - before).max()) <= STILL * float(np.abs(before).max())


def _backward(model: LinearModel, steps: list[_Step]) -> tuple[FloatArray, FloatArray, FloatArray]:
    sensors, past = model.A.shape[0], model.A.shape[1]
    size, columns = steps[0].mean.shape
    means = np.zeros((len(steps), size, columns))
    variance = np.zeros((len(steps), sensors))
    cov_sum = np.zeros((size, size))
    score, information = np.zeros((size, columns)), np.zeros((size, size))
    spread, fixed = np.zeros((size, size)), False
    A = model.A
    for t in range(len(steps) - 1, -1, -1):
        step, update = steps[t], steps[t].update
        seen, gain = update.seen, update.gain
        same = t < len(steps) - 1 and steps[t + 1].update is update
        if t < len(steps) - 1:
            back = np.zeros_like(score)
            back[:past] = A.T @ score[:sensors] + score[sensors:]
            score = back
        score[seen] += update.precision @ step.surprise - gain.T @ score
        if not (fixed and same):
            ahead, information = information, _informed(A, information, update)
            fixed = same and _still(information, ahead)
            spread = update.cov - update.cov @ information @ update.cov
        means[t] = step.mean + update.cov @ score
        variance[t] = np.maximum(np.diag(spread)[:sensors], 0.0)
        if t >= model.lags:
            cov_sum += spread
    return means, cov_sum, variance


def _informed(A: FloatArray, ahead: FloatArray, update: _Update) -> FloatArray:
    """[D, D] what this row's readings and all later ones say about its state, from what the later ones say about the next state."""
    sensors, past = A.shape
    seen, gain = update.seen, update.gain
    cross = A.T @ ahead[:sensors, sensors:]
    information = np.zeros_like(ahead)
    information[:past, :past] = A.T @ ahead[:sensors, :sensors] @ A + cross + cross.T + ahead[sensors:, sensors:]
    turned = gain.T @ information
    corner = turned @ gain + update.precision
    information[:, seen] -= turned.T
    information[seen] -= turned
    information[np.ix_(seen, seen)] += corner
    return np.asarray(0.5 * (information + information.T))
