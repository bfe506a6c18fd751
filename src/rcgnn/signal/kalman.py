"""Kalman filter and smoother over segments that lie side by side: one call a row for all of them.

The state carries one lag more than the model needs, s_t = (x_t, ..., x_{t-L}), and starts afresh in every segment with unit covariance.
Of its D = N (L + 1) numbers the first P = N L drive the next row; the oldest lag stands in the covariances of a row alone.
Source: Durbin & Koopman, Time Series Analysis by State Space Methods, 2nd ed., eqs. 4.24 (filter), 4.39 and 4.43 (smoother).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray, IntArray, slabs

STILL = 1e-12
"""A covariance that changes by less than this share of its largest entry from row to row has settled."""
MOST_NUMBERS = 30_000_000
"""Numbers kept at most for segments which are worked through side by side; one segment may need more."""
MOST_KEPT = 2 * MOST_NUMBERS
"""Numbers kept at most of the rows that the filter has gone through."""


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

    @property
    def cells(self) -> tuple[FloatArray, BoolArray, FloatArray]:
        """All that goes with the rows."""
        return self.target, self.mask, self.noise


@dataclass(frozen=True, eq=False)
class _Update:
    """How the readings of one row change the states; the same object in all rows of a run once the covariances no longer move.

    Rows and columns of sensors that are not read are 0 in `gain` and `precision`.

    Attributes:
        cov: [B, P, D] of the states that drive the next ones with all, given the rows before.
        seen: [B, N] True where a sensor is read.
        noise: [B, N] variance of these readings.
        gain, precision: [B, P, N] and [B, N, N].
        predictive: [B, N, N] covariance of what is read; 1 on the diagonal where nothing is.
    """

    cov: FloatArray
    seen: BoolArray
    noise: FloatArray
    gain: FloatArray
    precision: FloatArray
    predictive: FloatArray

    @classmethod
    def of(cls, cov: FloatArray, seen: BoolArray, noise: FloatArray) -> _Update:
        sensors = seen.shape[1]
        both = seen[:, :, None] & seen[:, None, :]
        predictive = cov[:, :sensors, :sensors] * both
        predictive.reshape(len(cov), -1)[:, :: sensors + 1] += np.where(seen, noise, 1.0)
        precision = np.asarray(np.linalg.inv(predictive) * both, np.float64)
        return cls(cov, seen, noise, cov[:, :, :sensors] @ precision, precision, predictive)

    def is_that_of(self, cov: FloatArray, seen: BoolArray, noise: FloatArray) -> bool:
        return bool((seen == self.seen).all() and (noise == self.noise).all()) and _still(cov, self.cov)

    def after(self) -> FloatArray:
        """[B, P, P] covariance of the states that drive the next ones, given this row as well."""
        past = self.cov.shape[1]
        found = self.cov[:, :, :past] - self.gain @ self.cov[:, : self.seen.shape[1], :past]
        return np.asarray(0.5 * (found + found.transpose(0, 2, 1)))

    @cached_property
    def log_det(self) -> float:
        """Of the predictive covariances, summed over the segments."""
        return float(np.linalg.slogdet(self.predictive)[1].sum())


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
        log_likelihood: of the accepted readings; None where it was not asked for.
    """

    means: FloatArray
    covariance: FloatArray
    variance: FloatArray
    gated: BoolArray
    log_likelihood: float | None


