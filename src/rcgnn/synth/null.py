"""Systems without any link, on which every link found is a false one."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from rcgnn.series import FloatArray
from rcgnn.synth.simulated import Plan, Simulated, assemble, raw_units

MAX_LAG = 3
BURN_IN = 200
MEMORY = 0.95
PERIOD = 48


def _assemble(name: str, plan: Plan, runs: list[FloatArray]) -> Simulated:
    none = np.zeros((plan.regimes, MAX_LAG + 1, plan.sensors, plan.sensors), bool)
    return assemble(name, plan, raw_units(np.concatenate(runs), plan), none)


def ar1(plan: Plan) -> Simulated:
    """No links: independent `x(t) = .95 x(t-1) + e(t)`."""
    runs = []
    for recording in range(plan.recordings):
        noise = plan.rng("noise", recording).standard_normal((BURN_IN + plan.rows, plan.sensors))
        runs.append(lfilter([1.0], [1.0, -MEMORY], noise, axis=0)[BURN_IN:])
    return _assemble("ar1", plan, runs)


def random_walk(plan: Plan) -> Simulated:
    """No links: independent `x(t) = x(t-1) + e(t)`."""
    shape = (plan.rows, plan.sensors)
    return _assemble("random_walk", plan, [np.cumsum(plan.rng("noise", r).standard_normal(shape), axis=0) for r in range(plan.recordings)])


def seasonal(plan: Plan) -> Simulated:
    """No links: a season of 48 rows that all sensors share, with its own size and sign, over AR(1) noise of .5."""
    rng = plan.rng("season")
    size = rng.uniform(0.8, 2.0, plan.sensors) * rng.choice([-1.0, 1.0], plan.sensors)
    wave = np.sin(2 * np.pi * np.arange(plan.rows) / PERIOD)[:, None] * size
    runs = []
    for recording in range(plan.recordings):
        noise = plan.rng("noise", recording).standard_normal((BURN_IN + plan.rows, plan.sensors))
        runs.append(wave + lfilter([1.0], [1.0, -0.5], noise, axis=0)[BURN_IN:])
    return _assemble("seasonal", plan, runs)


def trend(plan: Plan) -> Simulated:
    """No links: a slow trend that all sensors share (noise summed twice), with its own size and sign, over AR(1) noise of .5."""
    size = plan.rng("trend").uniform(0.8, 2.0, plan.sensors) * plan.rng("sign").choice([-1.0, 1.0], plan.sensors)
    runs = []
    for recording in range(plan.recordings):
        slow = np.cumsum(np.cumsum(plan.rng("slow", recording).standard_normal(plan.rows)))
        slow = (slow - slow.mean()) / max(float(slow.std()), 1e-12)
        noise = plan.rng("noise", recording).standard_normal((BURN_IN + plan.rows, plan.sensors))
        runs.append(np.outer(slow, size) + lfilter([1.0], [1.0, -0.5], noise, axis=0)[BURN_IN:])
    return _assemble("trend", plan, runs)
