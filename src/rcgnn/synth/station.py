"""The built-in demo: a small process plant with 13 sensors and 13 links, in raw units from 0 to 2775."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rcgnn.errors import ConfigError
from rcgnn.series import FloatArray
from rcgnn.synth.equations import Equations, Term
from rcgnn.synth.simulated import Plan, Simulated, assemble

STATION_SEED = 1337
STATION_ROWS = 2000
MAX_LAG = 3
FULL_SCALE = 2775.0
"""ppb: the gas sensor `gas_voc` is calibrated so that its readings fill 0 .. 2775."""

SENSORS: dict[str, tuple[float, float, float]] = {
    # name: (centre and spread in sensor units, memory of the last value)
    "ambient_temp": (16.0, 2.5, 0.7),
    "pump_speed": (900.0, 110.0, 0.5),
    "gas_voc": (1200.0, 300.0, 0.4),
    "flow": (42.0, 5.0, 0.3),
    "humidity": (55.0, 6.0, 0.5),
    "reactor_temp": (78.0, 4.0, 0.6),
    "valve": (48.0, 7.0, 0.6),
    "vibration": (2.6, 0.35, 0.3),
    "heater_power": (12.0, 1.5, 0.6),
    "tank_level": (310.0, 28.0, 0.6),
    "gas_nox": (95.0, 13.0, 0.4),
    "feed_temp": (24.0, 2.0, 0.5),
    "pressure": (3.2, 0.4, 0.4),
}


def _linear(z: float) -> float:
    return z


def _saturating(z: float) -> float:
    return 1.2 * math.tanh(z)


def _evaporation(heat: float, surface: float) -> float:
    """Product of two quantities that are never negative: warmth times liquid, less its mean."""
    return 1.25 * ((1.0 + math.tanh(0.6 * heat)) * (1.0 + math.tanh(0.6 * surface)) - 1.0)


MECHANISMS: list[tuple[str, tuple[tuple[int, str], ...], Callable[..., float], float]] = [
    # effect, ((lag, cause), ...), function of the standardised causes, weight
    ("flow", ((0, "pump_speed"),), _linear, 0.55),
    ("flow", ((1, "valve"),), _linear, 0.50),
    ("tank_level", ((1, "flow"),), _linear, 0.50),
    ("vibration", ((0, "pump_speed"),), _linear, 0.60),
    ("pressure", ((1, "valve"),), _linear, -0.55),
    ("humidity", ((0, "ambient_temp"),), _linear, -0.50),
    ("feed_temp", ((2, "heater_power"),), _linear, 0.50),
    ("feed_temp", ((3, "ambient_temp"),), _linear, 0.45),
    ("reactor_temp", ((1, "feed_temp"),), _linear, 0.45),
    ("reactor_temp", ((2, "flow"),), _linear, -0.45),
    ("gas_voc", ((1, "reactor_temp"), (2, "tank_level")), _evaporation, 0.60),
    ("gas_nox", ((1, "heater_power"),), _saturating, 0.60),
]

STATION_CORRUPTION: dict[str, float] = {
    "missing": 0.10,
    "outliers": 0.003,
    "noise": 0.05,
    "drift@gas_nox": 1.5,
    "outage@humidity": 0.20,
    "stuck@vibration": 0.10,
}
"""What is wrong with the demo's readings: mild, and each fault of another kind."""


def station(plan: Plan) -> Simulated:
    """A process plant: 13 named sensors, 13 links (lags 0-3, three within the step), one product, one saturation.

    Raises:
        ConfigError: another number of sensors than 13.
    """
    names = tuple(SENSORS)
    if plan.sensors != len(names):
        raise ConfigError(f"simulate station: it always has {len(names)} sensors, got sensors={plan.sensors}; leave it out.")
    column = {name: i for i, name in enumerate(names)}
    terms = tuple(Term(column[j], tuple((k, column[i]) for k, i in causes), f, weight) for j, causes, f, weight in MECHANISMS)
    centre, spread, memory = np.array(list(SENSORS.values())).T
    instant = {term.effect for term in terms if term.sources[0][0] == 0}
    order = np.array([i for i in range(len(names)) if i not in instant] + sorted(instant))
    noise = np.sqrt(1.0 - memory**2) * plan.rng("noise scale").uniform(0.7, 1.0, len(names))
    system = Equations(terms, memory, noise, order, MAX_LAG)
    z, strength = system.run(plan)
    values = _calibrated(centre + spread * z, column["gas_voc"])
    return assemble("station", plan, values, system.truth(plan), strength=strength, names=names)


def _calibrated(values: FloatArray, gas: int) -> FloatArray:
    low, high = values[:, gas].min(), values[:, gas].max()
    values = values.copy()
    values[:, gas] = FULL_SCALE * (values[:, gas] - low) / (high - low)
    return values
