"""Structural equation models with a known graph: `x_j(t) = self_j x_j(t-1) + sum_{k,i} f_kij(x_i(t-k)) + e_j(t)`.

A graph is drawn once from the seed: about 1.5 links a sensor, a quarter of them within the step (acyclic, in a random
order that has nothing to do with the order of the columns), the others 1 to 3 steps late.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rcgnn.series import FloatArray, IntArray
from rcgnn.synth.equations import BURN_IN, Equations, Term, in_regimes
from rcgnn.synth.simulated import Plan, Simulated, assemble, raw_units

MAX_LAG = 3
LINKS_PER_SENSOR = 1.5
INSTANT_SHARE = 0.25
MOST_PARENTS = 4
LARGEST_RADIUS = 0.95

Link = tuple[int, int, int]


def draw_links(plan: Plan) -> tuple[list[Link], IntArray]:
    """Links (k, i, j), at most one a pair, and the order in which the instantaneous ones run."""
    rng = plan.rng("graph")
    n = plan.sensors
    order = rng.permutation(n)
    place = np.argsort(order)
    count = min(round(LINKS_PER_SENSOR * n), n * (n - 1) // 2)
    instant = round(INSTANT_SHARE * count)
    parents = np.zeros(n, np.int64)
    used: set[frozenset[int]] = set()
    links: list[Link] = []
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    for i, j in (pairs[p] for p in rng.permutation(len(pairs))):
        now = len(links) < instant
        taken = frozenset((i, j)) in used or parents[j] == MOST_PARENTS
        if len(links) == count or taken or (now and place[i] > place[j]):
            continue
        links.append((0 if now else int(rng.integers(1, MAX_LAG + 1)), i, j))
        used.add(frozenset((i, j)))
        parents[j] += 1
    return links, order


def draw_memory(plan: Plan) -> FloatArray:
    """[N] how much of a sensor's last value is kept: U(.3, .7)."""
    return plan.rng("memory").uniform(0.3, 0.7, plan.sensors)


def draw_noise_scale(plan: Plan) -> FloatArray:
    """[N] unequal innovation scales, log-uniform in (.6, 1.6)."""
    return np.exp(plan.rng("noise scale").uniform(math.log(0.6), math.log(1.6), plan.sensors))


def dense(links: list[Link], weights: FloatArray, sensors: int) -> FloatArray:
    """[K+1, N, N] with `weights[m]` at `links[m]`."""
    coefficients = np.zeros((MAX_LAG + 1, sensors, sensors))
    for (k, i, j), weight in zip(links, weights, strict=True):
        coefficients[k, i, j] = weight
    return coefficients


def spectral_radius(coefficients: FloatArray) -> float:
    """Largest |eigenvalue| of the companion matrix of `x(t) = sum_k x(t-k) C_k + e`; below 1 the system is stable.

    Args:
        coefficients: [K+1, N, N], `[k, i, j]`; k = 0 acyclic.

    Example:
        >>> c = np.zeros((2, 2, 2)); c[1] = np.diag([0.5, -0.7])
        >>> round(spectral_radius(c), 6)
        0.7
    """
    lags, n = coefficients.shape[0] - 1, coefficients.shape[1]
    reduced = coefficients[1:] @ np.linalg.inv(np.eye(n) - coefficients[0])
    companion = np.eye(lags * n, k=-n)
    companion[:n] = np.concatenate([block.T for block in reduced], axis=1)
    return float(np.abs(np.linalg.eigvals(companion)).max())


def stable(links: list[Link], plan: Plan) -> FloatArray:
    """[R, K+1, N, N] coefficients |.25|-.6 and memory, stable in every regime: redrawn, at last shrunk."""
    memory = draw_memory(plan)
    for attempt in range(50):
        rng = plan.rng("weights", attempt)
        weights = rng.uniform(0.25, 0.6, len(links)) * rng.choice([-1.0, 1.0], len(links))
        systems = np.stack([dense(links, w, plan.sensors) for w in in_regimes(weights, plan)])
        systems[:, 1, np.arange(plan.sensors), np.arange(plan.sensors)] = memory
        if max(spectral_radius(s) for s in systems) < LARGEST_RADIUS:
            return systems
    while max(spectral_radius(s) for s in systems) >= LARGEST_RADIUS:
        systems *= LARGEST_RADIUS
    return systems


