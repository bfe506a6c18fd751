"""Kalman filter and smoother over segments that lie side by side: one call a row for all of them.

The state carries one lag more than the model needs, s_t = (x_t, ..., x_{t-L}), and starts afresh in every segment with unit covariance.
Source: Durbin & Koopman, Time Series Analysis by State Space Methods, 2nd ed., eqs. 4.24 (filter), 4.39 and 4.43 (smoother).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rcgnn.series import BoolArray, FloatArray, IntArray

STILL = 1e-12
"""A covariance that changes by less than this share of its largest entry from row to row has settled."""
MOST_NUMBERS = 30_000_000
"""Numbers kept at most for segments which are worked through side by side; one segment may need more."""


@dataclass(frozen=True, eq=False)
class Chains:
    """Segments that are worked through side by side, as many rows each as the longest; rows after the end of a shorter one are unread.

    Attributes:
        target: [T, B, N, columns] readings, then what each draw corrects for.
        mask: [T, B, N] True where read.
        noise: [T, B, N] variance of the readings.
        length: [B] rows of each.
    """

    target: FloatArray
    mask: BoolArray
    noise: FloatArray
    length: IntArray


@dataclass(frozen=True, eq=False)
class _Update:
    """How the readings of one row change the states; the same object in all rows of a run once the covariances no longer move.

    Rows and columns of sensors that are not read are 0 in `gain` and `precision`.

    Attributes:
        cov: [B, D, D] of the states given the rows before.
        seen: [B, N] True where a sensor is read.
        noise: [B, N] variance of these readings.
        gain, precision: [B, D, N] and [B, N, N].
        log_det: [B] of the predictive covariance of what is read.
    """

    cov: FloatArray
    seen: BoolArray
    noise: FloatArray
    gain: FloatArray
    precision: FloatArray
    log_det: FloatArray

    @classmethod
    def of(cls, cov: FloatArray, seen: BoolArray, noise: FloatArray) -> _Update:
        sensors = seen.shape[1]
        both = seen[:, :, None] & seen[:, None, :]
        predictive = np.where(both, cov[:, :sensors, :sensors], 0.0)
        predictive[:, range(sensors), range(sensors)] += np.where(seen, noise, 1.0)
        precision = np.where(both, np.linalg.inv(predictive), 0.0)
        return cls(cov, seen, noise, cov[:, :, :sensors] @ precision, precision, np.linalg.slogdet(predictive)[1])

    def is_that_of(self, cov: FloatArray, seen: BoolArray, noise: FloatArray) -> bool:
        return np.array_equal(seen, self.seen) and np.array_equal(noise, self.noise) and _still(cov, self.cov)

    def after(self, states: int) -> FloatArray:
        """[B, states, states] covariance of the first so many states given this row as well."""
        found = self.cov[:, :states, :states] - self.gain[:, :states] @ self.cov[:, : self.seen.shape[1], :states]
        return 0.5 * (found + found.transpose(0, 2, 1))


@dataclass(frozen=True, eq=False)
class _Step:
    """What the backward pass needs of one row: the predicted means [B, N, columns], and `precision` times what surprised them."""

    mean: FloatArray
    update: _Update
    weighted: FloatArray


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What is known of the signal from all readings.

    Attributes:
        means: [T, B, N, columns].
        covariance: [D, D] sum of the posterior covariances of s_t over all rows with a full past.
        variance: [T, B, N] of the signal.
        gated: [T, B, N] readings that were refused as impossible.
        log_likelihood: of the accepted readings.
    """

    means: FloatArray
    covariance: FloatArray
    variance: FloatArray
    gated: BoolArray
    log_likelihood: float


def smoothed(A: FloatArray, Q: FloatArray, chains: Chains, gate: float) -> Smoothed:
    """Filter forwards, smooth backwards.

    Args:
        A: [N, N L] coefficients, lag 1 first.
        Q: [N, N] process noise.
        chains: the segments.
        gate: readings further than this many predictive sd from their prediction are refused.
    """
    steps, gated, log_likelihood = _forward(A, Q, chains, gate)
    means, covariance, variance = _backward(A, steps, chains.length)
    return Smoothed(means, covariance, variance, gated, log_likelihood)


def together(lengths: Sequence[int], A: FloatArray) -> list[list[int]]:
    """Segments that are worked through side by side: none more than twice as long as another, all within `MOST_NUMBERS`.

    A row of thirteen sensors is so little work that calling for it takes longer than the work itself.
    """
    sensors, states = A.shape[0], sum(A.shape)
    each = states**2 + states * sensors + sensors**2
    batches: list[list[int]] = []
    longest = 0
    for n in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        if not batches or 2 * lengths[n] < longest or (len(batches[-1]) + 1) * longest * each > MOST_NUMBERS:
            batches.append([])
            longest = lengths[n]
        batches[-1].append(n)
    return batches


def side_by_side(targets: Sequence[FloatArray], masks: Sequence[BoolArray], noises: Sequence[FloatArray]) -> Chains:
    length = np.array([len(mask) for mask in masks])
    shape = (int(length.max()), len(masks))
    chains = Chains(
        np.zeros((*shape, *targets[0].shape[1:])),
        np.zeros((*shape, *masks[0].shape[1:]), bool),
        np.zeros((*shape, *masks[0].shape[1:])),
        length,
    )
    for b, rows in enumerate(length):
        chains.target[:rows, b], chains.mask[:rows, b], chains.noise[:rows, b] = targets[b], masks[b], noises[b]
    return chains


