"""How wide a table the non-linear screen can take: every sensor has a matrix of its own there, every curve and product in it."""

from __future__ import annotations

from math import comb

from rcgnn.data.findings import finding
from rcgnn.health import Finding
from rcgnn.screen.features import BASES

MOST_BYTES = 4e9
"""Of all matrices together; beside them stand the tables, which grow with the rows."""
MOST_SOURCES = 12
"""Products are formed among this many best sources of a sensor."""


def room(sensors: int, max_lag: int) -> int:
    """Bytes of the moments of the non-linear basis: N P^2 numbers, P = 3 N (K + 1) + 66 K.

    Example:
        >>> round(room(13, 3) / 1e6), round(room(300, 3) / 1e9)
        (13, 35)
    """
    features = BASES["nonlinear"] * sensors * (max_lag + 1) + products(sensors) * max_lag
    return 8 * sensors * features**2


def products(sensors: int) -> int:
    """Pairs of sensors whose products one sensor is offered, at every lag."""
    return comb(min(sensors, MOST_SOURCES), 2)


def fitting(basis: str, sensors: int, max_lag: int) -> str:
    """The basis itself, but straight lines alone where evidence may choose and curves would take more than `MOST_BYTES`."""
    return "linear" if basis == "auto" and room(sensors, max_lag) > MOST_BYTES else basis


def about(basis: str, sensors: int, max_lag: int) -> list[Finding]:
    """What `fitting` changed."""
    if fitting(basis, sensors, max_lag) == basis:
        return []
    size = room(sensors, max_lag)
    text = (
        f"{sensors} sensors and delays up to {max_lag}: curves would need {size / 1e9:.0f} GB, so links are sought as straight lines.",
        "Leave out sensors or delays that cannot matter, or have the curves all the same by screen.basis=nonlinear.",
    )
    return [finding("wide", "warn", None, text, bytes=size)]
