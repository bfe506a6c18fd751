"""From fitted models to evidence for each pair and lag.

For the pair (i, j) with chosen features F in the model of j, b their coefficients and V = -(swept matrix on F) the
inverse of their information,

    stat = n ln(1 + b' V^-1 b / RSS),      S = stat - sum of penalties over F:

the drop in twice the log-likelihood when everything that i says about j is taken away. For a pair without chosen
features the best single addition takes their place. Under "no link" stat is chi-square with |F| degrees of freedom,
up to a scale that the pairs without chosen features give: their median p-value must be one half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaincinv, gammaln

from rcgnn.screen.features import HIDDEN, Features
from rcgnn.screen.order import Ordered
from rcgnn.screen.search import Local, gains
from rcgnn.series import BoolArray, FloatArray, IntArray

FAR_TAIL = 1_300.0
LEAST_VARIANCE = 1e-4
"""A feature with less variance than this beside those inside adds nothing that could be told from rounding."""
DIRECTION_SOFTNESS = 4.0
"""A reversal that costs this much is one unit on the logistic scale that shares a link between its directions."""
Models = Iterable[tuple[Local, IntArray]]
"""Models of one sensor, each with the sensors that are judged in it."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence of the screen, all arrays [K+1, N, N] or [N, N] with i the cause and j the effect.

    Attributes:
        surplus: [N, N] S, positive where the pair earned its penalty.
        stat: [N, N] likelihood-ratio statistic of the pair.
        freedom: [N, N] its degrees of freedom.
        profile: [K+1, N, N] surplus of each lag by itself.
        chosen: [K+1, N, N] lags at which a feature of i was chosen for j.
        direction: [N, N] probability-like share of i -> j against j -> i at lag 0; 1 where there is no lag-0 link.
    """

    surplus: FloatArray
    stat: FloatArray
    freedom: IntArray
    profile: FloatArray
    chosen: BoolArray
    direction: FloatArray


def evidence(features: list[Features], ordered: Ordered, rows: FloatArray, penalties: list[FloatArray], max_lag: int) -> Evidence:
    """Evidence for every pair and lag from the final models."""
    everybody = np.arange(len(features))
    found = judge(features, rows, penalties, max_lag, lambda j: [(ordered.locals[j], everybody)])
    linked = found.chosen[0]
    share = 1.0 / (1.0 + np.exp(-np.clip(ordered.reversal / DIRECTION_SOFTNESS, -50, 50)))
    found.direction[linked] = share[linked]
    return found


def judge(
    features: list[Features], rows: FloatArray, penalties: list[FloatArray], max_lag: int, model: Callable[[int], Models]
) -> Evidence:
    """Evidence for every pair and lag.

    Args:
        features: moments for each target.
        rows: [N] rows that count for each target.
        penalties: price of each feature, for each target.
        max_lag: K.
        model: j -> the models of j, each with the sensors [m] that are judged in it.
    """
    sensors = len(features)
    square = (sensors, sensors)
    found = Evidence(
        surplus=np.zeros(square),
        stat=np.zeros(square),
        freedom=np.ones(square, np.int64),
        profile=np.zeros((max_lag + 1, *square)),
        chosen=np.zeros((max_lag + 1, *square), bool),
        direction=np.ones(square),
    )
    for j, own in enumerate(features):
        for local, sources in model(j):
            _judge(found, (np.setdiff1d(sources, [j]), j), own, local, float(rows[j]), penalties[j])
    return found


def _judge(found: Evidence, pairs: tuple[IntArray, int], own: Features, local: Local, rows: float, cost: FloatArray) -> None:
    """Fill in the pairs of some sources [m] and one target, in place."""
    sources, j = pairs
    n = local.freedom(rows)
    best = _largest(own, gains(local.given, n) - cost)
    found.profile[:, sources, j] = best[:, sources]
    found.surplus[sources, j] = best[1:, sources].max(axis=0)
    owner, lag = own.owner[local.chosen], own.lag[local.chosen]
    chosen = np.intersect1d(sources, owner)
    others = np.setdiff1d(sources, chosen)
    found.stat[others, j], found.freedom[others, j] = additions(local, own.plain[1:, others].T, n)
    for i in chosen:
        mine = (owner == i).any(axis=1)
        picked = local.chosen[mine]
        found.stat[i, j], found.freedom[i, j] = removal(local, picked, n), picked.size
        found.surplus[i, j] = found.stat[i, j] - cost[picked].sum()
        for k in np.unique(lag[mine]):
            at = local.chosen[mine & (lag == k)]
            found.chosen[k, i, j] = True
            found.profile[k, i, j] = removal(local, at, n) - cost[at].sum()


def _largest(own: Features, worth: FloatArray) -> FloatArray:
    """[K+1, N] the largest `worth` [P] of the features of each sensor and lag."""
    found = np.full(own.plain.shape, -np.inf)
    shown = own.owner[:, 0] != HIDDEN
    for side in own.owner[shown].T:
        np.maximum.at(found, (own.lag[shown], side), worth[shown])
    return found


def removal(local: Local, picked: IntArray, rows: float) -> float:
    """Stat of taking chosen features out together."""
    b = local.given.coefficients[local.given.places(picked)]
    information = local.given.information(picked)
    lost = max(float(np.dot(b, np.linalg.solve(information, b))), 0.0)
    return float(rows * np.log1p(lost / local.unexplained))


def additions(local: Local, extra: IntArray, rows: float) -> tuple[FloatArray, IntArray]:
    """(stat, degrees of freedom) [G] of adding the features of each group [G, m] together."""
    block, cross = local.given.blocks(extra), local.given.cross[extra]
    usable = np.diagonal(block, axis1=1, axis2=2) > LEAST_VARIANCE
    unit = np.eye(extra.shape[1])
    block = np.where(usable[:, :, None] & usable[:, None, :], block, 0.0) + unit * np.where(usable, 1e-9, 1.0)[:, None, :]
    cross = np.where(usable, cross, 0.0)
    explained = (cross * np.linalg.solve(block, cross[:, :, None])[:, :, 0]).sum(axis=1)
    r2 = np.clip(explained / local.unexplained, 0.0, 1 - 1e-9)
    return -rows * np.log1p(-r2), np.maximum(usable.sum(axis=1), 1)


def log_evidence(score: FloatArray) -> FloatArray:
    """[N, N] logarithm of each pair's score [K+1, N, N] or [N, N], its largest over the lags; 0 where it is below 1."""
    return np.log(np.maximum(score.max(axis=0) if score.ndim > 2 else score, 1.0))


