"""`CORRUPTIONS`: the ways in which readings go wrong, in the order in which physics applies them, and `corrupt`.

What happens to the signal comes before the sensor, the sensor before the wire: interference, gain, bias, drift, noise,
outliers, rounding, freezing, then missing cells. `name@sensor` hits one sensor only.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rcgnn.errors import ConfigError
from rcgnn.series import BoolArray, Series
from rcgnn.synth import faults
from rcgnn.synth.faults import Readings
from rcgnn.synth.simulated import stream

Fault = Callable[[Readings, float, np.random.Generator], Readings]


@dataclass(frozen=True)
class Corruption:
    """One row of the table.

    Attributes:
        function: the fault; None for a mixture of others.
        doc: one sentence for help texts.
        unit: what the severity counts.
        default: severity where the user gives a name alone.
        low: smallest severity allowed.
        high: largest severity allowed.
        parts: of a mixture, the severity of each part at severity 1.
    """

    function: Fault | None
    doc: str
    unit: str
    default: float
    low: float
    high: float
    parts: Mapping[str, float] = field(default_factory=dict)


SHARE, SD = "share of cells", "sensor sd"
COMPOUND = {"drift": 1.0, "bias": 0.6, "noise": 0.25, "outliers": 0.005, "missing": 0.15, "outage": 0.10}

CORRUPTIONS: dict[str, Corruption] = {
    "common_mode": Corruption(faults.common_mode, "one interference picked up by all sensors", SD, 0.5, 0.0, 5.0),
    "gain": Corruption(faults.gain, "the sensitivity wanders or jumps", "sd of the log gain", 0.3, 0.0, 2.0),
    "bias": Corruption(faults.bias, "the zero point jumps", SD, 1.0, 0.0, 20.0),
    "drift": Corruption(faults.drift, "the zero point wanders slowly", SD, 1.0, 0.0, 20.0),
    "noise": Corruption(faults.noise, "white measurement noise", SD, 0.5, 0.0, 10.0),
    "outliers": Corruption(faults.outliers, "single cells off by 10 sd", SHARE, 0.01, 0.0, 0.2),
    "bursts": Corruption(faults.bursts, "runs of about five cells off by 10 sd", SHARE, 0.01, 0.0, 0.2),
    "quantise": Corruption(faults.quantise, "readings are rounded", SD, 0.5, 0.0, 5.0),
    "stuck": Corruption(faults.stuck, "readings freeze for about 20 rows at a time", SHARE, 0.2, 0.0, 0.9),
    "mar": Corruption(faults.mar, "cells vanish when another, complete sensor is high", SHARE, 0.3, 0.0, 0.6),
    "mnar": Corruption(faults.mnar, "high values vanish", SHARE, 0.3, 0.0, 0.95),
    "mnar_parent": Corruption(faults.mnar_parent, "cells vanish when a cause is high", SHARE, 0.3, 0.0, 0.95),
    "outage": Corruption(faults.outage, "sensors fall silent for about 50 rows at a time", SHARE, 0.3, 0.0, 0.95),
    "missing": Corruption(faults.missing, "cells vanish completely at random", SHARE, 0.3, 0.0, 0.99),
    "compound": Corruption(None, "drift, bias, noise, outliers, missing cells and outages together", "times", 1.0, 0.0, 3.0, COMPOUND),
}
"""Row order = physical order of application."""

CELLS: dict[str, dict[str, float]] = {
    "clean": {},
    "mcar40": {"missing": 0.4},
    "outage30": {"outage": 0.3},
    "mnar30": {"mnar": 0.3},
    "noise50": {"noise": 0.5},
    "drift": {"drift": 1.0},
    "outliers": {"outliers": 0.01},
    "stuck20": {"stuck": 0.2},
    "compound": {"compound": 1.0},
}
"""The columns of the benchmark."""


def corrupt(series: Series, spec: Mapping[str, float], *, seed: int, truth: BoolArray | None = None) -> Series:
    """The same readings after the faults in `spec`, in sensor units; `series` is left as it was.

    Args:
        series: readings, clean or not; sd and mean of each sensor are measured on them.
        spec: severity by name, or by `name@sensor` for one sensor only; the order does not matter.
        seed: every fault has a stream of its own, so adding one does not change the others.
        truth: [K+1, N, N] true links; only `mnar_parent` looks at them.

    Raises:
        ConfigError: unknown fault or sensor, severity out of range, `mnar_parent` without truth, negative seed.

    Example:
        >>> from rcgnn.synth import simulate
        >>> clean = simulate("linear", seed=0, rows=500).series
        >>> worse = corrupt(clean, {"missing": 0.3, "drift": 1.0}, seed=0)
        >>> abs(float(worse.mask.mean()) - 0.7) < 0.02
        True
    """
    if seed < 0:
        raise ConfigError(f"corrupt: seed must be at least 0, got {seed}.")
    observed = np.where(series.mask, series.values, 0.0)
    count = np.maximum(series.mask.sum(axis=0), 1)
    centre = observed.sum(axis=0) / count
    sd = np.sqrt((np.where(series.mask, series.values - centre, 0.0) ** 2).sum(axis=0) / count)
    readings = Readings(np.array(series.values), np.array(series.mask), centre, sd, truth)
    places = list(CORRUPTIONS)
    parts = _expand(check_corruption(spec))
    for key, severity in sorted(parts.items(), key=lambda item: (places.index(_split(item[0])[0]), item[0])):
        name, sensor = _split(key)
        if sensor is not None and sensor not in series.names:
            raise ConfigError(f"corrupt: {key}: no sensor {sensor!r}.{_near(sensor, series.names)}")
        function = CORRUPTIONS[name].function
        if function is None or severity == 0:
            continue
        after = function(readings, severity, stream(seed, f"corrupt {key}"))
        readings = after if sensor is None else _only(series.names.index(sensor), readings, after)
    return series.with_values(readings.values, readings.mask)


def check_corruption(spec: Mapping[str, float]) -> dict[str, float]:
    """`spec` when every name is known and every severity is in range.

    Raises:
        ConfigError: it is not.
    """
    for key, severity in spec.items():
        row = _row(key)
        if not (math.isfinite(severity) and row.low <= severity <= row.high):
            raise ConfigError(f"corrupt: {key} is {severity}; expected {row.low:g} to {row.high:g} ({row.unit}).")
    return dict(spec)


def parse_corruption(text: str) -> dict[str, float]:
    """`"drift=1,missing=0.3"` as a spec; a name alone takes its default severity; a cell of `CELLS` may stand alone.

    Raises:
        ConfigError: unknown name (with the nearest known one), or not a number, or out of range.

    Example:
        >>> parse_corruption("drift=2, missing=0.3, stuck")
        {'drift': 2.0, 'missing': 0.3, 'stuck': 0.2}
        >>> parse_corruption("mcar40")
        {'missing': 0.4}
    """
    if text.strip() in CELLS and text.strip() not in CORRUPTIONS:
        return dict(CELLS[text.strip()])
    spec: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, number = (piece.strip() for piece in part.partition("="))
        row = _row(key)
        if key in spec:
            raise ConfigError(f"corrupt: {key} is given twice; give it once.")
        try:
            spec[key] = float(number) if equals else row.default
        except ValueError:
            raise ConfigError(f"corrupt: {part!r}: expected name=number, for example drift=1, got {number!r}.") from None
    return check_corruption(spec)


def _split(key: str) -> tuple[str, str | None]:
    name, at, sensor = key.partition("@")
    return name, sensor if at else None


def _row(key: str) -> Corruption:
    name, _ = _split(key)
    if name not in CORRUPTIONS:
        raise ConfigError(f"corrupt: unknown corruption {name!r}.{_near(name, CORRUPTIONS)}")
    return CORRUPTIONS[name]


def _expand(spec: Mapping[str, float]) -> dict[str, float]:
    """Mixtures replaced by their parts; a part the user names by itself keeps the user's severity."""
    parts: dict[str, float] = {}
    for key, severity in spec.items():
        name, sensor = _split(key)
        for part, size in _row(name).parts.items():
            inside = min(size * severity, CORRUPTIONS[part].high)
            parts[part if sensor is None else f"{part}@{sensor}"] = inside
    return {**parts, **{key: value for key, value in spec.items() if not _row(key).parts}}


def _only(j: int, before: Readings, after: Readings) -> Readings:
    values, mask = before.values.copy(), before.mask.copy()
    values[:, j], mask[:, j] = after.values[:, j], after.mask[:, j]
    return replace(before, values=values, mask=mask)


def _near(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
