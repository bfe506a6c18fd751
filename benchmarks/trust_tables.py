"""Tables for `trust.py`: what must not change the links, systems without links, and systems drawn from a prior.

Every table is a function of its seed. Systems with a known graph come from `rcgnn.synth`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from rcgnn.config import Config
from rcgnn.graph import CausalGraph
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import BoolArray, FloatArray, Series
from rcgnn.synth import Plan, Simulated, simulate
from rcgnn.synth.simulated import raw_units
from rcgnn.synth.svar import Shape, draw_graph, draw_systems, finish, innovations, run

SETTINGS = ("select.refine=off",)
"""The network changes no link."""


def fitted(series: Series, max_lag: int, *more: str) -> Fit:
    """The answer for one table."""
    return fit_series(series, Config().override([f"data.max_lag={max_lag}", *SETTINGS, *more]))


def gapped(series: Series, share: float, rng: np.random.Generator) -> Series:
    """The same table with single cells missing at random."""
    return series.with_values(series.values, series.mask & (rng.random(series.shape) >= share)) if share else series


# --- what must not change the links -------------------------------------------------------------------------------------------------

STEADY_SYSTEMS = ("linear", "nonlinear", "skewed", "lorenz96")
STEADY_SENSORS, STEADY_ROWS, STEADY_LAG, STEADY_GAPS = 5, 500, 3, 0.2
DROPPED = 25
"""Rows taken off the beginning of the table."""
Changed = tuple[Series, list[int]]
"""A table, and for each sensor of the first one its column there."""


def steady_system(seed: int) -> str:
    """The systems take turns."""
    return STEADY_SYSTEMS[seed % len(STEADY_SYSTEMS)]


def steady_table(seed: int) -> Series:
    """A table of the seed's system; every fourth round of systems has a fifth of its cells missing."""
    made = simulate(steady_system(seed), seed=seed, rows=STEADY_ROWS, sensors=STEADY_SENSORS).series
    gaps = STEADY_GAPS if seed // len(STEADY_SYSTEMS) % 4 == 0 else 0.0
    return gapped(made, gaps, np.random.default_rng([seed, 1]))


def _units(series: Series, rng: np.random.Generator) -> Changed:
    sensors = series.shape[1]
    factor, offset = 10.0 ** rng.uniform(-4, 4, sensors), rng.normal(0, 100, sensors)
    return series.with_values(factor * (series.values + offset * _spread(series)), series.mask), list(range(sensors))


def _columns(series: Series, rng: np.random.Generator) -> Changed:
    order = rng.permutation(series.shape[1])
    return series.sensors(order.tolist()), np.argsort(order).tolist()


def _clock(series: Series, rng: np.random.Generator) -> Changed:
    time = rng.uniform(0, 2e9) + rng.uniform(0.1, 1e4) * np.arange(len(series.values))
    return replace(series, time=time), list(range(series.shape[1]))


def _names(series: Series, rng: np.random.Generator) -> Changed:
    return replace(series, names=tuple(f"{n} µ{rng.integers(1000)}" for n in series.names)), list(range(series.shape[1]))


def _first_rows(series: Series, _: np.random.Generator) -> Changed:
    return series.rows(slice(DROPPED, None)), list(range(series.shape[1]))


def _twice(series: Series, _: np.random.Generator) -> Changed:
    values, mask = np.concatenate([series.values] * 2), np.concatenate([series.mask] * 2)
    return Series(values, mask, series.names, recording=np.repeat([0, 1], len(series.values))), list(range(series.shape[1]))


def _bystander(series: Series, rng: np.random.Generator) -> Changed:
    rows = len(series.values)
    values = np.column_stack([series.values, rng.standard_normal(rows)])
    mask = np.column_stack([series.mask, np.ones(rows, bool)])
    return Series(values, mask, (*series.names, "bystander")), list(range(series.shape[1]))


def _spread(series: Series) -> FloatArray:
    return np.asarray(np.nanstd(np.where(series.mask, series.values, np.nan), axis=0))


CHANGES: dict[str, Callable[[Series, np.random.Generator], Changed]] = {
    "units": _units,
    "columns": _columns,
    "clock": _clock,
    "names": _names,
    "first rows": _first_rows,
    "twice": _twice,
    "bystander": _bystander,
}
"""Other units, order of columns, time stamps or names; the first rows dropped; the same recording twice; a sensor more."""


def change(series: Series, what: str, seed: int) -> Changed:
    """A table in which nothing about the system has changed."""
    return CHANGES[what](series, np.random.default_rng([seed, 2]))


class Kept(NamedTuple):
    """Links of one table before and after a change, among the sensors that were there before; confidence before and after.

    Attributes:
        before, after: links (k, i, j).
        sure: confidence of every link before and after, 0 where nothing is left of it.
        drawn: links from or to a sensor that was added.
    """

    before: set[tuple[int, int, int]]
    after: set[tuple[int, int, int]]
    sure: dict[tuple[int, int, int], tuple[float, float]]
    drawn: int

    def lost(self, least: float) -> int:
        """Links with at least this confidence that are no links any more."""
        return sum(key not in self.after for key, (sure, _) in self.sure.items() if key in self.before and sure >= least)

    def gained(self, least: float) -> int:
        """Links with at least this confidence that were none."""
        return sum(key not in self.before for key, (_, sure) in self.sure.items() if key in self.after and sure >= least)

    def fell(self, least: float, by: float) -> int:
        """Links of at least this confidence that lost more than `by` of it."""
        return sum(sure >= least and now < sure - by for key, (sure, now) in self.sure.items() if key in self.before)

    def sure_before(self, least: float) -> int:
        """Links with at least this confidence."""
        return sum(sure >= least for key, (sure, _) in self.sure.items() if key in self.before)


