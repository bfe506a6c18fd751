"""`SEMS`: every system there is. A newcomer is one function of a `Plan` and one row here."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from rcgnn.errors import ConfigError
from rcgnn.synth.lorenz import lorenz96
from rcgnn.synth.null import ar1, random_walk, seasonal, trend
from rcgnn.synth.sem import linear, nonlinear
from rcgnn.synth.simulated import Plan, Simulated
from rcgnn.synth.station import STATION_CORRUPTION, STATION_ROWS, station
from rcgnn.synth.traits import coarse, feedback, hidden, hub, long_lags, seasonal_links, skewed, subsampled
from rcgnn.synth.traits_nonlinear import bursty, products

SEMS: dict[str, Callable[[Plan], Simulated]] = {
    "linear": linear,
    "nonlinear": nonlinear,
    "lorenz96": lorenz96,
    "station": station,
    "ar1": ar1,
    "random_walk": random_walk,
    "seasonal": seasonal,
    "trend": trend,
    "hidden": hidden,
    "bursty": bursty,
    "subsampled": subsampled,
    "feedback": feedback,
    "long_lags": long_lags,
    "skewed": skewed,
    "products": products,
    "hub": hub,
    "coarse": coarse,
    "seasonal_links": seasonal_links,
}
NULL_SYSTEMS = ("ar1", "random_walk", "seasonal", "trend")
"""Systems without links."""
USUAL_ROWS = 1500
ROWS = {"station": STATION_ROWS}
"""Rows of a recording where the user says nothing and `USUAL_ROWS` is not the habit."""
DEFAULT_CORRUPTION: dict[str, dict[str, float]] = {"station": STATION_CORRUPTION}
"""What `rcgnn simulate` does to the readings where the user says nothing; other systems stay clean."""


def usual_rows(system: str) -> int:
    """Rows of a recording where the user says nothing.

    Example:
        >>> usual_rows("station"), usual_rows("linear")
        (2000, 1500)
    """
    return ROWS.get(system, USUAL_ROWS)


def simulate(system: str, *, seed: int, rows: int | None = None, sensors: int = 13, regimes: int = 1, recordings: int = 1) -> Simulated:
    """Readings of a system whose causal graph is known.

    Args:
        system: a row of `SEMS`.
        seed: start of every random number; the same seed gives the same graph whatever the number of rows.
        rows: rows of each recording; 1500 (station: 2000) when empty.
        sensors: N; the station always has 13.
        regimes: operating modes, one contiguous stretch each; some links vanish or change sign between them.
        recordings: independent runs of the same system, one below the other.

    Raises:
        ConfigError: unknown system, or a count that is too small.

    Example:
        >>> s = simulate("linear", seed=1, rows=200)
        >>> s.series.shape, int(s.truth.sum())
        ((200, 13), 20)
    """
    if system not in SEMS:
        near = difflib.get_close_matches(system, SEMS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(SEMS)}."
        raise ConfigError(f"simulate: unknown system {system!r}. {hint}")
    plan = Plan(seed, usual_rows(system) if rows is None else rows, sensors, regimes, recordings)
    return SEMS[system](plan)
