"""Where sensors stand in the picture of the graph: causes on the left, effects on the right, few crossings.

The four steps of Sugiyama, Tagawa and Toda 1981: an order in which few links point back (Eades, Lin and Smyth 1993), columns by the
longest path, places within a column by the mean place of the neighbours, and heights. A link over several columns keeps a lane free in
those between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Pair = tuple[int, int]
Item = tuple[int, ...]
"""(sensor,) or (cause, effect, column): a sensor, or the lane of a link in a column between its ends."""
SWEEPS = 12
"""Passes in which the items of a column are put beside their causes and effects."""
LEAST_ROOM = 6
"""A column holds this many sensors, or about the square root of all of them where that is more."""
LEAST_COLUMNS = 10
"""There are at most so many columns, or about the square root of all sensors; a longer chain is folded into them."""
LANE = 0.5
"""Height of a lane; a sensor has 1."""
MOST_LANES = 200
"""With more, links run behind the sensors instead."""
GAP = 1.5


@dataclass(frozen=True)
class Layout:
    """Places in columns (x) and rows (y, growing downwards).

    Attributes:
        sensors: (x, y) of every sensor.
        bends: points between the ends of a link, from cause to effect, by (cause, effect); only for links over several columns.
    """

    sensors: list[tuple[float, float]]
    bends: dict[Pair, list[tuple[float, float]]]


def layout(sensors: int, pairs: Iterable[Pair]) -> Layout:
    """Places of all sensors; those without a link fill rows below the others.

    Args:
        sensors: how many there are.
        pairs: (cause, effect) of every link, lags aside.

    Example:
        >>> layout(4, [(0, 1), (1, 2)]).sensors
        [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 1.5)]
    """
    links = sorted({(i, j) for i, j in pairs if i != j})
    linked = sorted({i for pair in links for i in pair})
    at = _columns(linked, links)
    columns, chains = _items(linked, links, at)
    _settle(columns, chains)
    place = {item: (float(x), y) for x, column in enumerate(columns) for item, y in _heights(column).items()}
    alone = [i for i in range(sensors) if i not in at]
    wide = max(len(columns), min(len(alone), LEAST_ROOM))
    below = max((y for _, y in place.values()), default=-GAP) + GAP
    place |= {(i,): (float(number % wide), below + number // wide) for number, i in enumerate(alone)}
    bends = {(chain[0][0], chain[-1][0]): [place[item] for item in chain[1:-1]] for chain in chains if len(chain) > 2}
    return Layout([place[(i,)] for i in range(sensors)], bends)


def _columns(linked: Sequence[int], links: Sequence[Pair]) -> dict[int, int]:
    """Column of every linked sensor: right of everything that drives it, as far as the order of `_ordered` and the room allow.

    Where that takes too many columns they are filled evenly in that order; a link may then stay within its column.
    """
    causes: dict[int, list[int]] = {i: [] for i in linked}
    for i, j in links:
        causes[j].append(i)
    room = max(LEAST_ROOM, round(1.2 * len(linked) ** 0.5))
    at: dict[int, int] = {}
    filled: dict[int, int] = {}
    order = _ordered(linked, links)
    for i in order:
        column = max((at[cause] + 1 for cause in causes[i] if cause in at), default=0)
        while filled.get(column, 0) >= room:
            column += 1
        at[i] = column
        filled[column] = filled.get(column, 0) + 1
    most = max(LEAST_COLUMNS, round(0.9 * len(linked) ** 0.5))
    return at if len(filled) <= most else {i: rank * most // len(order) for rank, i in enumerate(order)}


def _ordered(linked: Sequence[int], links: Sequence[Pair]) -> list[int]:
    """The sensors so that few links point back: who drives nobody left stands last, who nobody left drives first, the rest by surplus."""
    after: dict[int, set[int]] = {i: set() for i in linked}
    before: dict[int, set[int]] = {i: set() for i in linked}
    for i, j in links:
        after[i].add(j)
        before[j].add(i)
    left, first, last = set(linked), list[int](), list[int]()
    while left:
        sources, sinks = [i for i in left if not before[i]], [i for i in left if not after[i]]
        if sources or not sinks:
            chosen = min(sources) if sources else min(left, key=lambda i: (len(before[i]) - len(after[i]), i))
            first.append(chosen)
        else:
            chosen = min(sinks)
            last.append(chosen)
        left.discard(chosen)
        for i in after[chosen]:
            before[i].discard(chosen)
        for i in before[chosen]:
            after[i].discard(chosen)
    return first + last[::-1]


def _items(linked: Sequence[int], links: Sequence[Pair], at: dict[int, int]) -> tuple[list[list[Item]], list[list[Item]]]:
    """Columns with their sensors and lanes, and for every link the chain of items from cause to effect."""
    columns: list[list[Item]] = [[] for _ in range(max(at.values(), default=-1) + 1)]
    for i in linked:
        columns[at[i]].append((i,))
    lanes = sum(max(abs(at[i] - at[j]) - 1, 0) for i, j in links)
    chains = []
    for i, j in links:
        step = 1 if at[j] >= at[i] else -1
        between: list[Item] = [(i, j, column) for column in range(at[i] + step, at[j], step)] if lanes <= MOST_LANES else []
        for item in between:
            columns[item[2]].append(item)
        chains.append([(i,), *between, (j,)])
    return columns, chains


def _settle(columns: list[list[Item]], chains: Sequence[Sequence[Item]]) -> None:
    """Every column sorted by the mean height of its items' neighbours, to the right and back, in place."""
    near: dict[Item, list[Item]] = {}
    for chain in chains:
        for one, other in pairwise(chain):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    height = {item: y for column in columns for item, y in _heights(column).items()}
    for column in [*columns, *columns[::-1]] * SWEEPS:
        wanted = {item: sum(height[other] for other in near[item]) / len(near[item]) for item in column}
        column.sort(key=lambda item: (wanted[item], item))
        height |= _heights(column)


def _heights(column: Sequence[Item]) -> dict[Item, float]:
    """Middle of every item, the column around 0.

    Example:
        >>> _heights([(0,), (1, 2, 1), (5,)])
        {(0,): -0.75, (1, 2, 1): 0.0, (5,): 0.75}
    """
    sizes = [1.0 if len(item) == 1 else LANE for item in column]
    ends = [sum(sizes[:number]) - sum(sizes) / 2 for number in range(len(sizes))]
    return {item: end + size / 2 for item, end, size in zip(column, ends, sizes, strict=True)}