def _run_linear(systems: FloatArray, plan: Plan, recording: int) -> FloatArray:
    """[T, N] one recording of a (piecewise) linear system."""
    rng = plan.rng("noise", recording)
    n = plan.sensors
    scale = draw_noise_scale(plan)
    regime = np.concatenate([np.zeros(BURN_IN, np.int64), plan.regime()])
    noise = rng.standard_normal((MAX_LAG + BURN_IN + plan.rows, n)) * scale
    instant = np.linalg.inv(np.eye(n) - systems[:, 0])
    reduced = (systems[:, 1:] @ instant[:, None]).reshape(len(systems), MAX_LAG * n, n)
    x = np.zeros_like(noise)
    for step, r in enumerate(regime, start=MAX_LAG):
        past = x[step - MAX_LAG : step][::-1].reshape(-1)
        x[step] = past @ reduced[r] + noise[step] @ instant[r]
    return x[MAX_LAG + BURN_IN :]


def _links_only(systems: FloatArray) -> FloatArray:
    n = systems.shape[-1]
    return np.where(np.eye(n, dtype=bool), 0.0, systems)


def linear(plan: Plan) -> Simulated:
    """Linear SVAR(3): coefficients |.25|-.6, memory .3-.7, Gaussian innovations of unequal size, spectral radius < .95."""
    links, _ = draw_links(plan)
    systems = stable(links, plan)
    clean = np.concatenate([_run_linear(systems, plan, r) for r in range(plan.recordings)])
    sd = clean.std(axis=0)
    off = _links_only(systems)
    strength = off[0] * sd[:, None] / sd[None, :]
    return assemble("linear", plan, raw_units(clean, plan), off != 0, strength=strength)


MECHANISMS: dict[str, Callable[[float], float]] = {
    "saturating": lambda z: 1.2 * math.tanh(1.2 * z),
    "threshold": lambda z: 1.3 * min(max(z - 0.2, 0.0), 2.5) - 0.4,
    "absolute": lambda z: 1.4 * min(abs(z), 2.5) - 1.1,
    "bump": lambda z: 1.8 * math.exp(-0.5 * (z - 0.8) ** 2) - 1.1,
    "wave": lambda z: 1.2 * math.sin(1.3 * z),
}
"""Bounded non-linear mechanisms of a standardised parent, of mean 0 when it is Gaussian; none is a feature of the screen's basis."""
MECHANISM_ODDS = {"saturating": 0.45, "threshold": 0.25, "absolute": 0.1, "bump": 0.1, "wave": 0.1}
WEAKEST = 0.12
"""A link must move at least this share of its effect's sd."""
PILOT_ROWS, PILOTS = 400, 20
NONLINEAR_NOISE = 0.6
"""Innovation scale that keeps the parents where the mechanisms bend: about unit variance."""
PRODUCT_SHARE = 0.25
"""Share of the sensors with two parents or more in which two of them act through their product."""


def _product(a: float, b: float) -> float:
    return 1.8 * math.tanh(a) * math.tanh(b)


def _draw_terms(j: int, links: list[Link], rng: np.random.Generator) -> list[Term]:
    """A mechanism for every link into sensor j; sometimes two of the parents act through their product."""
    names = list(MECHANISMS)
    sources = [(k, i) for k, i, effect in links if effect == j]
    weights = rng.uniform(0.5, 0.9, len(sources)) * rng.choice([-1.0, 1.0], len(sources))
    kinds = rng.choice(len(names), size=len(sources), p=[MECHANISM_ODDS[name] for name in names])
    terms = [Term(j, (s,), MECHANISMS[names[f]], float(w)) for s, f, w in zip(sources, kinds, weights, strict=True)]
    if len(terms) > 1 and rng.random() < PRODUCT_SHARE:
        terms[:2] = [Term(j, (sources[0], sources[1]), _product, float(weights[0]))]
    return terms


def _equations(plan: Plan) -> Equations:
    """Mechanisms in which every link moves its effect: a pilot run shows the idle ones, which are drawn again.

    A parent whose mean lies on the flat side of a threshold would be a link in name only.
    """
    links, order = draw_links(plan)
    memory, noise = draw_memory(plan), NONLINEAR_NOISE * draw_noise_scale(plan)
    pilot = Plan(plan.seed, PILOT_ROWS, plan.sensors)
    terms: dict[int, list[Term]] = {}
    idle = list(range(plan.sensors))
    for attempt in range(PILOTS):
        terms |= {j: _draw_terms(j, links, plan.rng(f"mechanism {j}", attempt)) for j in idle}
        system = Equations(tuple(t for j in sorted(terms) for t in terms[j]), memory, noise, order, MAX_LAG)
        strength = np.abs(system.run(pilot)[1])
        idle = sorted({j for k, i, j in links if strength[k, i, j] < WEAKEST})
        if not idle:
            break
    return system


def nonlinear(plan: Plan) -> Simulated:
    """Non-linear SVAR(3): bounded mechanisms (saturating, threshold, absolute, bump, wave, products of two parents)."""
    system = _equations(plan)
    clean, strength = system.run(plan)
    return assemble("nonlinear", plan, raw_units(clean, plan), system.truth(plan), strength=strength)
