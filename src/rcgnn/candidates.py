"""`Candidates`: the links that the network gets, as plain arrays: another process can be handed them, and reading them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np

from rcgnn.screen.structural import Screened
from rcgnn.series import BoolArray, IntArray

MOST_RUNNERS_UP = 3
"""Runners-up per sensor at most, and never more than were chosen, plus one a sensor."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What the network is told of the screen's answer.

    Attributes:
        links: [K+1, N, N] links that it gets.
        order: [N] sensors so that every cause within the step comes before its effects.
        screened: pairs that the search chose.
    """

    links: BoolArray
    order: IntArray
    screened: int

    @classmethod
    def of(cls, screened: Screened) -> Candidates:
        """Those of a screen's answer."""
        order = lag0_order(screened)
        return cls(choose(screened, order), order, int(screened.evidence.chosen.any(axis=0).sum()))


def choose(screened: Screened, order: IntArray) -> BoolArray:
    """[K+1, N, N] links the network gets: the chosen ones and the runners-up, as many again up to `MOST_RUNNERS_UP` a sensor.

    Within the step only from earlier to later in `order` [N], see `lag0_order`.
    """
    chosen = screened.evidence.chosen
    sensors = chosen.shape[1]
    most = int(chosen.sum()) + min(int(chosen.sum()), MOST_RUNNERS_UP * sensors) + sensors
    profile = np.where(chosen, np.inf, screened.evidence.profile)
    profile[:, np.arange(sensors), np.arange(sensors)] = -np.inf
    place = np.argsort(order)
    profile[0][place[:, None] >= place[None, :]] = -np.inf
    if screened.prior is not None:
        profile[~screened.prior.permitted] = -np.inf
    best = np.argsort(-profile, axis=None, kind="stable")[:most]
    candidates = np.zeros(chosen.shape, bool)
    candidates.flat[best] = np.isfinite(profile.flat[best]) | chosen.flat[best]
    return candidates


def lag0_order(screened: Screened) -> IntArray:
    """[N] sensors so that every lag-0 cause comes before its effects."""
    sorter = TopologicalSorter({j: sorted(parents) for j, parents in enumerate(screened.ordered.parents)})
    return np.array(list(sorter.static_order()), np.int64)
