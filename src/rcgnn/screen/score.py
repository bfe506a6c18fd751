"""From fitted models to evidence for each pair and lag.

For the pair (i, j) with chosen features F in the model of j, b their coefficients and V = -(swept matrix on F) the
inverse of their information,

    stat = n ln(1 + b' V^-1 b / RSS),      S = stat - sum of penalties over F:

the drop in twice the log-likelihood when everything that i says about j is taken away. For a pair without chosen
features the best single addition takes their place. Under "no link" stat is chi-square with |F| degrees of freedom,
up to a scale that the pairs without chosen features give: their median p-value must be one half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from rcgnn.screen.features import Features
from rcgnn.screen.order import Ordered
from rcgnn.screen.search import Local, gains
from rcgnn.series import BoolArray, FloatArray, IntArray

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
    sensors = len(features)
    square = (sensors, sensors)
    surplus, stat = np.zeros(square), np.zeros(square)
    freedom = np.ones(square, np.int64)
    profile = np.zeros((max_lag + 1, *square))
    chosen = np.zeros((max_lag + 1, *square), bool)
    for j, local in enumerate(ordered.locals):
        own, n, cost = features[j], local.freedom(float(rows[j])), penalties[j]
        y = int(own.value[j])
        single = gains(local.swept, y, n) - cost
        lagged = own.lag > 0
        for i in range(sensors):
            if i == j:
                continue
            mine = own.of(i)
            picked = local.chosen[mine[local.chosen]]
            if picked.size:
                stat[i, j] = removal(local, picked, y, n)
                freedom[i, j] = picked.size
                surplus[i, j] = stat[i, j] - cost[picked].sum()
            else:
                stat[i, j], freedom[i, j] = addition(local, np.flatnonzero(mine & lagged & _plain(own)), y, n)
                surplus[i, j] = single[mine & lagged].max()
            for k in range(max_lag + 1):
                at = picked[own.lag[picked] == k]
                chosen[k, i, j] = at.size > 0
                here = mine & (own.lag == k)
                profile[k, i, j] = removal(local, at, y, n) - cost[at].sum() if at.size else single[here].max(initial=-np.inf)
    direction = np.ones(square)
    linked = chosen[0]
    share = 1.0 / (1.0 + np.exp(-np.clip(ordered.reversal / DIRECTION_SOFTNESS, -50, 50)))
    direction[linked] = share[linked]
    return Evidence(surplus, stat, freedom, profile, chosen, direction)


def _plain(features: Features) -> BoolArray:
    """[P] first feature of each sensor and lag: the value itself."""
    first = np.zeros(len(features.lag), bool)
    seen: set[tuple[int, int, int]] = set()
    for p, (k, (a, b)) in enumerate(zip(features.lag, features.owner, strict=True)):
        if a == b and (k, a, b) not in seen:
            seen.add((k, a, b))
            first[p] = True
    return first


def removal(local: Local, picked: IntArray, y: int, rows: float) -> float:
    """Stat of taking chosen features out together."""
    b = local.swept[picked, y]
    information = -local.swept[np.ix_(picked, picked)]
    return float(rows * np.log1p(max(b @ np.linalg.solve(information, b), 0.0) / local.unexplained))


def addition(local: Local, extra: IntArray, y: int, rows: float) -> tuple[float, int]:
    """(stat, degrees of freedom) of adding features together."""
    block = local.swept[np.ix_(extra, extra)]
    usable = np.diag(block) > 1e-4
    extra, block = extra[usable], block[np.ix_(usable, usable)]
    if extra.size == 0:
        return 0.0, 1
    c = local.swept[extra, y]
    r2 = c @ np.linalg.solve(block + 1e-9 * np.eye(len(block)), c) / local.unexplained
    return float(-rows * np.log1p(-min(max(r2, 0.0), 1 - 1e-9))), int(extra.size)


def log_p_values(found: Evidence) -> FloatArray:
    """[N, N] natural log of the p-value of each pair, after the scale that the unlinked pairs give."""
    sensors = len(found.stat)
    off = ~np.eye(sensors, dtype=bool)
    free = off & ~found.chosen.any(axis=0)
    scale = 1.0
    if free.sum() >= sensors:
        expected = stats.chi2.ppf(0.5, found.freedom[free])
        scale = max(1.0, float(np.median(found.stat[free] / expected)))
    log_p = np.zeros((sensors, sensors))
    log_p[off] = stats.chi2.logsf(found.stat[off] / scale, found.freedom[off])
    return np.maximum(log_p, -1e6)
