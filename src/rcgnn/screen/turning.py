"""How clear is the direction of a same-step link, beside what chance does to it?

Turning i -> j round costs D in twice the log-likelihood. The two models are not nested: each forces in a past that the other does not,
so D is not 0 where nothing tells the direction, and the more delays there are the further from 0 it strays. Its spread shows in its own
rows (Vuong 1989, "Likelihood ratio tests for model selection and non-nested hypotheses", eq. 4.2): D is a sum over rows of

    d(t) = sum over both ends of e'(t)^2 / v' - e(t)^2 / v,    e, v: residual and its variance, with a prime where the link is turned

and z = D / sqrt(n var d) is about standard normal where both ways explain the table alike. Where the shape of residuals had a say
(`shape`), what row t does to 2 n J is part of d(t) as well: `shape.influence`.
"""

from __future__ import annotations

import numpy as np

from rcgnn.screen.residuals import residual
from rcgnn.screen.search import Local
from rcgnn.screen.shape import influence
from rcgnn.screen.structural import Screened
from rcgnn.series import BoolArray, FloatArray

TINY = 1e-12
LEAST_ROWS = 10
"""Fewer joint rows say nothing about a spread."""


def clearness(screened: Screened) -> FloatArray:
    """[N, N] z of each same-step link's direction; infinite where there is no such link, or its direction is known beforehand."""
    size, ordered = len(screened.features), screened.ordered
    clear = np.full((size, size), np.inf)
    for (i, j), (of_i, of_j) in ordered.turned.items():
        rows = screened.keep[:, i] & screened.keep[:, j]
        count = int(rows.sum())
        if count < LEAST_ROWS:
            clear[i, j] = 0.0
            continue
        d = sum(
            _misfit(screened, rows, t, turned) - _misfit(screened, rows, t, ordered.locals[t]) for t, turned in ((i, of_i), (j, of_j))
        )
        clear[i, j] = ordered.reversal[i, j] / max(float(np.sqrt(count * np.var(d))), TINY)
    return clear


def _misfit(screened: Screened, rows: BoolArray, target: int, local: Local) -> FloatArray:
    """[n] what each row adds to minus twice the log-likelihood of a model, but for a constant; the mean over the draws."""
    left = residual(screened.tables, rows, screened.offers[target], screened.features[target], local, target)
    z = (left - left.mean(axis=1, keepdims=True)) / np.maximum(left.std(axis=1, keepdims=True), TINY)
    shape = influence(z) if screened.ordered.shaped else np.zeros_like(z)
    return np.asarray((z**2 - shape).mean(axis=0))
