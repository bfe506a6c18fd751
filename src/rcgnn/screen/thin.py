"""How long a table the screen takes whole: of a longer one it sees pieces spread over it, as many rows as bounded work allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rcgnn.data.findings import finding
from rcgnn.health import Finding
from rcgnn.screen.features import BASES, Sample
from rcgnn.screen.width import products
from rcgnn.series import beside, taken

MOST_OPERATIONS = 1e12
"""Of the sums behind one screen: a minute or less on one core."""
PIECE = 1000
"""Rows of a piece; the longest lag is lost at the beginning of each."""


def operations(sensors: int, max_lag: int, bases: Sequence[str]) -> float:
    """Operations that one row of one draw costs the sums behind the moments.

        P^2 for basis features among themselves, 2 P q + q^2 more for each sensor that is offered q products

    Example:
        >>> operations(10, 3, ["linear"] * 10), operations(10, 3, ["auto"] * 10)
        (1600.0, 520650.0)
    """
    straight = set(bases) == {"linear"}
    plain = BASES["linear" if straight else "nonlinear"] * sensors * (max_lag + 1)
    offered = 0 if straight else products(sensors) * max_lag
    return float(plain**2 + sum(basis != "linear" for basis in bases) * offered * (2 * plain + offered))


def thinned(sample: Sample, bases: Sequence[str]) -> Sample:
    """The sample itself, or of a table that would cost more than `MOST_OPERATIONS` pieces spread evenly over its segments.

    Args:
        sample: the whole table.
        bases: what each sensor is offered.
    """
    rows, sensors = sample.keep.shape
    most = int(MOST_OPERATIONS / operations(sensors, sample.max_lag, bases) / len(sample.signal))
    if rows <= most:
        return sample
    pieces = [slice(a, min(a + PIECE, s.stop)) for s in sample.segments for a in range(s.start, s.stop, PIECE)]
    pieces = [piece for piece in pieces if piece.stop - piece.start > sample.max_lag]  # others hold no row with a whole past
    count = int(most * len(pieces) / max(sum(piece.stop - piece.start for piece in pieces), 1))
    picked = [pieces[i] for i in np.unique(np.linspace(0, len(pieces) - 1, min(max(count, 2), len(pieces))).round().astype(int))]
    if not picked:
        return sample
    stops = np.cumsum([piece.stop - piece.start for piece in picked]).tolist()
    at = np.concatenate([np.arange(piece.start, piece.stop) for piece in picked])
    segments = [slice(a, b) for a, b in zip([0, *stops], stops, strict=False)]
    signal = beside([taken(draw, at) for draw in sample.signal])
    return replace(sample, signal=signal, keep=taken(sample.keep, at), segments=segments, rows=at)


def about(sample: Sample, rows: int) -> list[Finding]:
    """What `thinned` left out of a table of so many rows."""
    if sample.rows is None:
        return []
    text = (
        f"links are sought in {len(sample.rows):,} of {rows:,} rows, {PIECE:,} at a time and spread over the table; effects use all rows.",
        "Very weak links may be missed. screen.basis=linear takes many more rows; so do fewer sensors or shorter delays.",
    )
    return [finding("pieces", "info", None, text, rows=len(sample.rows), of=rows)]
