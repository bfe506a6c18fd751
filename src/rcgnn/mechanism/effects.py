"""Strength of every link, with its interval, from the equations into the graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from rcgnn.graph import CausalGraph, Effect, Key
from rcgnn.mechanism.equations import Mechanism


def described(graph: CausalGraph, mechanism: Mechanism) -> CausalGraph:
    """The same graph with the refitted strengths.

        strength = b s_i / s_j,     in units = b u_j / u_i

    with b the coefficient of `mechanism.refit`, s the standard deviation of the signal and u the sensor units of one z. Where the
    response is curved, b is the linear projection: the slope of the best straight line given the other parents. For a normally
    distributed cause this is the average slope (Stein 1981, lemma 1); the size of the movement is kept as `Effect.swing`.

    Args:
        graph: links decided, `strength` from the screen.
        mechanism: its equations.

    Returns:
        A graph with `strength` of links and own memory from the equations, and with `effects`. A link into a sensor with too
        few rows for an interval keeps its strength and has no effect; so does one whose slope in units is beyond any number.
    """
    place = [graph.names.index(name) for name in mechanism.sensors.names]
    spread, unit = mechanism.sensors.spread, mechanism.sensors.unit
    strength, effects = np.array(graph.strength), dict[Key, Effect]()
    half = margins(mechanism)
    for p, (k, i, j) in enumerate(mechanism.terms.tolist()):
        key = (k, place[i], place[j])
        if mechanism.degrees[j] == 0 or not spread[j] > 0:
            continue
        b, margin = float(mechanism.coefficient[p]), float(half[p])
        ratio = float(spread[i] / spread[j])
        slope = b + margin * np.array([0.0, -1.0, 1.0])
        with np.errstate(over="ignore", invalid="ignore"):
            in_units = slope * (unit[j] / unit[i])
        if i != j and np.isfinite(in_units).all():
            middle, low, high = in_units.tolist()
            effects[key] = Effect((b - margin) * ratio, (b + margin) * ratio, middle, low, high, abs(float(graph.strength[key])))
        strength[key] = b * ratio
    return replace(graph, strength=strength, effects=effects)


def margins(mechanism: Mechanism) -> np.ndarray:
    """[P] half the width of the 95 % interval of each coefficient: t_{.975, B-1} sd(b*); 0 where there are too few rows for one."""
    degrees = mechanism.degrees[mechanism.terms[:, 2]]
    factor = np.where(degrees > 0, stdtrit(np.maximum(degrees, 1), 0.975), 0.0)
    return np.asarray(factor * mechanism.resampled.std(axis=0, ddof=1))
