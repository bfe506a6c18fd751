"""Systems with one trait each that real tables have and `linear`, `nonlinear` and `lorenz96` have not; `TRAITS`: the suite.

Truth is the direct links of the equations, wherever the trait hides them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from rcgnn.series import FloatArray
from rcgnn.synth.equations import BURN_IN
from rcgnn.synth.null import PERIOD
from rcgnn.synth.sem import Link, draw_noise_scale
from rcgnn.synth.simulated import Plan, Simulated, raw_units
from rcgnn.synth.svar import Shape, draw_graph, draw_systems, finish, innovations, run


class Trait(NamedTuple):
    """One table of the suite.

    Attributes:
        system: a row of `SEMS`.
        rows: T.
        sensors: N.
        corruption: what `corrupt` does to the readings.
    """

    system: str
    rows: int
    sensors: int
    corruption: dict[str, float]


TRAITS: dict[str, Trait] = {
    "hidden": Trait("hidden", 500, 13, {}),
    "bursty": Trait("bursty", 600, 13, {}),
    "subsampled": Trait("subsampled", 500, 13, {}),
    "feedback": Trait("feedback", 1000, 10, {}),
    "long_lags": Trait("long_lags", 400, 13, {}),
    "skewed": Trait("skewed", 1000, 13, {}),
    "products": Trait("products", 1500, 13, {}),
    "hub": Trait("hub", 400, 20, {}),
    "coarse": Trait("coarse", 1000, 13, {}),
    "seasonal_links": Trait("seasonal_links", 1500, 13, {}),
    "t200": Trait("linear", 200, 13, {}),
}
"""The tables of the suite, one trait each; the readings are clean so that nothing but the trait is asked."""

LAGGED = Shape(per_sensor=1.2, instant=0.0, weights=(0.15, 0.4))
LONG = Shape(lags=(4, 8), instant=0.0)
FAST = Shape(lags=(1, 1), per_sensor=1.5, instant=0.0, weights=(0.2, 0.5), memory=(0.4, 0.7))
LOOPS = Shape(lags=(1, 1), weights=(0.2, 0.4), memory=(0.3, 0.6))
SKEWED = Shape(instant=0.8, acyclic=True, weights=(0.3, 0.7), memory=(0.1, 0.4))
SPOKES = Shape(instant=0.0, per_sensor=0.4, weights=(0.3, 0.6))

REACH = 0.7
"""Share of the sensors that a hidden factor drives."""
HUB_REACH = 0.8
"""Share of the other sensors that the hub drives."""
LOOP = 4
"""Sensors in a feedback loop, at least."""
RESPONSE_NOISE = 0.05
"""Measurement noise on a slow response, in sd."""
LOG_SD = 0.6
"""sd of the logarithm of a lognormal innovation."""
MOST_SD = 9.0
"""Innovations of heavy tails are cut here, in sd: a sensor has an end stop."""


def _paths(systems: FloatArray, plan: Plan) -> FloatArray:
    """[recordings T, N] all recordings with Gaussian innovations."""
    lags = systems.shape[1] - 1
    return np.concatenate([run(systems, innovations(plan, r, lags), plan.regime()) for r in range(plan.recordings)])


def hidden(plan: Plan) -> Simulated:
    """Two or three unmeasured AR(1) factors (.7-.95) drive 70 % of the sensors each, within the step, on a linear lagged graph."""
    systems = draw_systems(plan, draw_graph(plan, LAGGED), LAGGED)
    rng = plan.rng("factors")
    count = int(rng.integers(2, 4))
    memory = rng.uniform(0.7, 0.95, count)
    loading = rng.uniform(0.8, 1.6, (count, plan.sensors)) * rng.choice([-1.0, 1.0], (count, plan.sensors))
    for row in loading:
        row[rng.permutation(plan.sensors)[max(2, round(REACH * plan.sensors)) :]] = 0.0
    runs = []
    for recording in range(plan.recordings):
        noise = innovations(plan, recording, LAGGED.max_lag)
        drive = plan.rng("factor noise", recording).standard_normal((len(noise), count))
        factors = np.column_stack([lfilter([np.sqrt(1.0 - m * m)], [1.0, -m], e) for m, e in zip(memory, drive.T, strict=True)])
        runs.append(run(systems, noise + factors @ loading, plan.regime()))
    clean = np.concatenate(runs)
    return finish("hidden", plan, raw_units(clean, plan), systems, clean)


def subsampled(plan: Plan) -> Simulated:
    """A linear VAR(1) of which every second or third step is read; truth: its direct links, put at lag 1."""
    systems = draw_systems(plan, draw_graph(plan, FAST), FAST)
    every = int(plan.rng("every").integers(2, 4))
    regime = np.repeat(plan.regime(), every)
    runs = [run(systems, innovations(plan, r, FAST.max_lag, every * plan.rows), regime)[::every] for r in range(plan.recordings)]
    clean = np.concatenate(runs)
    return finish("subsampled", plan, raw_units(clean, plan), systems, clean)


def loops(plan: Plan) -> list[Link]:
    """Rings of four sensors or more, a two-way link in each, and one link from ring to ring; all at lag 1."""
    groups = [g.tolist() for g in np.array_split(plan.rng("graph").permutation(plan.sensors), max(1, plan.sensors // LOOP))]
    rings = [(1, g[m], g[(m + 1) % len(g)]) for g in groups for m in range(len(g))]
    back = [(1, g[1], g[0]) for g in groups]
    bridges = [(1, a[-1], b[0]) for a, b in pairwise(groups)]
    return list(dict.fromkeys(rings + back + bridges))


def feedback(plan: Plan) -> Simulated:
    """Weak feedback loops at lag 1 (.2-.4), read through a slow response of each sensor's own (two poles of .4-.65), little noise."""
    systems = draw_systems(plan, loops(plan), LOOPS)
    poles = plan.rng("response").uniform(0.4, 0.65, plan.sensors)
    lead = BURN_IN // 2
    regime = np.concatenate([np.zeros(lead, np.int64), plan.regime()])
    runs = []
    for recording in range(plan.recordings):
        x = run(systems, innovations(plan, recording, LOOPS.max_lag, lead + plan.rows), regime)
        slow = np.column_stack([lfilter([1.0], [1.0, -2.0 * p, p * p], path) for p, path in zip(poles, x.T, strict=True)])[lead:]
        noise = plan.rng("response noise", recording).standard_normal(slow.shape)
        runs.append(slow + RESPONSE_NOISE * slow.std(axis=0) * noise)
    clean = np.concatenate(runs)
    return finish("feedback", plan, raw_units(clean, plan), systems, clean)


