"""What prior knowledge does to the features of a sensor: what may not drive it looks constant, what must drive it is free.

A feature that may not enter has no moments with anything in the model of this target, as if it never changed. No search can
then gain by it, so nothing else in the screen has to know what is forbidden. A required link puts its value at one lag into
the model at no price; like the sensor's own past it never leaves, and explains away what others only say in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rcgnn.prior import Prior, Required
from rcgnn.screen.features import Features
from rcgnn.screen.gram import Masked
from rcgnn.screen.search import gains, grow, removal_gains, start
from rcgnn.series import BoolArray, FloatArray

Picks = tuple[tuple[int, int, int], ...]
"""The lag at which each required link enters, (k, i, j), in the order of `Prior.required`."""


def hide(features: Features, target: int, prior: Prior | None) -> Features:
    """The features as the model of `target` may see them; the same object where nothing is forbidden."""
    if prior is None:
        return features
    return _seen(features, prior.features(features.lag, features.owner, target))


def _seen(features: Features, may: BoolArray) -> Features:
    if may.all():
        return features
    return replace(features, gram=Masked(features.gram, may), whole=features.gram if features.whole is None else features.whole)


def insist(own: Sequence[Features], picks: Picks) -> list[Features]:
    """The features of every target, with those of the required links marked; within one step the way back is hidden."""
    marked = list(own)
    for j in {j for _, _, j in picks}:
        mine = [_value(own[j], k, i) for k, i, effect in picks if effect == j]
        marked[j] = replace(own[j], required=np.array(sorted(set(mine)), np.int64))
    for i, j in ((i, j) for k, i, j in picks if k == 0):
        marked[i] = _seen(marked[i], (marked[i].lag > 0) | (marked[i].owner != j).all(axis=1))
    return marked


def pick(own: Sequence[Features], rows: FloatArray, prior: Prior | None, penalties: Sequence[FloatArray]) -> Picks:
    """The lag at which each required link enters: the one with most evidence, and never a circle within one step.

    Links with fewer lags to choose from come first; of several statements about one link the wider is met by the narrower.
    """
    if prior is None or not prior.required:
        return ()
    chosen: dict[Required, tuple[int, int, int]] = {}
    worth: dict[int, FloatArray] = {}
    for one in sorted(prior.required, key=lambda r: len(r.lags)):
        i, j = one.cause, one.effect
        met = [key for key in chosen.values() if key[1:] == (i, j) and key[0] in one.lags]
        if j not in worth:
            worth[j] = _worth(own[j], j, rows[j], penalties[j])
        ranked = sorted(one.lags, key=lambda k: -worth[j][_value(own[j], k, i)])
        circle = _leads(j, i, {(a, b) for k, a, b in chosen.values() if k == 0})
        free = [k for k in ranked if k > 0 or not circle]
        chosen[one] = met[0] if met else (free[0], i, j)
    return tuple(chosen[one] for one in prior.required)


def _worth(features: Features, target: int, rows: float, penalty: FloatArray) -> FloatArray:
    """[P] what each feature says beside the best lagged model: the loss without it where it is in, else the gain with it."""
    model = grow(start(features, target), features.lag > 0, rows=rows, penalty=penalty, most=len(features.value))
    worth = gains(model.given, model.freedom(rows))
    worth[model.given.inside] = removal_gains(model.given, model.freedom(rows))
    worth[model.forced] = 0.0
    return worth


def _value(features: Features, lag: int, sensor: int) -> int:
    """Index of the feature "value of the sensor at this lag"."""
    return int(np.flatnonzero((features.lag == lag) & (features.owner == sensor).all(axis=1))[0])


def _leads(start_: int, end: int, links: set[tuple[int, int]]) -> bool:
    """Is there a path of links from start to end?"""
    stack, seen = [start_], {start_}
    while stack:
        here = stack.pop()
        if here == end:
            return True
        stack += [b for a, b in links if a == here and b not in seen]
        seen |= {b for a, b in links if a == here}
    return False