def smoothed(A: FloatArray, Q: FloatArray, chains: Chains, gate: float, *, likelihood: bool = False) -> Smoothed:
    """Filter forwards, smooth backwards; of long segments a stretch of rows at a time.

    The backward pass needs what the filter knew in every row. Of a long segment that would fill memory, so only where the filter stood at
    the beginning of each stretch is kept, and it goes through a stretch again when its turn comes (checkpointing: Griewank & Walther 2000).

    Args:
        A: [N, N L] coefficients, lag 1 first.
        Q: [N, N] process noise.
        chains: the segments.
        gate: readings further than this many predictive sd from their prediction are refused.
        likelihood: work out the log-likelihood, which costs a determinant a row.
    """
    rows = len(chains.mask)
    most = max(int(MOST_KEPT // (_each(A) * chains.mask.shape[1])), 1)
    parts = [slice(first, min(first + most, rows)) for first in range(0, rows, most)]
    forward = _Filter(A, Q, chains, gate, np.zeros(chains.mask.shape, bool), likelihood)
    place, steps, places, log_likelihood = _Place.first(A, chains), list[_Step](), list[_Place](), 0.0
    for part in in_turn(parts, *chains.cells):
        places.append(place)
        steps, place, likely = forward.through(part, place)
        log_likelihood += likely
    back = _Back.last(A, chains)
    for place, part in in_turn(zip(reversed(places), reversed(parts), strict=True), *chains.cells, back.means, back.variance):
        _backward(A, steps or forward.through(part, place)[0], part, back)
        steps = []
    return Smoothed(back.means, _blocks(back.sums), back.variance, forward.gated, log_likelihood if likelihood else None)


def together(lengths: Sequence[int], A: FloatArray) -> list[list[int]]:
    """Segments that are worked through side by side: none more than twice as long as another, all within `MOST_NUMBERS`.

    A row of thirteen sensors is so little work that calling for it takes longer than the work itself.
    """
    each = _each(A)
    batches, longest = list[list[int]](), 0
    for n in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        if not batches or 2 * lengths[n] < longest or (len(batches[-1]) + 1) * longest * each > MOST_NUMBERS:
            batches.append([])
            longest = lengths[n]
        batches[-1].append(n)
    return batches


def _each(A: FloatArray) -> int:
    """Numbers that one row of one segment takes at most."""
    sensors, past = A.shape
    return past * (past + 2 * sensors) + 2 * sensors**2


def side_by_side(targets: Sequence[FloatArray], masks: Sequence[BoolArray], noises: Sequence[FloatArray]) -> Chains:
    length = np.array([len(mask) for mask in masks])
    shape = (int(length.max()), len(masks))
    chains = Chains(
        spacious((*shape, *targets[0].shape[1:]), order="C"),
        spacious((*shape, *masks[0].shape[1:]), bool, order="C"),
        spacious((*shape, *masks[0].shape[1:]), order="C"),
        length,
    )
    for b, rows in enumerate(length):
        for part in in_turn(slabs(int(rows), targets[b][0].size), *chains.cells, targets[b], masks[b], noises[b]):
            chains.target[part, b], chains.mask[part, b], chains.noise[part, b] = targets[b][part], masks[b][part], noises[b][part]
    return chains


@dataclass(frozen=True, eq=False)
class _Place:
    """Where the filter stands before a row: means [B, P, columns] given the rows before, and the updates of the last two of them."""

    mean: FloatArray
    updates: tuple[_Update, ...]

    @classmethod
    def first(cls, A: FloatArray, chains: Chains) -> _Place:
        return cls(np.zeros((chains.mask.shape[1], A.shape[1], chains.target.shape[3])), ())


@dataclass(frozen=True, eq=False)
class _Filter:
    """The forward pass; readings that it refuses are marked in `gated` [T, B, N]."""

    A: FloatArray
    Q: FloatArray
    chains: Chains
    gate: float
    gated: BoolArray
    likelihood: bool

    def through(self, part: slice, place: _Place) -> tuple[list[_Step], _Place, float]:
        """A stretch of rows from where the filter stands: its steps, where it stands then, the log-likelihood."""
        sensors, past = self.A.shape
        mean, updates = place.mean, [*place.updates]
        cov = np.tile(np.eye(past, sensors + past), (len(mean), 1, 1))
        steps: list[_Step] = []
        log_likelihood = 0.0
        for t in range(part.start, part.stop):
            target, mask, variance = self.chains.target[t], self.chains.mask[t], self.chains.noise[t]
            if updates:
                mean = np.concatenate([self.A @ mean, mean[:, : past - sensors]], axis=1)
                cov = _ahead(self.A, self.Q, updates)
            surprise = target - mean[:, :sensors]
            self.gated[t] = mask & (surprise[:, :, 0] ** 2 > self.gate**2 * (np.diagonal(cov, axis1=1, axis2=2)[:, :sensors] + variance))
            seen = mask & ~self.gated[t]
            noise, surprise = np.where(seen, variance, 0.0), np.where(seen[:, :, None], surprise, 0.0)
            same = bool(updates) and updates[-1].is_that_of(cov, seen, noise)
            update = updates[-1] if same else _Update.of(cov, seen, noise)
            weighted = update.precision @ surprise
            steps.append(_Step(mean[:, :sensors], update, weighted))
            updates = [*updates[-1:], update]
            if self.likelihood:
                likely = np.vdot(surprise[:, :, 0], weighted[:, :, 0]) + np.count_nonzero(seen) * np.log(2 * np.pi)
                log_likelihood -= 0.5 * (float(likely) + update.log_det)
            mean = mean + update.gain @ surprise
        return steps, _Place(mean, tuple(updates)), log_likelihood


def _ahead(A: FloatArray, Q: FloatArray, updates: Sequence[_Update]) -> FloatArray:
    """[B, P, D] covariance of the next states; where the last two rows shared an update it is that of the last one."""
    update, (sensors, past) = updates[-1], A.shape
    if len(updates) > 1 and updates[-2] is update:
        return update.cov
    after = update.after()
    across, older = A @ after, past - sensors
    cov = np.empty_like(update.cov)
    cov[:, :sensors, :sensors] = across @ A.T + Q
    cov[:, :sensors, sensors:] = across
    cov[:, sensors:, :sensors] = across[:, :, :older].transpose(0, 2, 1)
    cov[:, sensors:, sensors:] = after[:, :older]
    return cov


def _still(now: FloatArray, before: FloatArray) -> bool:
    """Have covariances stopped moving?"""
    return now is before or float(np.abs(now - before).max()) <= STILL * float(np.abs(before).max())


@dataclass(eq=False)
class _Back:
    """How far the backward pass has come, and what it found.

    Attributes:
        means, variance: smoothed means [T, B, N, columns] and variances [T, B, N] of the rows it has passed.
        sums: [L+1, N, D] covariances summed over them, see `_blocks`.
        counted: [T, L+1, B] see `_counted`.
        score, information: [B, P, columns] and [B, P, P] what the rows after say about the states that drive the next ones.
        spread: [B, N, D] posterior covariance of the row after.
        update: of the row after; None: it was the last one.
        fixed: `information` no longer moves.
    """

    means: FloatArray
    variance: FloatArray
    sums: FloatArray
    counted: FloatArray
    score: FloatArray
    information: FloatArray
    spread: FloatArray
    update: _Update | None = None
    fixed: bool = False

    @classmethod
    def last(cls, A: FloatArray, chains: Chains) -> _Back:
        """Before the last row."""
        (sensors, past), (rows, count, _, columns) = A.shape, chains.target.shape
        lags, states = past // sensors, sensors + past
        return cls(
            spacious((rows, count, sensors, columns), order="C"),
            spacious((rows, count, sensors), order="C"),
            np.zeros((lags + 1, sensors, states)),
            _counted(rows, chains.length, lags),
            np.zeros((count, past, columns)),
            np.zeros((count, past, past)),
            np.zeros((count, sensors, states)),
        )


def _backward(A: FloatArray, steps: list[_Step], part: slice, back: _Back) -> None:
    """A stretch of rows, from its last one to its first."""
    sensors, past = A.shape
    for t, step in zip(range(part.stop - 1, part.start - 1, -1), reversed(steps), strict=True):
        update, score = step.update, back.score
        same = back.update is update
        if back.update is not None:
            score = A.T @ back.score[:, :sensors]
            score[:, : past - sensors] += back.score[:, sensors:]
        score[:, :sensors] += step.weighted - update.gain.transpose(0, 2, 1) @ score
        now = update.cov[:, :sensors]
        if not (back.fixed and same):
            ahead, back.information = back.information, _informed(A, back.information, update)
            back.fixed = same and _still(back.information, ahead)
            back.spread = now - now[:, :, :past] @ back.information @ update.cov
        back.score, back.update = score, update
        back.means[t] = step.mean + now[:, :, :past] @ score
        back.variance[t] = np.maximum(np.diagonal(back.spread, axis1=1, axis2=2), 0.0)
        counted = back.counted[t]
        back.sums += back.spread.sum(axis=0) if counted.all() else np.tensordot(counted, back.spread, axes=1)


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
    """[B, P, P] what this row's readings and all later ones say about its states, from what the later ones say about the next states."""
    sensors, older = A.shape[0], A.shape[1] - A.shape[0]
    cross = A.T @ ahead[:, :sensors, sensors:]
    information = A.T @ ahead[:, :sensors, :sensors] @ A
    information[:, :, :older] += cross
    information[:, :older] += cross.transpose(0, 2, 1)
    information[:, :older, :older] += ahead[:, sensors:, sensors:]
    turned = update.gain.transpose(0, 2, 1) @ information
    corner = turned @ update.gain + update.precision
    information[:, :, :sensors] -= turned.transpose(0, 2, 1)
    information[:, :sensors] -= turned
    information[:, :sensors, :sensors] += corner
    return np.asarray(0.5 * (information + information.transpose(0, 2, 1)))