def rescaled(score: FloatArray, log_pair: FloatArray) -> FloatArray:
    """[K+1, N, N] scores of which each pair's largest is exp of `log_pair` [N, N]; lags keep their proportions.

    Where `log_pair` is not above 0 a score keeps its own order below 1.
    """
    pair = score.max(axis=0)
    target = np.where(log_pair > 0, np.exp(log_pair), np.minimum(pair, 1.0))
    return np.asarray(score / np.where(pair > 0, pair, 1.0) * target)


def log_p_values(found: Evidence, permitted: BoolArray | None = None) -> FloatArray:
    """[N, N] natural log of the p-value of each pair, after the scale that the unlinked pairs give; `permitted` [K+1, N, N]."""
    sensors = len(found.stat)
    off = ~np.eye(sensors, dtype=bool)
    free = off & ~found.chosen.any(axis=0)
    if permitted is not None:
        free &= permitted.any(axis=0)
    scale = 1.0
    if free.sum() >= sensors:
        expected = 2.0 * gammaincinv(found.freedom[free] / 2.0, 0.5)  # medians of chi-square
        scale = max(1.0, float(np.median(found.stat[free] / expected)))
    log_p = np.zeros((sensors, sensors))
    log_p[off] = log_chi2_tail(found.stat[off] / scale, found.freedom[off])
    return log_p


def log_chi2_tail(stat: NDArray[np.float64], freedom: NDArray) -> NDArray[np.float64]:
    """Ln P(chi2_freedom > stat), finite however large stat is.

    Where the tail underflows its first asymptotic term (a - 1) ln z - z - ln Gamma(a), a = freedom / 2, z = stat / 2,
    takes over (Abramowitz & Stegun 6.5.32).

    Example:
        >>> log_chi2_tail(np.array([1400.0, 1e6]), np.array([1, 1])).round(1).tolist()
        [-703.8, -500007.1]
    """
    with np.errstate(divide="ignore"):
        exact = np.log(chdtrc(freedom, np.maximum(stat, 0.0)))
    a, z = freedom / 2.0, np.maximum(stat / 2.0, 1.0)
    return np.where(stat > FAR_TAIL, (a - 1.0) * np.log(z) - z - gammaln(a), exact)