def long_lags(plan: Plan) -> Simulated:
    """Linear SVAR(8) whose links are 4 to 8 steps late."""
    systems = draw_systems(plan, draw_graph(plan, LONG), LONG)
    clean = _paths(systems, plan)
    return finish("long_lags", plan, raw_units(clean, plan), systems, clean)


def skewed(plan: Plan) -> Simulated:
    """Linear SVAR(3) without cycles, four links in five within the step, Laplace or lognormal innovations (either sign)."""
    systems = draw_systems(plan, draw_graph(plan, SKEWED), SKEWED)
    rng = plan.rng("tails")
    lognormal = rng.permutation(plan.sensors) < plan.sensors // 2
    scale = rng.choice([-1.0, 1.0], plan.sensors) * draw_noise_scale(plan)
    mean, sd = np.exp(LOG_SD**2 / 2), np.sqrt(np.expm1(LOG_SD**2)) * np.exp(LOG_SD**2 / 2)
    runs = []
    for recording in range(plan.recordings):
        noise = plan.rng("noise", recording)
        shape = (SKEWED.max_lag + BURN_IN + plan.rows, plan.sensors)
        heavy = noise.laplace(scale=np.sqrt(0.5), size=shape)
        tilted = (noise.lognormal(sigma=LOG_SD, size=shape) - mean) / sd
        standard = np.clip(np.where(lognormal, tilted, heavy), -MOST_SD, MOST_SD)
        runs.append(run(systems, standard * scale, plan.regime()))
    clean = np.concatenate(runs)
    return finish("skewed", plan, raw_units(clean, plan), systems, clean)


