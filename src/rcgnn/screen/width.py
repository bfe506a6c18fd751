"""How wide a table the non-linear screen takes: every sensor is offered products of its own there, each summed with every curve."""

from __future__ import annotations

from math import comb

from rcgnn.data.findings import finding
from rcgnn.health import Finding
from rcgnn.screen.features import BASES

MOST_CURVES = 1_700
"""Values and curves of all sensors at all delays; the time grows with the square of their number."""
MOST_SOURCES = 12
"""Products are formed among this many best sources of a sensor."""


def curves(sensors: int, max_lag: int) -> int:
    """Features of the non-linear basis: 3 N (K + 1).

    Example:
        >>> curves(13, 3), curves(141, 3), curves(142, 3) > MOST_CURVES
        (156, 1692, True)
    """
    return BASES["nonlinear"] * sensors * (max_lag + 1)


def products(sensors: int) -> int:
    """Pairs of sensors whose products one sensor is offered, at every lag."""
    return comb(min(sensors, MOST_SOURCES), 2)


def fitting(basis: str, sensors: int, max_lag: int) -> str:
    """The basis itself, but straight lines alone where evidence may choose and there would be more than `MOST_CURVES`."""
    return "linear" if basis == "auto" and curves(sensors, max_lag) > MOST_CURVES else basis


def about(basis: str, sensors: int, max_lag: int) -> list[Finding]:
    """What `fitting` changed."""
    if fitting(basis, sensors, max_lag) == basis:
        return []
    count = curves(sensors, max_lag)
    text = (
        f"{sensors} sensors and delays up to {max_lag}: {count:,} values and curves are too many, so links are sought as straight lines.",
        "Leave out sensors or delays that cannot matter, or have the curves all the same by screen.basis=nonlinear.",
    )
    return [finding("wide", "warn", None, text, features=count)]
