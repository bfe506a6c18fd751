"""Is the direction of a same-step link more than what chance does to it?

Turning i -> j round costs D in twice the log-likelihood. The two models are not nested: each forces in a past that the other does not,
so D is not 0 where nothing tells the direction, and the more delays there are the further from 0 it strays. Its spread shows in its own
rows (Vuong 1989, "Likelihood ratio tests for model selection and non-nested hypotheses", eq. 4.2): D is a sum over rows of

    d(t) = sum over both ends of e'(t)^2 / v' - e(t)^2 / v,    e, v: residual and its variance, with a prime where the link is turned

so its standard deviation is sqrt(n var d). Where the shape of residuals had a say (`shape`), what row t does to 2 n J is part of d(t) as
well: `shape.influence`. Where no past and no shape says anything, each of the m_i + m_j features of a past that is forced in adds the
difference of two squares of standard normals, of variance 4 r^2 at a correlation r within the step. A direction is told where

    D >= CLEAR min(sqrt(n var d), sqrt(4 (m_i + m_j)))

Draws of the state space follow a sparse linear model, whose choices sound on in D and not in d: where there are several draws, this is
not asked.
"""

from __future__ import annotations

import numpy as np

from rcgnn.screen.residuals import residual
from rcgnn.screen.search import Local
from rcgnn.screen.shape import influence
from rcgnn.screen.structural import Screened
from rcgnn.series import BoolArray, FloatArray

CLEAR = 1.64
"""A direction that nothing tells comes out once in ten tables at most, whichever way."""
TINY = 1e-12


def told(screened: Screened) -> BoolArray:
    """[N, N] False where the direction of a same-step link is no more than chance; True elsewhere."""
    if screened.told is not None:
        return screened.told
    ordered, tables = screened.ordered, screened.tables
    clear = np.ones((len(screened.features),) * 2, bool)
    for (i, j), (of_i, of_j) in ordered.turned.items() if len(tables.draws) == 1 else ():
        rows = screened.keep[:, i] & screened.keep[:, j]
        more = _misfit(screened, rows, i, of_i) + _misfit(screened, rows, j, of_j)
        less = _misfit(screened, rows, i, ordered.locals[i]) + _misfit(screened, rows, j, ordered.locals[j])
        spread = np.sqrt(((more - less) ** 2).sum())
        most = np.sqrt(4.0 * (len(of_i.forced) + len(of_j.forced)))
        clear[i, j] = ordered.reversal[i, j] >= CLEAR * min(spread, most)
    return clear


def _misfit(screened: Screened, rows: BoolArray, target: int, local: Local) -> FloatArray:
    """[n] what each row adds to minus twice the log-likelihood of a model, less its mean."""
    at, own = np.flatnonzero(rows), screened.features[target]
    left = residual(screened.tables, at, screened.offers[target], own, local, target)[0]
    if not left.size:
        return left
    z = (left - left.mean()) / max(float(left.std()), TINY)
    return np.asarray(z**2 - 1.0 - (influence(z) if screened.ordered.shaped else 0.0))