def _forward(A: FloatArray, Q: FloatArray, chains: Chains, gate: float) -> tuple[list[_Step], BoolArray, float]:
    (sensors, past), (count, _, columns) = A.shape, chains.target.shape[1:]
    mean = np.zeros((count, sensors + past, columns))
    cov = np.tile(np.eye(sensors + past), (count, 1, 1))
    steps: list[_Step] = []
    gated = np.zeros(chains.mask.shape, bool)
    log_likelihood = 0.0
    for t, (target, mask, variance) in enumerate(zip(chains.target, chains.mask, chains.noise, strict=True)):
        if t > 0:
            mean = np.concatenate([A @ mean[:, :past], mean[:, :past]], axis=1)
            cov = _ahead(A, Q, steps)
        surprise = target - mean[:, :sensors]
        gated[t] = mask & (surprise[:, :, 0] ** 2 > gate**2 * (np.diagonal(cov, axis1=1, axis2=2)[:, :sensors] + variance))
        seen = mask & ~gated[t]
        noise, surprise = np.where(seen, variance, 0.0), np.where(seen[:, :, None], surprise, 0.0)
        update = steps[-1].update if steps else None
        if update is None or not update.is_that_of(cov, seen, noise):
            update = _Update.of(cov, seen, noise)
        weighted = update.precision @ surprise
        steps.append(_Step(mean[:, :sensors], update, weighted))
        likely = (surprise[:, :, 0] * weighted[:, :, 0]).sum() + update.log_det.sum() + seen.sum() * np.log(2 * np.pi)
        log_likelihood -= 0.5 * float(likely)
        mean = mean + update.gain @ surprise
    return steps, gated, log_likelihood


def _ahead(A: FloatArray, Q: FloatArray, steps: list[_Step]) -> FloatArray:
    """[B, D, D] covariance of the next states; where the last two rows shared an update it is that of the last one."""
    update, (sensors, past) = steps[-1].update, A.shape
    if len(steps) > 1 and steps[-2].update is update:
        return update.cov
    after = update.after(past)
    across = A @ after
    cov = np.empty_like(update.cov)
    cov[:, :sensors, :sensors] = across @ A.T + Q
    cov[:, :sensors, sensors:] = across
    cov[:, sensors:, :sensors] = across.transpose(0, 2, 1)
    cov[:, sensors:, sensors:] = after
    return cov


def _still(now: FloatArray, before: FloatArray) -> bool:
    """Have covariances stopped moving?"""
    return now is before or float(np.abs(now - before).max()) <= STILL * float(np.abs(before).max())


def _backward(A: FloatArray, steps: list[_Step], length: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Smoothed means [T, B, N, columns], the sum [D, D] of covariances over rows with a full past, and variances [T, B, N]."""
    (sensors, past), (count, _, columns) = A.shape, steps[0].mean.shape
    lags = past // sensors
    means = np.zeros((len(steps), count, sensors, columns))
    variance = np.zeros((len(steps), count, sensors))
    sums = np.zeros((lags + 1, sensors, sensors + past))
    counted = _counted(len(steps), length, lags)
    everywhere = np.atleast_1d(counted.all(axis=(1, 2)))
    score, information = np.zeros((count, sensors + past, columns)), np.zeros((count, sensors + past, sensors + past))
    spread, fixed = np.zeros((count, sensors, sensors + past)), False
    for t in range(len(steps) - 1, -1, -1):
        step, update = steps[t], steps[t].update
        same = t < len(steps) - 1 and steps[t + 1].update is update
        if t < len(steps) - 1:
            back = np.zeros_like(score)
            back[:, :past] = A.T @ score[:, :sensors] + score[:, sensors:]
            score = back
        score[:, :sensors] += step.weighted - update.gain.transpose(0, 2, 1) @ score
        now = update.cov[:, :sensors]
        if not (fixed and same):
            ahead, information = information, _informed(A, information, update)
            fixed = same and _still(information, ahead)
            spread = now - now @ information @ update.cov
        means[t] = step.mean + now @ score
        variance[t] = np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0.0)
        sums += spread.sum(axis=0) if everywhere[t] else np.tensordot(counted[t], spread, axes=1)
    return means, _blocks(sums), variance


def _counted(rows: int, length: IntArray, lags: int) -> FloatArray:
    """[T, L+1, B] 1 where row t, seen from k rows later, is one of a full past: L <= t + k < length."""
    later = np.arange(rows)[:, None, None] + np.arange(lags + 1)[:, None]
    return np.asarray((later >= lags) & (later < length), np.float64)


def _blocks(sums: FloatArray) -> FloatArray:
    """[D, D] covariance of (x_t, ..., x_{t-L}) over the rows, from that of x_t with (x_t, ..., x_{t-L}) [k, N, D] over the rows t - k."""
    lags, sensors = len(sums) - 1, sums.shape[1]
    found = np.zeros((sums.shape[2],) * 2)
    for k in range(lags + 1):
        here, width = slice(k * sensors, (k + 1) * sensors), (lags + 1 - k) * sensors
        found[here, k * sensors :] = sums[k][:, :width]
        found[k * sensors :, here] = sums[k][:, :width].T
    return found


def _informed(A: FloatArray, ahead: FloatArray, update: _Update) -> FloatArray:
    """[B, D, D] what this row's readings and all later ones say about its states, from what the later ones say about the next states."""
    sensors, past = A.shape
    cross = A.T @ ahead[:, :sensors, sensors:]
    information = np.zeros_like(ahead)
    information[:, :past, :past] = A.T @ ahead[:, :sensors, :sensors] @ A + cross + cross.transpose(0, 2, 1) + ahead[:, sensors:, sensors:]
    turned = update.gain.transpose(0, 2, 1) @ information
    corner = turned @ update.gain + update.precision
    information[:, :, :sensors] -= turned.transpose(0, 2, 1)
    information[:, :sensors] -= turned
    information[:, :sensors, :sensors] += corner
    return np.asarray(0.5 * (information + information.transpose(0, 2, 1)))
