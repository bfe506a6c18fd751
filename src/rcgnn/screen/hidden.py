"""Hidden drivers: is it something unmeasured, or links within the step, that makes innovations correlated?

A hidden driver makes the innovations of all sensors it reaches correlated within the step. So does a chain of same-step
links. On the same innovations (what the lagged models leave unexplained, correlation R over n rows) two models compete:

    factors   R = L L' + diag(psi), k columns in L, by maximum likelihood (Joreskog 1967),   price (N k - k (k-1) / 2) ln n
    links     the best acyclic same-step graph by greedy search,                             price of the extended BIC a link

Where factors win there are no same-step links, and `drivers` infers the paths of what was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.screen.features import from_moment
from rcgnn.screen.order import Scores, directed
from rcgnn.screen.search import extended_bic, start
from rcgnn.series import FloatArray

MARGIN = 6.0
"""Factors must beat same-step links by this much in BIC: strong evidence after Kass & Raftery 1995."""
MOST_SHARE = 1 / 3
"""At most this many hidden drivers for each sensor: beyond, factors are only another way to write a dense matrix."""
MOST_SENSORS = 100
"""Above, the search for same-step links on the innovations costs more than it tells."""
LEAST_UNIQUE = 0.02
"""Share of a sensor's innovation that no driver explains, at least: a Heywood case ends here."""
FACTOR_STEPS = 300


def factors(correlation: FloatArray, count: int) -> tuple[FloatArray, FloatArray, float]:
    """Maximum-likelihood factor analysis: loadings [N, k], unique variances [N], and the fit per row.

        fit = -(ln det S + tr S^-1 R - N),   S = L L' + diag(psi): twice the log-likelihood per row above that of no factors

    Source: Joreskog 1967, by alternating eigenvectors of psi^-1/2 R psi^-1/2 and psi = diag(R - L L').
    """
    sensors = len(correlation)
    unique = 1.0 / np.maximum(np.diag(np.linalg.inv(correlation)), 1.0)
    loadings = np.zeros((sensors, count))
    for _ in range(FACTOR_STEPS):
        scale = np.sqrt(unique)
        values, vectors = np.linalg.eigh(correlation / np.outer(scale, scale))
        loadings = scale[:, None] * vectors[:, -count:] * np.sqrt(np.maximum(values[-count:] - 1.0, 0.0))
        now = np.maximum(np.diag(correlation) - (loadings**2).sum(axis=1), LEAST_UNIQUE)
        done = bool(np.abs(now - unique).max() < 1e-6)
        unique = now
        if done:
            break
    model = loadings @ loadings.T + np.diag(unique)
    fit = -(np.linalg.slogdet(model)[1] + np.trace(np.linalg.solve(model, correlation)) - sensors)
    return loadings, unique, float(fit)


def best_factors(correlation: FloatArray, rows: float) -> tuple[int, float]:
    """(k, BIC above no factors) of the best number of factors; (0, 0) where none pays."""
    sensors = len(correlation)
    best, value = 0, 0.0
    for count in range(1, int(sensors * MOST_SHARE) + 1):
        free = sensors * count - count * (count - 1) / 2
        worth = rows * factors(correlation, count)[2] - free * float(np.log(rows))
        if worth > value:
            best, value = count, worth
        elif count > best + 1:
            break
    return best, value


def _models(correlation: FloatArray, rows: float, gamma: float) -> Scores:
    sensors = len(correlation)
    price = np.full(sensors, extended_bic(rows, sensors, gamma))
    return Scores([from_moment(correlation, sensors, int(rows))] * sensors, np.full(sensors, rows), lambda _: price, sensors - 1)


def _above_none(models: Scores, parents: Sequence[frozenset[int]]) -> float:
    """BIC of the models of these parents above those of none."""
    rows, own = float(models.rows[0]), models.features[0]
    return sum(models.local(j, of_j).value(rows) - start(own, j).value(rows) for j, of_j in enumerate(parents))


def _in_one_order(correlation: FloatArray) -> list[frozenset[int]]:
    """Parents of every sensor: those that the others explain less well."""
    place = np.argsort(np.argsort(np.diag(np.linalg.inv(correlation)), kind="stable"))
    return [frozenset(np.flatnonzero(place < mine).tolist()) for mine in place]


def best_links(correlation: FloatArray, rows: float, gamma: float) -> float:
    """BIC above independence of the best acyclic same-step graph."""
    models = _models(correlation, rows, gamma)
    return _above_none(models, directed(models))


def competing(correlation: FloatArray, rows: float, gamma: float, least: float = -np.inf) -> tuple[int, float]:
    """(k, margin): the best number of hidden drivers and the BIC by which they beat same-step links; margin <= 0: they do not.

    Args:
        correlation: [N, N] of the innovations.
        rows: n behind it.
        gamma: of the extended BIC.
        least: a margin up to this need not be exact, and links in one order of the sensors, which are a bound of it, may do.

    Example:
        >>> common = np.full((8, 8), 0.5) + 0.5 * np.eye(8)
        >>> k, margin = competing(common, 500, 0.5)
        >>> k, margin > MARGIN
        (1, True)
    """
    if rows <= 1:
        return 0, 0.0
    count, value = best_factors(correlation, rows)
    if not count:
        return 0, 0.0
    models = _models(correlation, rows, gamma)
    margin = value - _above_none(models, _in_one_order(correlation))
    return count, margin if margin <= least else min(margin, value - _above_none(models, directed(models)))
