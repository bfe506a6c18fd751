"""The figures of one health record by name, and the settings by name: what every writer is given."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from rcgnn.config import Config
from rcgnn.encode import dotted
from rcgnn.health import HealthRecord

NO_FIGURES = ("schema_version", "epoch", "seed", "diagnoses")
"""Fields of the record that are no course over the epochs."""
LONGEST = 80
"""Characters of one part of a name, which may be that of a sensor."""


def scalars(record: HealthRecord) -> dict[str, float]:
    """Every number of the record under the path of its field; what is absent, or no number, is left out.

    Names of sensors are cut, and what a file name could not hold becomes `_`; names that are then equal are numbered.

    Example:
        >>> from rcgnn.health import LossHealth
        >>> scalars(HealthRecord(epoch=1, step=9, lr=0.1, seed=1, loss=LossHealth(val=2.0)))["loss/val"]
        2.0
    """
    found: dict[str, float] = {}
    for path, value in _numbers((), record.model_dump(exclude=set(NO_FIGURES))):
        name, again = "/".join(_clean(part) for part in path), 2
        while name in found:
            name, again = f"{name.rpartition('~')[0] if again > 2 else name}~{again}", again + 1
        found[name] = value
    return found


def settings(config: Config) -> dict[str, str]:
    """Every setting as text under its dotted name.

    Example:
        >>> settings(Config())["data.max_lag"]
        '3'
    """
    return {name: str(value) for name, value in dotted(config.model_dump(mode="json")).items()}


def _numbers(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers((*path, str(name)), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _numbers((*path, str(number)), inner)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield path, float(value)


def _clean(part: str) -> str:
    """A part of a name that any tool, and any file system, takes.

    Example:
        >>> _clean("pump 3 [°C]"), _clean("../x"), _clean("")
        ('pump 3 __C_', '__x', '_')
    """
    return re.sub(r"^\.+|[^A-Za-z0-9_. -]", "_", part)[:LONGEST].strip() or "_"
