"""From fitted models to evidence for each pair and lag.

For the pair (i, j) with chosen features F in the model of j, b their coefficients and V = -(swept matrix on F) the
inverse of their information,

    stat = n ln(1 + b' V^-1 b / RSS),      S = stat - sum of penalties over F:

the drop in twice the log-likelihood when everything that i says about j is taken away. For a pair without chosen
features the best single addition takes their place. Under "no link" stat is chi-square with |F| degrees of freedom,
up to a scale that the pairs without chosen features give: their median p-value must be one half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln

from rcgnn.screen.features import Features
from rcgnn.screen.order import Ordered
from rcgnn.screen.search import Local, gains
from rcgnn.series import BoolArray, FloatArray, IntArray

FAR_TAIL = 1_300.0
DIRECTION_SOFTNESS = 4.0
"""A reversal that costs this much is one unit on the logistic scale that shares a link between its directions."""


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
    found = judge(features, rows, penalties, max_lag, lambda _, j: ordered.locals[j])
    linked = found.chosen[0]
    share = 1.0 / (1.0 + np.exp(-np.clip(ordered.reversal / DIRECTION_SOFTNESS, -50, 50)))
    found.direction[linked] = share[linked]
    return found


def judge(
    features: list[Features], rows: FloatArray, penalties: list[FloatArray], max_lag: int, model: Callable[[int, int], Local]
) -> Evidence:
    """Evidence for every pair and lag.

    Args:
        features: moments for each target.
        rows: [N] rows that count for each target.
        penalties: price of each feature, for each target.
        max_lag: K.
        model: (i, j) -> the model of j in which i is judged.
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
        for i in range(sensors):
            if i != j:
                _judge_pair(found, (i, j), own, model(i, j), float(rows[j]), penalties[j])
    return found


def _judge_pair(found: Evidence, pair: tuple[int, int], own: Features, local: Local, rows: float, cost: FloatArray) -> None:
    """Fill in one pair, in place."""
    i, j = pair
    n = local.freedom(rows)
    mine = own.of(i)
    index = np.flatnonzero(mine)
    single = np.full(len(cost), -np.inf)
    single[index] = gains(local.given, n, index) - cost[index]
    lagged = mine & (own.lag > 0)
    picked = local.chosen[mine[local.chosen]]
    if picked.size:
        found.stat[pair], found.freedom[pair] = removal(local, picked, n), picked.size
        found.surplus[pair] = found.stat[pair] - cost[picked].sum()
    else:
        found.stat[pair], found.freedom[pair] = addition(local, np.flatnonzero(lagged & _plain(own)), n)
        found.surplus[pair] = single[lagged].max()
    for k in range(len(found.profile)):
        at = picked[own.lag[picked] == k]
        found.chosen[k, i, j] = at.size > 0
        best = single[mine & (own.lag == k)].max(initial=-np.inf)
        found.profile[k, i, j] = removal(local, at, n) - cost[at].sum() if at.size else best


def _plain(features: Features) -> BoolArray:
    """[P] first feature of each sensor and lag: the value itself."""
    single = np.flatnonzero(features.owner[:, 0] == features.owner[:, 1])
    label = features.lag[single] * (features.sensors + 1) + features.owner[single, 0]
    found = np.zeros(len(features.lag), bool)
    found[single[np.unique(label, return_index=True)[1]]] = True
    return found


def removal(local: Local, picked: IntArray, rows: float) -> float:
    """Stat of taking chosen features out together."""
    b = local.given.coefficients[local.given.places(picked)]
    information = local.given.information(picked)
    lost = max(float(np.dot(b, np.linalg.solve(information, b))), 0.0)
    return float(rows * np.log1p(lost / local.unexplained))


def addition(local: Local, extra: IntArray, rows: float) -> tuple[float, int]:
    """(stat, degrees of freedom) of adding features together."""
    block = local.given.block(extra)
    usable = np.diag(block) > 1e-4
    extra, block = extra[usable], block[np.ix_(usable, usable)]
    if extra.size == 0:
        return 0.0, 1
    c = local.given.cross[extra]
    explained = float(np.dot(c, np.linalg.solve(block + 1e-9 * np.eye(len(block)), c)))
    r2 = min(max(explained / local.unexplained, 0.0), 1 - 1e-9)
    return float(-rows * np.log1p(-r2)), int(extra.size)


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
        expected = stats.chi2.ppf(0.5, found.freedom[free])
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
        exact = stats.chi2.logsf(stat, freedom)
    a, z = freedom / 2.0, np.maximum(stat / 2.0, 1.0)
    return np.where(stat > FAR_TAIL, (a - 1.0) * np.log(z) - z - gammaln(a), exact)
