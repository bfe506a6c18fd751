"""DYNOTEARS: same-step and lagged links together, the same-step part acyclic by a smooth constraint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm
from scipy.optimize import minimize

from rcgnn.baselines.lagged import Lagged, off_diagonal
from rcgnn.graph import LINK, NONE, CausalGraph
from rcgnn.series import BoolArray, FloatArray, Series

PENALTIES = (0.1, 0.05, 0.02, 0.01)
HELD_OUT = 0.2
LEAST_ROWS = 20
THRESHOLD = 0.01
"""Coefficients below this many standard deviations are no links; the paper leaves the threshold to the user."""
H_TOLERANCE, RHO_MOST, ROUNDS = 1e-8, 1e16, 60
H_MUST_SHRINK = 0.25
STEPS = 1_000
FARTHEST, BARRIER = 300.0, 1e100
"""Sum of squared same-step coefficients into one sensor beyond which the exponential would overflow, and the wall there."""


@dataclass(frozen=True, eq=False)
class Moments:
    """What the loss needs of a table.

    Attributes:
        gram: [p, p] Z'Z / n, Z = (x(t), x(t-1), ..., x(t-K)), p = (K+1) m.
        sensors: m.
    """

    gram: FloatArray
    sensors: int

    def loss(self, b: FloatArray) -> tuple[float, FloatArray]:
        """|X - Z B|^2 / 2n (eq. 3 without penalties) and its gradient [p, m]."""
        m = self.sensors
        slope = self.gram @ b - self.gram[:, :m]
        return float(0.5 * (np.trace(self.gram[:m, :m]) - (b * self.gram[:, :m]).sum() + (b * slope).sum())), slope


def dynotears(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - one signature
    """Which same-step and lagged coefficients does a penalised structural autoregression keep?

        min_{W, A} |X - X W - Y A|^2 / 2n + lambda (|W|_1 + |A|_1)     subject to     tr exp(W o W) = m

    by the augmented Lagrangian, L-BFGS-B on positive and negative parts. lambda is the one of four with the smallest
    error on the last fifth of the rows. Score: |coefficient| in standard deviations; above `THRESHOLD` it is a link.

    Source: Pamfil et al. 2020, "DYNOTEARS: Structure Learning from Time-Series Data", AISTATS, eqs. 3 to 6.

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: not used; the penalty decides.
        seed: not used.

    Example:
        >>> from rcgnn.synth import simulate
        >>> s = simulate("linear", seed=1, rows=800, sensors=4)
        >>> dynotears(s.series, max_lag=2).score.shape
        (3, 4, 4)
    """
    table = Lagged.of(series, max_lag)
    rows, lags, sensors = table.shape
    if rows < LEAST_ROWS or sensors == 0:
        return table.undecidable()
    order = np.argsort(table.now[0], kind="stable")  # of the readings, so that the order of columns changes nothing
    z = np.concatenate([table.now[:, order], table.past[:, :, order].reshape(rows, -1)], axis=1)
    cut = round((1 - HELD_OUT) * rows)
    train, held = (Moments(part.T @ part / len(part), sensors) for part in (z[:cut], z[cut:]))
    errors = [held.loss(structure(train, penalty))[0] for penalty in PENALTIES]
    found = structure(Moments(z.T @ z / rows, sensors), PENALTIES[int(np.argmin(errors))])
    back = np.argsort(order)
    strength = found.reshape(lags + 1, sensors, sensors)[:, back][:, :, back]
    score = np.abs(strength) * off_diagonal(sensors)
    return table.graph(score, np.where(score > THRESHOLD, LINK, NONE).astype(np.int8), strength=strength)


def acyclicity(w: FloatArray) -> tuple[float, FloatArray]:
    """h(W) = tr exp(W o W) - m, zero exactly for acyclic W, and its gradient.

    Source: Zheng et al. 2018, "DAGs with NO TEARS", theorem 1.

    Example:
        >>> acyclicity(np.array([[0.0, 2.0], [0.0, 0.0]]))[0]
        0.0
    """
    e = expm(w * w)
    return float(np.trace(e) - len(w)), 2.0 * w * e.T


def structure(moments: Moments, penalty: float) -> FloatArray:
    """[(K+1) m, m] coefficients B = (W, A) of the penalised problem."""
    m, shape = moments.sensors, (len(moments.gram), moments.sensors)
    free = np.ones(shape, bool)
    free[:m] = off_diagonal(m)
    split = np.zeros(2 * int(free.sum()))
    rho, multiplier, before = 1.0, 0.0, np.inf
    for _ in range(ROUNDS):
        while True:
            solved = _inner(moments, free, split, penalty, (rho, multiplier))
            h, _ = acyclicity(_joined(solved, free)[:m])
            if h <= H_MUST_SHRINK * before or rho >= RHO_MOST:
                break
            rho *= 10.0
        split, before = solved, h
        multiplier += rho * h
        if h <= H_TOLERANCE or rho >= RHO_MOST:
            break
    return _joined(split, free)


def _joined(split: FloatArray, free: BoolArray) -> FloatArray:
    """B from its positive and negative parts."""
    half = len(split) // 2
    b = np.zeros(free.shape)
    b[free] = split[:half] - split[half:]
    return b


def _inner(moments: Moments, free: BoolArray, start: FloatArray, penalty: float, lagrangian: tuple[float, float]) -> FloatArray:
    """One round of the augmented Lagrangian."""
    m, (rho, multiplier) = moments.sensors, lagrangian

    def objective(split: FloatArray) -> tuple[float, FloatArray]:
        b = _joined(split, free)
        loss, slope = moments.loss(b)
        if (b[:m] ** 2).sum(axis=0).max() > FARTHEST:  # a line search that went astray: uphill all the way back
            return BARRIER * float((split**2).sum()), 2 * BARRIER * split
        h, steep = acyclicity(b[:m])
        slope[:m] += (rho * h + multiplier) * steep
        flat = slope[free]
        value = loss + 0.5 * rho * h * h + multiplier * h + penalty * split.sum()
        return value, np.concatenate([flat + penalty, penalty - flat])

    bounds = [(0.0, None)] * len(start)
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}).x)
