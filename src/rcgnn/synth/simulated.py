"""`Simulated`: readings whose causal graph is known, and `Plan`: what a system is asked for."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcgnn.errors import ConfigError
from rcgnn.series import BoolArray, FloatArray, IntArray, Series, default_names

DECADES = 3.0
"""Sensor units: every sensor is multiplied by 10**U(-DECADES, DECADES)."""
OFFSET = 5.0
"""Sensor zero points: shifted by U(-OFFSET, OFFSET) sensor units."""
FEWEST_ROWS = 5


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers that belong to one seed and one purpose, unrelated to those of any other purpose.

    Example:
        >>> bool(stream(1, "graph").random() == stream(1, "noise").random())
        False
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


@dataclass(frozen=True)
class Plan:
    """How much to simulate, and from which seed.

    Attributes:
        seed: start of every random number.
        rows: T, rows of each recording.
        sensors: N.
        regimes: R operating modes; every recording runs through all of them, one contiguous stretch each.
        recordings: independent runs of the same system, one after the other.

    Raises:
        ConfigError: a count is too small.

    Example:
        >>> Plan(seed=0, rows=4, regimes=2, recordings=2).regime()
        Traceback (most recent call last):
        rcgnn.errors.ConfigError: simulate: rows must be at least 5, got 4.
    """

    seed: int
    rows: int = 1500
    sensors: int = 13
    regimes: int = 1
    recordings: int = 1

    def __post_init__(self) -> None:
        least = {"seed": 0, "rows": max(FEWEST_ROWS, self.regimes), "sensors": 2, "regimes": 1, "recordings": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"simulate: {name} must be at least {low}, got {getattr(self, name)}.")

    def rng(self, purpose: str, index: int = 0) -> np.random.Generator:
        """A stream of its own for each purpose, so that asking for more rows does not change the graph."""
        return stream(self.seed, f"simulate {purpose} {index}")

    def regime(self) -> IntArray:
        """[T] regime of each row of one recording: R contiguous stretches of equal length."""
        return np.arange(self.rows, dtype=np.int64) * self.regimes // self.rows


@dataclass(frozen=True, eq=False)
class Simulated:
    """Readings and the graph that made them.

    Attributes:
        name: the system.
        series: clean readings in sensor units, nothing missing.
        truth: [K+1, N, N] True where i at t-k drives j at t, in any regime; no self links.
        strength: [K+1, N, N] effect in sd of j for one sd of i where the system is linear; the share of j's sd that the
            link moves where it is not; 0 where there is no link.
        truth_by_regime: [R, K+1, N, N] the links of each regime.
    """

    name: str
    series: Series
    truth: BoolArray
    strength: FloatArray
    truth_by_regime: NDArray[np.bool_]

    @property
    def max_lag(self) -> int:
        """K: longest true delay the arrays can hold."""
        return self.truth.shape[0] - 1

    def links(self) -> list[tuple[str, str, int]]:
        """Every true link as (cause, effect, lag)."""
        return [(self.names[i], self.names[j], int(k)) for k, i, j in np.argwhere(self.truth)]

    @property
    def names(self) -> tuple[str, ...]:
        """Sensor names."""
        return self.series.names


def raw_units(clean: FloatArray, plan: Plan) -> FloatArray:
    """Every sensor in units of its own: `(x + offset) 10**u`, u ~ U(-3, 3); the graph must not depend on it."""
    rng = plan.rng("units")
    scale = 10.0 ** rng.uniform(-DECADES, DECADES, clean.shape[1])
    return (clean + rng.uniform(-OFFSET, OFFSET, clean.shape[1])) * scale


def assemble(
    name: str,
    plan: Plan,
    values: FloatArray,
    truth_by_regime: NDArray[np.bool_],
    *,
    strength: FloatArray | None = None,
    names: tuple[str, ...] | None = None,
) -> Simulated:
    """A `Simulated` from the values of all recordings, one below the other, and the links of each regime."""
    several = plan.regimes if plan.regimes > 1 else 1
    series = Series(
        values,
        np.ones(values.shape, bool),
        names or default_names(values.shape[1]),
        regime=np.tile(plan.regime(), plan.recordings),
        recording=np.repeat(np.arange(plan.recordings), plan.rows),
        regime_names=tuple(str(r) for r in range(several)),
        source=f"simulated {name}",
    )
    truth = np.asarray(truth_by_regime.any(axis=0))
    effect = truth.astype(np.float64) if strength is None else np.where(truth, strength, 0.0)
    return Simulated(name, series, truth, effect, truth_by_regime)
