"""Does a link hold row by row, whatever the noise is like?

The likelihood ratio of a pair (`score`) takes all rows for equally noisy and their noise for normal. Where noise comes in bursts or has
heavy tails a few rows make a curve significant; where sensors share a slow wave, its leftovers do. So a link is tested once more, as a
score test in which every row stands for itself,

    W = s' V^-1 s,    s = sum_t g(t),   V = sum_t g(t) g(t)',   g(t) = b(t) e(t)

with e what the sensor's model without the pair leaves of it, and b the pair's chosen features less what that model says of them; to the
model belong the slow waves cos(pi k t / T), k = 1..8. For one feature, and noise as likely above as below, P(W > w) <= 2 exp(-w / 2) for
any number of rows, any tails and any changes of its size. For several W is about chi-square with as many degrees of freedom.

Sources: White 1980 (each row its own variance); Efron 1969, "Student's t-test under symmetry conditions", and de la Pena, Lai & Shao 2009,
theorem 2.14 (self-normalised sums).
"""

from __future__ import annotations

import numpy as np

from rcgnn.screen.features import HIDDEN, columns_of
from rcgnn.screen.score import log_chi2_tail
from rcgnn.screen.structural import Screened
from rcgnn.series import FloatArray, IntArray

WAVES = 8
"""Slow waves given to every model, down to a quarter of the table."""
MOST_ROWS = 10_000
"""Longer tables are not asked: there a few rows carry little, and the question costs as much as the rows."""


def rowwise(screened: Screened) -> FloatArray | None:
    """[N, N] natural log of the p-value of W for every pair that the search chose; 0 for others; None for a table that is too long."""
    sensors, time = len(screened.features), screened.tables.time
    if len(time) > MOST_ROWS:
        return None
    waves = slow_waves((time + 0.5) / (time.max(initial=0) + 1))
    found = np.zeros((sensors, sensors))
    for j, (own, local) in enumerate(zip(screened.features, screened.ordered.locals, strict=True)):
        owner = own.owner[local.chosen]
        causes = np.setdiff1d(owner, [j, HIDDEN])
        if causes.size:
            draws = _columns(screened, j, waves)
            moment = np.mean([x.T @ x for x in draws], axis=0)
            first = 1 + WAVES + len(local.forced)
            for i in causes:
                picked = first + np.flatnonzero((owner == i).any(axis=1))
                found[i, j] = log_chi2_tail(np.array([_statistic(draws, moment, picked)]), np.array([picked.size]))[0]
    return found


def slow_waves(time: FloatArray) -> FloatArray:
    """[n, 1 + WAVES] a constant and cos(pi k t), `time` [n] in 0..1 over the table."""
    return np.asarray(np.cos(np.pi * np.outer(time, np.arange(1 + WAVES))))


def _columns(screened: Screened, target: int, waves: FloatArray) -> list[FloatArray]:
    """[n, m] of every draw: a constant, the waves, what is forced in, what was chosen, the target."""
    own, local = screened.features[target], screened.ordered.locals[target]
    keep = screened.keep[:, target]
    used = np.concatenate([local.forced, local.chosen, [own.value[target]]])
    return [np.column_stack([waves[keep], x]) for x in columns_of(screened.tables, np.flatnonzero(keep), screened.offers[target], used)]


def _statistic(draws: list[FloatArray], moment: FloatArray, picked: IntArray) -> float:
    """W of the columns `picked`; the last column is the target, all others are given. Row by row g is its mean over the draws."""
    tested = np.append(picked, len(moment) - 1)
    given = np.setdiff1d(np.arange(len(moment)), tested)
    weight = np.linalg.pinv(moment[np.ix_(given, given)], hermitian=True) @ moment[np.ix_(given, tested)]
    rest = np.zeros((len(moment), len(tested)))
    rest[tested, np.arange(len(tested))] = 1.0
    rest[given] = -weight
    left = (x @ rest for x in draws)
    g = np.mean([x[:, :-1] * x[:, -1:] for x in left], axis=0)
    s = g.sum(axis=0)
    return float(s @ np.linalg.pinv(g.T @ g, hermitian=True) @ s)
