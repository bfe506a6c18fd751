"""Which links act within one step, and which way: greedy search over orders of the instantaneous graph.

Moves are add, delete, reverse (Chickering 2002); the score is the sum of the sensors' penalised likelihoods; only the
lag-0 part must be acyclic. A lagged cause of i that is not a cause of j tells i -> j from j -> i even when all noise is
Gaussian; noise that is not tells by the shape of the residuals (`shape`); where nothing tells, both directions score alike and
`reversal` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rcgnn.screen.features import Features
from rcgnn.screen.search import Local, gains, grow, start
from rcgnn.series import FloatArray

CERTAIN = 1e3
"""Cost of turning a link that prior knowledge has directed."""
TIE = 1e-6
"""Gains that differ by less are the same: two moves may lead to one model on two ways, and rounding must not choose between them."""

Parents = tuple[frozenset[int], ...]
Known = dict[tuple[Any, ...], float]


@dataclass(frozen=True, eq=False)
class Ordered:
    """The result: parents at lag 0, the model of every sensor, and what each reversal would cost.

    Attributes:
        parents: for each sensor the sensors that may act on it within the step.
        locals: the model of each sensor.
        reversal: [N, N] score lost when lag-0 link i -> j is turned round; 0 where there is none.
        turned: (i, j) -> the models of i and of j with that link turned round; not of links that are required.
        shaped: the shape of the residuals has had a say.
    """

    parents: Parents
    locals: tuple[Local, ...]
    reversal: FloatArray
    turned: Mapping[tuple[int, int], tuple[Local, Local]] = field(default_factory=dict)
    shaped: bool = False


@dataclass(eq=False)
class Scores:
    """Models by (sensor, parents), each fitted once.

    Attributes:
        features: moments for each target (targets may have products of their own).
        rows: [N] rows that count for each target.
        penalty: target -> [P] penalty of each of its features.
        most: largest number of features of one sensor.
        shape: (target, its model) -> negentropy of what the model leaves, where that has a say.
    """

    features: list[Features]
    rows: FloatArray
    penalty: Callable[[int], FloatArray]
    most: int
    cache: dict[tuple[int, frozenset[int]], Local] = field(default_factory=dict)
    bases: dict[int, Local] = field(default_factory=dict)
    shape: Callable[[int, Local], float] | None = None

    def local(self, target: int, parents: frozenset[int]) -> Local:
        key = (target, parents)
        if key not in self.cache:
            features = self.features[target]
            if target not in self.bases:
                self.bases[target] = start(features, target)
            may = np.zeros(len(self.features) + 1, bool)  # the last one stands for hidden drivers, whose number is -1
            may[list(parents)] = True
            allowed = (features.lag > 0) | may[features.owner].all(axis=1)
            self.cache[key] = grow(
                self.bases[target],
                allowed,
                rows=float(self.rows[target]),
                penalty=self.penalty(target),
                most=self.most,
            )
        return self.cache[key]

    def gain(self, before: Sequence[frozenset[int]], move: Mapping[int, frozenset[int]], pair: tuple[int, int]) -> float:
        """What a move about one pair gains; both directions of a pair are judged by the same number of rows.

        Counting each sensor's own rows would turn every link towards the sensor that was read more often.
        """
        rows = float(min(self.rows[list(pair)]))
        fit = sum(self.local(t, after).value(rows) - self.local(t, before[t]).value(rows) for t, after in move.items())
        return fit + self.shapelier(before, move, rows)

    def shapelier(self, before: Sequence[frozenset[int]], move: Mapping[int, frozenset[int]], rows: float) -> float:
        """What a move gains by the shape of the residuals; see `shape`."""
        if self.shape is None:
            return 0.0
        return 2.0 * rows * sum(self.shape(t, self.local(t, after)) - self.shape(t, self.local(t, before[t])) for t, after in move.items())


Joint = Callable[[int, int], Scores]
"""(i, j) -> the models of two sensors on the rows in which both were read."""


def search(scores: Scores, *, instantaneous: bool = True, joint: Joint | None = None) -> Ordered:
    """The best lag-0 graph, and what its reversals would cost.

    Args:
        scores: models of every sensor on the rows in which it was read.
        instantaneous: False: no lag-0 link at all.
        joint: (i, j) -> models on the rows in which both were read; the last word on the direction of a lag-0 link. Fitting
            each end on its own rows would let the pattern of missing cells decide. None: all sensors were read in the same rows.
    """
    return ordered(scores, directed(scores, instantaneous=instantaneous, joint=joint), joint)


def ordered(scores: Scores, parents: Parents, joint: Joint | None = None) -> Ordered:
    """The models of these parents, and what reversals would cost."""
    locals_ = tuple(scores.local(j, of_j) for j, of_j in enumerate(parents))
    return Ordered(parents, locals_, _reversals(scores, parents, joint), _turned(scores, parents), scores.shape is not None)


def directed(scores: Scores, *, instantaneous: bool = True, joint: Joint | None = None, begin: Parents | None = None) -> Parents:
    """Best-improvement search over lag-0 graphs.

    Args:
        scores: see `search`.
        instantaneous: see `search`.
        joint: see `search`.
        begin: same-step parents to start from; None: those that prior knowledge requires.
    """
    sensors = len(scores.features)
    parents = [_required(one) for one in scores.features] if begin is None else list(begin)
    suspects = {pair for j in range(sensors) for pair in _suspects(scores, parents, j)} if instantaneous else set()
    known: Known = {}
    for _ in range(8 * sensors):
        gain, change = _best_move(scores, parents, sorted(suspects), known)
        if gain <= TIE:
            break
        for target, chosen in change.items():
            parents[target] = chosen
            suspects |= _suspects(scores, parents, target)
    parents = [_settled(scores, j, parents[j]) for j in range(sensors)]
    if joint is not None:
        _turn(parents, _reversals(scores, parents, joint))
    return tuple(parents)


def _turned(scores: Scores, parents: Sequence[frozenset[int]]) -> dict[tuple[int, int], tuple[Local, Local]]:
    """The models of both ends of every lag-0 link that is not required, with that link turned round."""
    free = [(i, j) for j, of_j in enumerate(parents) for i in sorted(of_j - _required(scores.features[j]))]
    return {(i, j): (scores.local(i, parents[i] | {j}), scores.local(j, parents[j] - {i})) for i, j in free}


def _turn(parents: list[frozenset[int]], reversal: FloatArray) -> None:
    """Turn round, in place, the links that the joint rows want the other way, the clearest first, where no cycle comes of it."""
    for i, j in sorted(map(tuple, np.argwhere(reversal < -TIE)), key=lambda pair: float(reversal[pair])):
        if not reaches(parents, i, j, without=(i, j)):
            parents[j], parents[i] = parents[j] - {int(i)}, parents[i] | {int(j)}


def _settled(scores: Scores, j: int, parents: frozenset[int]) -> frozenset[int]:
    """The parents that the model of j uses; with these alone it may use fewer still."""
    while (used := _used(scores.local(j, parents), scores.features[j], parents)) != parents:
        parents = used
    return parents


def _used(local: Local, features: Features, parents: frozenset[int]) -> frozenset[int]:
    now = local.chosen[features.lag[local.chosen] == 0]
    return frozenset(int(i) for i in features.owner[now].ravel()) & parents


def _required(features: Features) -> frozenset[int]:
    """Sensors that prior knowledge puts among the same-step causes."""
    return frozenset(features.owner[features.required[features.lag[features.required] == 0], 0].tolist())


def _suspects(scores: Scores, parents: list[frozenset[int]], j: int) -> set[tuple[int, int]]:
    """Pairs (i, j), both ways, whose same-step values still say something about each other."""
    features, local = scores.features[j], scores.local(j, parents[j])
    now = np.flatnonzero(features.lag == 0)
    surplus = gains(local.given, float(scores.rows[j]), now) - scores.penalty(j)[now]
    others = {int(i) for i in features.owner[now[surplus > 0], 0]} - {j, *parents[j]}
    return {pair for i in others for pair in ((i, j), (j, i))}


def _best_move(
    scores: Scores, parents: list[frozenset[int]], suspects: list[tuple[int, int]], known: Known
) -> tuple[float, dict[int, frozenset[int]]]:
    """The move that gains most, the first of equals.

    `known` remembers what a move gained, which hangs on the parents of the two sensors alone.
    """
    best: tuple[float, dict[int, frozenset[int]]] = (0.0, {})
    linked = [(i, j) for j, of_j in enumerate(parents) for i in of_j]
    moves: list[tuple[tuple[int, int], dict[int, frozenset[int]]]] = [((i, j), {j: parents[j] - {i}}) for i, j in linked]
    for i, j in linked:
        if not reaches(parents, i, j, without=(i, j)):
            moves.append(((i, j), {j: parents[j] - {i}, i: parents[i] | {j}}))
    for i, j in suspects:
        if i not in parents[j] and j not in parents[i] and not reaches(parents, j, i):
            moves.append(((i, j), {j: parents[j] | {i}}))
    for pair, move in moves:
        key = (*pair, *((t, parents[t], after) for t, after in move.items()))
        if key not in known:
            known[key] = scores.gain(parents, move, pair)
        if (gain := known[key]) > best[0] + TIE:
            best = (gain, move)
    return best


def reaches(parents: Sequence[frozenset[int]], start_: int, end: int, without: tuple[int, int] | None = None) -> bool:
    """Is there a lag-0 path start -> ... -> end (not using the link `without`)?"""
    stack, seen = [end], {end}
    while stack:
        child = stack.pop()
        for parent in parents[child]:
            if (parent, child) == without:
                continue
            if parent == start_:
                return True
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return False


def _reversals(scores: Scores, parents: Sequence[frozenset[int]], joint: Joint | None) -> FloatArray:
    cost = np.zeros((len(parents), len(parents)))
    for j, of_j in enumerate(parents):
        for i in of_j:
            if i in _required(scores.features[j]):
                cost[i, j] = CERTAIN
                continue
            judge = scores if joint is None else joint(i, j)
            move = {j: of_j - {i}, i: parents[i] | {j}}
            cost[i, j] = -judge.gain(parents, move, (i, j))
            if judge is not scores:
                cost[i, j] -= scores.shapelier(parents, move, float(min(judge.rows[[i, j]])))
    return cost