def kept(before: CausalGraph, after: CausalGraph, place: list[int]) -> Kept:
    """What a change has done; `place` [N]: where each sensor stands now."""
    at = np.ix_(np.arange(len(after.score)), place, place)
    was, now = _keys(before.adjacency), _keys(after.adjacency[at])
    sure = {key: (float(before.confidence[key]), float(after.confidence[at][key])) for key in was | now}
    return Kept(was, now, sure, int(after.adjacency.sum()) - len(now))


def _keys(adjacency: BoolArray) -> set[tuple[int, int, int]]:
    return {(int(k), int(i), int(j)) for k, i, j in np.argwhere(adjacency)}


# --- systems without links ----------------------------------------------------------------------------------------------------------


def _tails(rng: np.random.Generator, rows: int, sensors: int) -> FloatArray:
    return np.asarray(lfilter([1.0], [1.0, -0.7], rng.standard_t(3, size=(100 + rows, sensors)), axis=0))[100:]


def _bursts(rng: np.random.Generator, rows: int, sensors: int) -> FloatArray:
    loud = np.exp(lfilter([0.3], [1.0, -0.95], rng.standard_normal((rows, sensors)), axis=0))
    return np.asarray(loud * rng.standard_normal((rows, sensors)))


OWN_NULLS = {"heavy tails": _tails, "bursts of noise": _bursts}
"""AR(1) of .7 with Student's t of 3 degrees; noise whose size wanders."""
NULLS = ("ar1", "random_walk", "seasonal", "trend", *OWN_NULLS)
NULL_SENSORS = 6


def null_table(system: str, seed: int, rows: int, missing: float) -> Series:
    """A table in which nothing drives anything."""
    if system in OWN_NULLS:
        x = OWN_NULLS[system](np.random.default_rng([seed, rows]), rows, NULL_SENSORS)
        made = Series(x, np.ones(x.shape, bool), tuple(f"x{j}" for j in range(NULL_SENSORS)))
    else:
        made = simulate(system, seed=seed, rows=rows, sensors=NULL_SENSORS).series
    return gapped(made, missing, np.random.default_rng([seed, 3]))


# --- systems from a prior -----------------------------------------------------------------------------------------------------------

FAMILIES = {"linear, Gaussian": 0.35, "linear, Laplace": 0.15, "linear, lognormal": 0.1, "nonlinear": 0.25, "none": 0.15}
"""Odds of each family."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One table from the prior.

    Attributes:
        family: a row of `FAMILIES`.
        missing: share of cells missing.
        made: the system with its truth.
        series: the readings.
    """

    family: str
    missing: float
    made: Simulated
    series: Series


def from_prior(seed: int) -> Drawn:
    """Family, size, density, delays, weights, memory, noise and gaps all drawn.

    T log-uniform in 200..1500, N in 4..9; .5 to 2 links a sensor, up to half of them within the step, the others 1 to 3 steps late;
    weights .1 to .6; half of the tables complete, the others with 5 to 40 % of their cells missing. A system of family `none` has no links.
    """
    rng = np.random.default_rng([seed, 4])
    family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    rows, sensors = int(np.exp(rng.uniform(np.log(200), np.log(1500)))), int(rng.integers(4, 10))
    per_sensor, instant, low = rng.uniform(0.5, 2.0), rng.uniform(0.0, 0.5), rng.uniform(0.1, 0.3)
    missing = float(rng.choice([0.0, rng.uniform(0.05, 0.4)]))
    plan = Plan(seed, rows, sensors)
    if family == "nonlinear":
        made = simulate("nonlinear", seed=seed, rows=rows, sensors=sensors)
    else:
        shape = Shape(per_sensor=per_sensor, instant=instant, weights=(low, 0.6), memory=(0.0, 0.8))
        made = _linear(plan, replace(shape, per_sensor=0.0) if family == "none" else shape, family.rpartition(" ")[2])
    return Drawn(family, missing, made, gapped(made.series, missing, np.random.default_rng([seed, 5])))


def _linear(plan: Plan, shape: Shape, noise: str) -> Simulated:
    systems = draw_systems(plan, draw_graph(plan, shape), shape)
    e = innovations(plan, 0, shape.max_lag)
    scale = e.std(axis=0)
    rng = plan.rng("tails")
    if noise == "Laplace":
        e = scale * rng.laplace(scale=np.sqrt(0.5), size=e.shape)
    elif noise == "lognormal":
        tilted = (rng.lognormal(sigma=0.6, size=e.shape) - np.exp(0.18)) / np.sqrt(np.expm1(0.36) * np.exp(0.36))
        e = scale * np.clip(tilted, -8.0, 8.0)
    clean = run(systems, e, plan.regime())
    return finish("from the prior", plan, raw_units(clean, plan), systems, clean)
