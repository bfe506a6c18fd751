"""Evidence given everybody's past: a link judged beside all other sensors' lags, not only beside the ones a search chose.

The sparse search lets few sensors stand for many: where something hidden drives all of them, or the system is faster than
the sampling, its choice among stand-ins is arbitrary. The dense autoregression spreads such influence over all sensors and
leaves true links standing out; it has less power, because it pays for every coefficient. Each is right where the other errs:

    score = exp(ln max(S, 1) + DENSE_WEIGHT ln max(D, 1)),     D = -2 ln p,   p the chi-square tail of n ln(1 + b_i' V_ii^-1 b_i / RSS)

with b the least-squares coefficients of all lagged features, V the inverse of their moments and as many degrees of freedom as
sensor i has features. Source: Geweke 1982 (conditional Granger causality).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.linalg.lapack import dpocon, dpotrf, dpotri

from rcgnn.screen.features import HIDDEN, Features
from rcgnn.screen.partial import COLLINEAR, TINY, Partial
from rcgnn.screen.score import Evidence, judge, log_chi2_tail, log_evidence, rescaled
from rcgnn.screen.search import Local, freedom, grow, start, taking
from rcgnn.series import FloatArray, IntArray

DENSE_WEIGHT = 0.3
WITHOUT_PRODUCTS = 0.5
"""Factor on the weight where the sparse model holds products, which the dense one has not."""
ROWS_PER_FEATURE = 3
"""Fewer rows for each feature than this, and the dense model keeps the linear features alone; still fewer, and there is none."""
MOST_SENSORS = 100
"""Above, there is a dense model only where all targets share its moments: an inverse for each would cost more than all the rest."""
WELL_CONDITIONED = 1e-7
"""Reciprocal of the condition number above which no direction is left out of an inverse."""


def blend_dense(score: FloatArray, dense: FloatArray, locals_: Sequence[Local], features: list[Features]) -> FloatArray:
    """[K+1, N, N] scores with the dense evidence of each pair; lags keep their proportions.

    A sensor whose sparse model holds products gets half the weight: the dense model has no products.
    """
    weight = np.full(dense.shape[1], DENSE_WEIGHT)
    for j, (local, own) in enumerate(zip(locals_, features, strict=True)):
        if (own.owner[local.chosen, 0] != own.owner[local.chosen, 1]).any():
            weight[j] *= WITHOUT_PRODUCTS
    return raised(score, dense, weight)


def raised(score: FloatArray, dense: FloatArray, weight: FloatArray | float) -> FloatArray:
    """[K+1, N, N] scores with ln max(dense, 1), times a weight, added to their logarithms; lags keep their proportions."""
    return rescaled(score, log_evidence(score) + weight * log_evidence(dense))


def dense_choice(
    features: list[Features], rows: FloatArray, penalties: list[FloatArray], max_lag: int
) -> tuple[Evidence, tuple[Local, ...]] | None:
    """Links chosen pair by pair, each beside the whole past of all other sensors; for tables with hidden drivers.

    Args:
        features: moments for each target.
        rows: [N] rows that count for each target.
        penalties: price of each feature, for each target.
        max_lag: K.

    Returns:
        The evidence and, for each target, the model of its own past and everything chosen for it; None where a sensor has too
        few rows for the dense model.
    """
    given = [_columns(own, float(n)) for own, n in zip(features, rows, strict=True)]
    if not all(columns.size for columns in given):
        return None
    full = [taking(Partial.of(own.gram, int(own.value[j])), given[j])[1] for j, own in enumerate(features)]
    everybody = np.arange(len(rows))

    @cache
    def model(i: int, j: int) -> Local:
        own, mine = features[j], features[j].of(i)
        others = full[j][~mine[full[j]]]
        base = Local(np.zeros(0, np.int64), others, 0.0, Partial.of(own.gram, int(own.value[j]), others))
        return grow(base, mine & (own.lag > 0), rows=float(rows[j]), penalty=penalties[j], most=int(mine.sum()))

    found = judge(features, rows, penalties, max_lag, lambda j: ((model(i, j), everybody[[i]]) for i in everybody if i != j))
    return found, tuple(_together(own, j, [model(i, j).chosen for i in everybody if i != j]) for j, own in enumerate(features))


def _together(own: Features, target: int, chosen: list[IntArray]) -> Local:
    """One model of the target with everything that was chosen for it."""
    base = start(own, target)
    given, inside = taking(base.given, np.unique(np.concatenate(chosen)))
    return Local(inside, base.forced, 0.0, given)


def dense_evidence(features: list[Features], rows: FloatArray) -> FloatArray:
    """[N, N] D of every pair, at least 0; 0 everywhere into a sensor with too few rows.

    Args:
        features: moments for each target.
        rows: [N] rows that count for each target.
    """
    sensors = len(features)
    found = np.zeros((sensors, sensors))
    if sensors > MOST_SENSORS and any(own.gram is not features[0].gram for own in features):
        return found
    inverse, of = np.zeros((0, 0)), None
    for j, (own, n) in enumerate(zip(features, rows, strict=True)):
        columns = _columns(own, float(n))
        if columns.size:
            if of is None or of[0] is not own.gram or not np.array_equal(of[1], columns):
                inverse, of = _inverse(own.gram.matrix[np.ix_(columns, columns)]), (own.gram, columns)
            found[:, j] = _given_the_others(own, j, columns, inverse, float(n))
    np.fill_diagonal(found, 0.0)
    return found


def _columns(own: Features, rows: float) -> IntArray:
    """Lagged features of one sensor each, as many as the rows carry, and the hidden drivers; nothing that is forbidden."""
    single = (own.owner[:, 0] == own.owner[:, 1]) & ((own.lag > 0) | (own.owner[:, 0] == HIDDEN))
    if own.whole is not None:
        single &= own.gram.diagonal > COLLINEAR
    every = np.flatnonzero(single)
    if rows >= ROWS_PER_FEATURE * every.size:
        return every
    labels = np.stack([own.lag[every], own.owner[every, 0]], axis=1)
    _, first = np.unique(labels, axis=0, return_index=True)
    values = np.sort(every[first])
    return values if rows >= ROWS_PER_FEATURE * values.size else every[:0]


def _given_the_others(own: Features, target: int, columns: IntArray, inverse: FloatArray, rows: float) -> FloatArray:
    """[N] D of every sensor for one target; `inverse` [m, m] of the moments of the columns."""
    y = own.value[target]
    whole = own.gram.rows(np.array([y]))[0]
    cross = whole[columns]
    b = inverse @ cross
    unexplained = max(float(whole[y] - b @ cross), TINY)
    owner = own.owner[columns, 0]
    place = np.argsort(owner, kind="stable")[np.searchsorted(np.sort(owner), 0) :]
    explained, degrees = np.zeros(own.sensors), np.bincount(owner[place], minlength=own.sensors)
    for size in np.unique(degrees[degrees > 0]):
        which = np.flatnonzero(degrees == size)
        mine = place[np.isin(owner[place], which)].reshape(-1, size)
        block = np.linalg.pinv(inverse[mine[:, :, None], mine[:, None, :]], rcond=1e-8, hermitian=True)
        explained[which] = np.einsum("gi,gij,gj->g", b[mine], block, b[mine])
    stat = freedom(rows, len(columns)) * np.log1p(np.maximum(explained, 0.0) / unexplained)
    return np.asarray(-2.0 * log_chi2_tail(stat, np.maximum(degrees, 1)))


def _inverse(moment: FloatArray) -> FloatArray:
    """Inverse of moments; where some are collinear the pseudo-inverse, which shares their evidence among them.

    The Cholesky factor does where the condition number, as LAPACK estimates it, leaves nothing to share.
    """
    factor, failed = dpotrf(moment)
    if failed or dpocon(factor, float(np.abs(moment).sum(axis=0).max()))[0] < WELL_CONDITIONED:
        return np.asarray(np.linalg.pinv(moment, rcond=1e-8, hermitian=True), np.float64)
    half = np.triu(dpotri(factor)[0])
    return np.asarray(half + np.triu(half, 1).T)
