"""Spikes in a sequence of gradient norms, by the rule of the guard (`train/guard.py`), for logs of a training without one."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from statistics import median

WINDOW, ARMED_AFTER, SPIKE_MADS, MAD_FLOOR, LEVEL_SHIFT = 128, 8, 6.0, 0.25, 8
"""The guard's own numbers; a test holds the two together."""
TINY_NORM = 1e-30


def spikes(norms: Sequence[float]) -> list[int]:
    """Positions of norms whose logarithm lies above median + 6 MAD of up to 128 ordinary ones before them.

    Armed after 8; MAD at least .25. A spike does not enter the statistics; the eighth in a row is a new level and is ordinary.

    Example:
        >>> spikes([1.0] * 9 + [100.0, 1.0])
        [9]
    """
    found: list[int] = []
    recent: deque[float] = deque()
    ordered: list[float] = []
    in_a_row = 0
    for position, norm in enumerate(norms):
        value = math.log(max(norm, TINY_NORM))
        if len(ordered) >= ARMED_AFTER and _is_spike(value, ordered):
            in_a_row += 1
            if in_a_row < LEVEL_SHIFT:
                found.append(position)
                continue
            recent.clear()
            ordered.clear()
        in_a_row = 0
        recent.append(value)
        insort(ordered, value)
        if len(recent) > WINDOW:
            ordered.pop(bisect_left(ordered, recent.popleft()))
    return found


def _is_spike(value: float, ordered: Sequence[float]) -> bool:
    """The spread is only computed where the floor alone does not settle it."""
    half = len(ordered) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    if value <= middle + SPIKE_MADS * MAD_FLOOR:
        return False
    return value > middle + SPIKE_MADS * max(median(abs(one - middle) for one in ordered), MAD_FLOOR)