def hub(plan: Plan) -> Simulated:
    """Linear: one sensor drives four in five of the others (lags 1-3); few links among those."""
    rng = plan.rng("hub")
    centre, *others = rng.permutation(plan.sensors).tolist()
    driven = others[: max(1, round(HUB_REACH * len(others)))]
    spokes = [(int(rng.integers(1, SPOKES.max_lag + 1)), centre, j) for j in driven]
    links = spokes + [link for link in draw_graph(plan, SPOKES) if centre not in link[1:]]
    systems = draw_systems(plan, links, SPOKES)
    clean = _paths(systems, plan)
    return finish("hub", plan, raw_units(clean, plan), systems, clean)


def report_on_change(x: FloatArray, band: FloatArray) -> FloatArray:
    """[T, N] readings that stay until the value has moved by more than the band [N] (send-on-delta).

    Example:
        >>> report_on_change(np.array([[0.0], [0.4], [1.1], [0.5]]), np.array([1.0])).ravel().tolist()
        [0.0, 0.0, 1.1, 1.1]
    """
    held = x.copy()
    for before, now in pairwise(held):
        still = np.abs(now - before) <= band
        now[still] = before[still]
    return held


def coarse(plan: Plan) -> Simulated:
    """Linear SVAR(3) read in steps of .4-1 sd; every third sensor reports only when it has moved by .8-1.2 sd."""
    shape = Shape()
    systems = draw_systems(plan, draw_graph(plan, shape), shape)
    rng = plan.rng("coarse")
    step = rng.uniform(0.4, 1.0, plan.sensors)
    band = np.where(rng.permutation(plan.sensors) % 3 == 0, rng.uniform(0.8, 1.2, plan.sensors), 0.0)
    clean = _paths(systems, plan)
    sd = clean.std(axis=0)
    z = clean / sd
    held = [report_on_change(part, band) for part in np.split(z, plan.recordings)]
    return finish("coarse", plan, raw_units(np.round(np.concatenate(held) / step) * step * sd, plan), systems, clean)


def season(plan: Plan, recording: int) -> FloatArray:
    """[T, N] a wave of 48 rows that all sensors share, each in its own size, sign and delay; amplitude and phase wander."""
    slow = plan.rng("season", recording + 1).standard_normal((BURN_IN + plan.rows, 2))
    wander = lfilter([np.sqrt(1.0 - 0.98**2)], [1.0, -0.98], slow, axis=0)[BURN_IN:]
    rng = plan.rng("season")
    size = rng.uniform(0.8, 2.0, plan.sensors) * rng.choice([-1.0, 1.0], plan.sensors)
    delay = rng.uniform(0.0, PERIOD / 8, plan.sensors)
    angle = 2 * np.pi * (np.arange(plan.rows)[:, None] - delay) / PERIOD + 0.4 * wander[:, 1:]
    return np.exp(0.3 * wander[:, :1]) * np.sin(angle) * size


def seasonal_links(plan: Plan) -> Simulated:
    """Linear SVAR(3) under a season of 48 rows that all sensors share; its amplitude and phase wander."""
    shape = Shape(per_sensor=1.2)
    systems = draw_systems(plan, draw_graph(plan, shape), shape)
    clean = _paths(systems, plan)
    waves = np.concatenate([season(plan, r) for r in range(plan.recordings)])
    return finish("seasonal_links", plan, raw_units(clean + waves * clean.std(axis=0), plan), systems, clean)
