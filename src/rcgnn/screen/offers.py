"""What each sensor's model is offered under each basis, and what its lagged model is worth with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rcgnn.config import ScreenConfig
from rcgnn.prior import known_to
from rcgnn.screen.features import BASES, Features, Offer, Tables, linear_columns
from rcgnn.screen.known import hide
from rcgnn.screen.moments import Moments
from rcgnn.screen.search import Local, extended_bic, grow, start
from rcgnn.screen.width import MOST_SOURCES
from rcgnn.series import BoolArray, FloatArray

Tell = Callable[[int, int], None]
"""Told how many targets of how many are done."""
LINEAR_MUST_WIN_BY = 1 / 30
"""In BIC a row: a curve that is not offered loses its link, one offered in vain costs little, and the less the more rows there are."""


def nobody(_done: int, _total: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True, eq=False)
class Offered:
    """What one target is offered under one basis, its moments, and what its lagged model is worth."""

    basis: str
    offer: Offer
    features: Features
    lagged: Local
    value: float

    @property
    def worth_choosing(self) -> float:
        """The value, with the handicap of straight lines."""
        return self.value if self.basis == "linear" else self.value + LINEAR_MUST_WIN_BY * self.features.rows


def offered(
    tables: Tables, keep: BoolArray, bases: Sequence[str], config: ScreenConfig, tell: Tell = nobody
) -> tuple[Moments, list[list[Offered]]]:
    """The moments of a table, and for each target what it is offered under each basis that is tried.

    Args:
        tables: features of every draw.
        keep: [rows, N] rows that count for each target.
        bases: of each sensor; `auto` tries all of them.
        config: settings of the screen.
        tell: told of every target that is done.
    """
    plain = _Plain(tables, keep, Moments.of(tables), {})
    tried = [[(basis, _offer(basis, j, plain, config)) for basis in (BASES if name == "auto" else (name,))] for j, name in enumerate(bases)]
    moments = plain.moments.offering([offer for of_target in tried for _, offer in of_target])
    found = list[list[Offered]]()
    for j, of_target in enumerate(tried):
        found.append([])
        for basis, offer in of_target:
            own = moments.features(keep[:, j], offer) if offer.pairs else plain.features(j, basis)
            found[-1].append(_valued(basis, offer, hide(own, j, known_to(config)), j, tables, config))
        tell(j + 1, len(tried))
    return moments, found


@dataclass(frozen=True, eq=False)
class _Plain:
    """Moments without products; targets that were read in the same rows share them."""

    tables: Tables
    keep: BoolArray
    moments: Moments
    known: dict[tuple[bytes, str], Features]

    def offer(self, basis: str) -> Offer:
        return Offer(columns=linear_columns(self.tables)) if basis == "linear" and self.tables.width > 1 else Offer()

    def features(self, target: int, basis: str) -> Features:
        key = (np.packbits(self.keep[:, target]).tobytes(), basis)
        if key not in self.known:
            self.known[key] = self.moments.features(self.keep[:, target], self.offer(basis))
        return self.known[key]


def _offer(basis: str, target: int, plain: _Plain, config: ScreenConfig) -> Offer:
    if basis == "linear":
        return plain.offer(basis)
    features = hide(plain.features(target, basis), target, known_to(config))
    return Offer(_pairs(features, target, penalty(features, features.rows, config.gamma)))


def _valued(basis: str, offer: Offer, features: Features, target: int, tables: Tables, config: ScreenConfig) -> Offered:
    rows = float(max(features.rows, 2))
    price = penalty(features, rows, config.gamma)
    model = grow(start(features, target), features.lag > 0, rows=rows, penalty=price, most=config.max_features)
    worth = -rows * float(np.log(model.unexplained)) - _shared_price(tables, rows, config.gamma) * len(model.chosen)
    return Offered(basis, offer, features, model, worth - float(np.log(rows)) * len(model.forced))


def _shared_price(tables: Tables, rows: float, gamma: float) -> float:
    """One price of a feature for both bases, or the basis that offers more would also pay more for the same links."""
    return extended_bic(rows, tables.sensors * (tables.max_lag + 1), gamma)


def penalty(features: Features, rows: float, gamma: float, competing: int | None = None) -> FloatArray:
    """[P] the same price for every feature."""
    count = len(features.lag)
    return np.full(count, extended_bic(rows, competing or count, gamma))


def _pairs(base: Features, target: int, price: FloatArray) -> list[tuple[int, int]]:
    """Pairs of the target's most promising sources, the target itself among them."""
    model = start(base, target)
    lagged = base.lag > 0
    grown = grow(model, lagged, rows=float(max(base.rows, 2)), penalty=price, most=MOST_SOURCES)
    r2 = np.where(lagged, model.given.explained(), 0.0)
    strength = np.zeros(base.sensors)
    np.maximum.at(strength, base.owner[:, 0], r2)
    strength[target] = np.inf
    strength[base.owner[grown.chosen].ravel()] += 10.0
    best = np.sort(np.argsort(-strength, kind="stable")[:MOST_SOURCES])
    return [(int(a), int(b)) for a, b in combinations(best, 2)]
