"""The two systems of the suite that are not linear: bursty counts, and products of two parents."""

from __future__ import annotations

import math

import numpy as np

from rcgnn.errors import ConfigError
from rcgnn.series import FloatArray
from rcgnn.synth.equations import BURN_IN, Equations, Term
from rcgnn.synth.sem import draw_noise_scale
from rcgnn.synth.simulated import DECADES, Plan, Simulated, assemble, raw_units
from rcgnn.synth.svar import Shape, draw_graph, draw_systems

COUNTS = Shape(per_sensor=1.2, instant=0.0, weights=(0.5, 0.9), memory=(0.1, 0.4))
DRIVE = (-1.5, 1.8)
"""Range of what the past adds to the log rate: a counter is never quite dead and never runs away."""
LARGEST_COUNT = 10.0
"""Where the counter stops, in base rates."""
PRODUCT_LAG = 3
ROOT_SHARE = 0.4
"""Share of the sensors without parents in `products`."""
FEWEST_SENSORS = 3


def _counts(systems: FloatArray, plan: Plan, recording: int) -> FloatArray:
    """[T, N] of one recording."""
    lags, n = COUNTS.max_lag, plan.sensors
    traits = plan.rng("counts")
    base = traits.uniform(math.log(0.5), math.log(2.0), n)
    silent = traits.uniform(0.2, 0.5, n)
    burst = traits.uniform(1.5, 3.0, n)
    stop = np.round(LARGEST_COUNT * np.exp(base))
    stacked = systems[:, 1:].reshape(len(systems), lags * n, n)
    rng = plan.rng("noise", recording)
    y = np.zeros((lags + BURN_IN + plan.rows, n))
    seen = np.zeros_like(y)
    for step, r in enumerate(np.concatenate([np.zeros(BURN_IN, np.int64), plan.regime()]), start=lags):
        drive = seen[step - lags : step][::-1].reshape(-1) @ stacked[r]
        rate = np.exp(base + np.clip(drive, *DRIVE)) * rng.gamma(burst, 1.0 / burst)
        y[step] = np.minimum(rng.poisson(rate) * (rng.random(n) >= silent), stop)
        seen[step] = np.log1p(y[step])
    return y[lags + BURN_IN :]


def bursty(plan: Plan) -> Simulated:
    """Zero-inflated negative-binomial counts: `log rate_j(t) = b_j + sum c_kij log(1 + y_i(t-k))`; zero stays zero in every unit.

    Source: Fokianos and Tjostheim (2011), "Log-linear Poisson autoregression". Strength is that of the logarithms.
    """
    systems = draw_systems(plan, draw_graph(plan, COUNTS), COUNTS)
    y = np.concatenate([_counts(systems, plan, r) for r in range(plan.recordings)])
    off = np.where(np.eye(plan.sensors, dtype=bool), 0.0, systems)
    sd = np.maximum(np.log1p(y).std(axis=0), 1e-3)
    units = 10.0 ** plan.rng("units").uniform(-DECADES, DECADES, plan.sensors)
    return assemble("bursty", plan, y * units, off != 0, strength=off[0] * sd[:, None] / sd[None, :])


def product(a: float, b: float) -> float:
    """`1.8 tanh(a) tanh(b)`: of mean 0, and uncorrelated with either, where a and b are symmetric and independent."""
    return 1.8 * math.tanh(a) * math.tanh(b)


def products(plan: Plan) -> Simulated:
    """Four sensors in ten are AR(1); each of the others is driven by the product of two earlier ones, lags 1-3.

    Raises:
        ConfigError: fewer than 3 sensors: nothing could be a product.
    """
    n = plan.sensors
    if n < FEWEST_SENSORS:
        raise ConfigError(f"simulate products: sensors must be at least {FEWEST_SENSORS}, got {n}.")
    rng = plan.rng("graph")
    order = rng.permutation(n)
    roots = max(2, round(ROOT_SHARE * n))
    terms = []
    for place in range(roots, n):
        lags, (a, b) = rng.integers(1, PRODUCT_LAG + 1, 2), rng.choice(order[:place], 2, replace=False)
        weight = float(rng.uniform(0.9, 1.4) * rng.choice([-1.0, 1.0]))
        terms.append(Term(int(order[place]), ((int(lags[0]), int(a)), (int(lags[1]), int(b))), product, weight))
    memory = np.empty(n)
    memory[order] = np.where(np.arange(n) < roots, plan.rng("memory").uniform(0.4, 0.7, n), plan.rng("memory").uniform(0.1, 0.4, n))
    noise = draw_noise_scale(plan)
    noise[order[roots:]] *= 0.6
    system = Equations(tuple(terms), memory, noise, order, PRODUCT_LAG)
    clean, strength = system.run(plan)
    return assemble("products", plan, raw_units(clean, plan), system.truth(plan), strength=strength)
