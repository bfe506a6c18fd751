"""Linear structural VARs of any delay, density and innovation: the ground on which the systems of `traits` stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rcgnn.series import FloatArray, IntArray
from rcgnn.synth.equations import BURN_IN, in_regimes
from rcgnn.synth.sem import LARGEST_RADIUS, MOST_PARENTS, Link, draw_noise_scale, spectral_radius
from rcgnn.synth.simulated import Plan, Simulated, assemble

ATTEMPTS = 20
"""Draws of the weights before they are shrunk until the system is stable."""


@dataclass(frozen=True)
class Shape:
    """What kind of linear system to draw.

    Attributes:
        lags: shortest and longest delay of a link that is not within the step.
        per_sensor: links a sensor.
        instant: share of the links within the step.
        acyclic: no cycle through lagged links either.
        weights: smallest and largest |coefficient|.
        memory: smallest and largest share of a sensor's last value that is kept.
    """

    lags: tuple[int, int] = (1, 3)
    per_sensor: float = 1.5
    instant: float = 0.25
    acyclic: bool = False
    weights: tuple[float, float] = (0.25, 0.6)
    memory: tuple[float, float] = (0.3, 0.7)

    @property
    def max_lag(self) -> int:
        """K: longest delay the arrays can hold."""
        return self.lags[1]


def draw_graph(plan: Plan, shape: Shape) -> list[Link]:
    """Links (k, i, j), at most one a pair and four into a sensor; those within the step follow a random order.

    Example:
        >>> sorted({k for k, _, _ in draw_graph(Plan(0), Shape(lags=(4, 8), instant=0.0))})
        [4, 5, 6, 7, 8]
    """
    rng = plan.rng("graph")
    n = plan.sensors
    place = rng.permutation(n)
    count = min(round(shape.per_sensor * n), n * (n - 1) // 2)
    instant = round(shape.instant * count)
    parents = np.zeros(n, np.int64)
    used: set[frozenset[int]] = set()
    links: list[Link] = []
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    for i, j in (pairs[p] for p in rng.permutation(len(pairs))):
        now = len(links) < instant
        taken = frozenset((i, j)) in used or parents[j] == MOST_PARENTS
        if len(links) == count or taken or ((now or shape.acyclic) and place[i] > place[j]):
            continue
        links.append((0 if now else int(rng.integers(shape.lags[0], shape.lags[1] + 1)), i, j))
        used.add(frozenset((i, j)))
        parents[j] += 1
    return links


def draw_systems(plan: Plan, links: list[Link], shape: Shape) -> FloatArray:
    """[R, K+1, N, N] coefficients and memory, stable in every regime: redrawn, at last shrunk.

    Example:
        >>> draw_systems(Plan(0, sensors=3, regimes=2), [(1, 0, 2)], Shape()).shape
        (2, 4, 3, 3)
    """
    n = plan.sensors
    memory = plan.rng("memory").uniform(*shape.memory, n)
    k, i, j = np.array(links, np.int64).reshape(-1, 3).T
    for attempt in range(ATTEMPTS):
        rng = plan.rng("weights", attempt)
        weights = rng.uniform(*shape.weights, len(links)) * rng.choice([-1.0, 1.0], len(links))
        systems = np.zeros((plan.regimes, shape.max_lag + 1, n, n))
        systems[:, k, i, j] = in_regimes(weights, plan)
        systems[:, 1, np.arange(n), np.arange(n)] = memory
        if _radius(systems) < LARGEST_RADIUS:
            return systems
    while _radius(systems) >= LARGEST_RADIUS:
        systems *= LARGEST_RADIUS
    return systems


def _radius(systems: FloatArray) -> float:
    return max(spectral_radius(s) for s in systems)


def innovations(plan: Plan, recording: int, max_lag: int, rows: int | None = None) -> FloatArray:
    """[K + burn-in + rows, N] Gaussian innovations of unequal size; as many rows as the plan has where none are given."""
    shape = (max_lag + BURN_IN + (plan.rows if rows is None else rows), plan.sensors)
    return plan.rng("noise", recording).standard_normal(shape) * draw_noise_scale(plan)


def run(systems: FloatArray, noise: FloatArray, regime: IntArray) -> FloatArray:
    """[T, N] of `x(t) = sum_k x(t-k) C_k + e(t)`, one regime a row.

    Args:
        systems: [R, K+1, N, N], `[r, k, i, j]`; k = 0 acyclic.
        noise: [K + burn-in + T, N]; the first K rows are not used.
        regime: [T] row of `systems` that holds.

    Example:
        >>> c = np.zeros((1, 2, 1, 1)); c[0, 1] = 0.5
        >>> float(run(c, np.ones((1 + BURN_IN + 3, 1)), np.zeros(3, np.int64))[-1, 0])
        2.0
    """
    lags, n = systems.shape[1] - 1, systems.shape[2]
    by_row = np.concatenate([np.zeros(BURN_IN, np.int64), regime])
    instant = np.linalg.inv(np.eye(n) - systems[:, 0])
    reduced = (systems[:, 1:] @ instant[:, None]).reshape(len(systems), lags * n, n)
    x = np.zeros_like(noise)
    for step, r in enumerate(by_row, start=lags):
        x[step] = x[step - lags : step][::-1].reshape(-1) @ reduced[r] + noise[step] @ instant[r]
    return x[lags + BURN_IN :]


def finish(name: str, plan: Plan, values: FloatArray, systems: FloatArray, clean: FloatArray) -> Simulated:
    """A `Simulated` whose truth is every coefficient off the diagonal.

    Args:
        name: the system.
        plan: what was asked for.
        values: [recordings T, N] readings in sensor units.
        systems: [R, K+1, N, N] coefficients.
        clean: [recordings T, N] in the units of the coefficients: strength is `C sd_i / sd_j`.
    """
    off = np.where(np.eye(plan.sensors, dtype=bool), 0.0, systems)
    sd = clean.std(axis=0)
    return assemble(name, plan, values, off != 0, strength=off[0] * sd[:, None] / sd[None, :])
