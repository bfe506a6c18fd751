"""Which way a same-step link points, told by the shape of what the models leave unexplained.

With Gaussian noise both directions of a linear same-step link fit alike. With any other noise the residuals of the true graph are
independent and those of a wrong one are mixtures, which are closer to a normal. So where residuals are clearly not normal, a sensor's
model is worth what it is with its best noise, not with a Gaussian one:

    -n ln(unexplained) - cost + 2 n J(e)

with J the negentropy of its residual e at mean 0 and variance 1, by the approximation

    J(e) = k1 (E ln cosh e - c)^2 + k2 (E e exp(-e^2 / 2))^2,    k1 = 79.047, k2 = 7.4129, c = .37457

For n normal values 2 n J is about chi-square with 2 degrees of freedom, whatever the model: normal residuals change nothing.
Sources: Hyvarinen 1998, "New approximations of differential entropy"; Hyvarinen & Smith 2013, "Pairwise likelihood ratios for
estimation of non-Gaussian structural equation models"; Hyvarinen et al. 2010 (VAR-LiNGAM).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rcgnn.screen.features import Features, Offer, Tables
from rcgnn.screen.residuals import residual
from rcgnn.screen.search import Local
from rcgnn.series import BoolArray, FloatArray

K1, K2, GAUSSIAN = 79.047, 7.4129, 0.37457
CLEARLY = 14.0
"""2 n J above which a residual is not normal: a normal one gets there about once in a thousand tables."""
TINY = 1e-12
LEAST_ROWS = 2
"""Fewer residuals have no shape."""


def negentropy(u: FloatArray) -> float:
    """J of residuals [..., n] brought to mean 0 and variance 1 first; the mean over what comes before the rows; 0 for n < 2.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> negentropy(rng.standard_normal(5000)) < 0.002 < negentropy(rng.laplace(size=5000))
        True
    """
    if u.shape[-1] < LEAST_ROWS:
        return 0.0
    spread = u.std(axis=-1, keepdims=True)
    z = (u - u.mean(axis=-1, keepdims=True)) / np.maximum(spread, TINY)
    size = np.abs(z)
    even = np.mean(size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0), axis=-1) - GAUSSIAN
    odd = np.mean(z * np.exp(-0.5 * z**2), axis=-1)
    return float(np.mean(K1 * even**2 + K2 * odd**2))


def influence(z: FloatArray) -> FloatArray:
    """[..., n] what each row does to 2 n J, to first order; z [..., n] are residuals of mean 0 and variance 1 along the rows.

        4 k1 (m1 - c) psi1(t) + 4 k2 m2 psi2(t),    psi(t) = g(z(t)) - E g - z(t) E g' - (z(t)^2 - 1) / 2 E z g'

    with g1 = ln cosh z, g2 = z exp(-z^2 / 2) and m their means; the last two terms of psi are what scaling takes away.

    Example:
        >>> z = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
        >>> bool(abs(influence(z).sum()) < 1e-9)
        True
    """
    size, bell = np.abs(z), np.exp(-0.5 * z**2)
    even, even_slope = size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0), np.tanh(z)
    odd, odd_slope = z * bell, (1.0 - z**2) * bell

    def psi(g: FloatArray, slope: FloatArray) -> FloatArray:
        scaled = z * slope.mean(axis=-1, keepdims=True) + 0.5 * (z**2 - 1.0) * (z * slope).mean(axis=-1, keepdims=True)
        return np.asarray(g - g.mean(axis=-1, keepdims=True) - scaled)

    weight = 4.0 * K1 * (even.mean(axis=-1, keepdims=True) - GAUSSIAN), 4.0 * K2 * odd.mean(axis=-1, keepdims=True)
    return np.asarray(weight[0] * psi(even, even_slope) + weight[1] * psi(odd, odd_slope))


@dataclass(eq=False)
class Shapes:
    """Negentropy of residuals by (sensor, features of its model), each computed once.

    Attributes:
        tables: features of every draw.
        keep: [rows, N] rows that count for each target.
        offers: what each target was offered.
        own: moments of each target.
    """

    tables: Tables
    keep: BoolArray
    offers: Sequence[Offer]
    own: Sequence[Features]
    cache: dict[tuple[int, bytes], float] = field(default_factory=dict)

    def of(self, target: int, local: Local) -> float:
        """J of what a model of the target leaves unexplained."""
        key = (target, np.sort(np.concatenate([local.forced, local.chosen])).tobytes())
        if key not in self.cache:
            rows = np.flatnonzero(self.keep[:, target])
            self.cache[key] = negentropy(residual(self.tables, rows, self.offers[target], self.own[target], local, target))
        return self.cache[key]

    def tell(self, parents: Sequence[frozenset[int]], locals_: Sequence[Local]) -> bool:
        """Is the residual of any end of a same-step link clearly not normal?"""
        ends = {j for j, of_j in enumerate(parents) if of_j}.union(*parents)
        return any(2.0 * self.own[j].rows * self.of(j, locals_[j]) > CLEARLY for j in sorted(ends))
