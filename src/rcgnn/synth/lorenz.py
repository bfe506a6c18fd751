"""Lorenz-96: a ring of sensors, chaotic, each driven by three neighbours. Source: Lorenz (1996), "Predictability"."""

from __future__ import annotations

import numpy as np

from rcgnn.errors import ConfigError
from rcgnn.series import FloatArray
from rcgnn.synth.simulated import Plan, Simulated, assemble, raw_units

STEP = 0.05
BURN_IN = 1000
OBSERVATION_NOISE = 0.1
FEWEST_SENSORS = 4


def derivative(x: FloatArray, forcing: float) -> FloatArray:
    """`dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F` on a ring.

    Example:
        >>> derivative(np.full(5, 8.0), 8.0)
        array([0., 0., 0., 0., 0.])
    """
    return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + forcing


def runge_kutta(x: FloatArray, forcing: float, step: float = STEP) -> FloatArray:
    """One classical fourth-order step."""
    a = derivative(x, forcing)
    b = derivative(x + 0.5 * step * a, forcing)
    c = derivative(x + 0.5 * step * b, forcing)
    d = derivative(x + step * c, forcing)
    return x + step / 6.0 * (a + 2.0 * b + 2.0 * c + d)


def lorenz96(plan: Plan) -> Simulated:
    """Lorenz-96, F in 8-12 (another in each regime), step .05, columns shuffled; truth at lag 1: i-2, i-1, i+1 -> i.

    Raises:
        ConfigError: fewer than 4 sensors: the three drivers of a sensor would not be distinct.
    """
    n = plan.sensors
    if n < FEWEST_SENSORS:
        raise ConfigError(f"simulate lorenz96: sensors must be at least {FEWEST_SENSORS}, got {n}.")
    forcing = plan.rng("forcing").uniform(8.0, 12.0, plan.regimes)
    column = plan.rng("order").permutation(n)
    runs = []
    for recording in range(plan.recordings):
        rng = plan.rng("start", recording)
        x = forcing[0] + 0.5 * rng.standard_normal(n)
        for _ in range(BURN_IN):
            x = runge_kutta(x, forcing[0])
        path = np.empty((plan.rows, n))
        for row, regime in enumerate(plan.regime()):
            x = runge_kutta(x, forcing[regime])
            path[row] = x
        runs.append(path + OBSERVATION_NOISE * plan.rng("noise", recording).standard_normal(path.shape))
    clean = np.concatenate(runs)[:, np.argsort(column)]
    truth = np.zeros((2, n, n), bool)
    for i in range(n):
        for source in (i - 2, i - 1, i + 1):
            truth[1, column[source % n], column[i]] = True
    return assemble("lorenz96", plan, raw_units(clean, plan), np.stack([truth] * plan.regimes))
