"""Small systems with the verdict that each must get: identifiable ones, and those in which no table can tell.

A system is a function of a seed and a number of rows, and what is due: `due` says whether an answer is the one that the
mathematics allows, `wrong` whether it holds a confident claim (at least `CONFIDENT`) that is false or that no table could support.
An answer can be neither: a link missed, or one of low confidence. Every table also holds `z`, a sensor that has nothing to do with
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from rcgnn.config import Config
from rcgnn.graph import NONE, UNDECIDED, CausalGraph
from rcgnn.pipeline import fit_series
from rcgnn.series import FloatArray, Series

CONFIDENT = 0.8
"""A claim with at least this confidence is a confident one."""
MAX_LAG = 3
BURN_IN = 200
Draw = Callable[[np.random.Generator, int], dict[str, FloatArray]]
Named = tuple[str, str, int]
Judge = Callable[[CausalGraph], bool]


@dataclass(frozen=True)
class Toy:
    """One system.

    Attributes:
        draw: (rng, rows) -> columns by name.
        promise: what must be said of it, in words.
        due: is the answer the one that must be given?
        wrong: does the answer hold a confident claim that is false, or that no table could support?
        modes: operating modes, one contiguous stretch each; the table says which row belongs to which.
    """

    draw: Draw
    promise: str
    due: Judge
    wrong: Judge
    modes: int = 1

    def table(self, seed: int, rows: int) -> Series:
        """Readings of one seed."""
        rng = np.random.default_rng([seed, rows])
        columns = self.draw(rng, rows) | {"z": memory(rng, rows, 0.5)}
        mode = np.arange(rows, dtype=np.int64) * self.modes // rows
        x = np.stack(list(columns.values()), axis=1)
        names = tuple(str(m) for m in range(self.modes))
        return Series(x, np.ones(x.shape, bool), tuple(columns), regime=mode, regime_names=names)

    def answer(self, seed: int, rows: int) -> CausalGraph:
        """What is found in one table; the network changes no link."""
        return fit_series(self.table(seed, rows), Config().override([f"data.max_lag={MAX_LAG}", "select.refine=off"])).graph


def memory(rng: np.random.Generator, rows: int, share: float, kind: str = "normal", push: FloatArray | None = None) -> FloatArray:
    """[rows] `x(t) = share x(t-1) + push(t) + e(t)`, e of unit variance: normal, laplace or lognormal."""
    size = BURN_IN + rows
    noise = {
        "normal": lambda: rng.standard_normal(size),
        "laplace": lambda: rng.laplace(scale=np.sqrt(0.5), size=size),
        "lognormal": lambda: (rng.lognormal(sigma=0.6, size=size) - np.exp(0.18)) / np.sqrt(np.expm1(0.36) * np.exp(0.36)),
    }[kind]()
    if push is not None:
        noise[BURN_IN:] += push
    return np.asarray(lfilter([1.0], [1.0, -share], noise))[BURN_IN:]


def late(x: FloatArray, steps: int) -> FloatArray:
    """x some steps ago; zeros before."""
    return np.r_[np.zeros(steps), x[: len(x) - steps]]


def claims(graph: CausalGraph, least: float = 0.0) -> set[Named]:
    """(cause, effect, lag) of every link with at least some confidence."""
    return {(graph.names[i], graph.names[j], k) for k, i, j in graph.links() if graph.confidence[k, i, j] >= least}


def exactly(*links: Named) -> tuple[Judge, Judge]:
    """Due: these links with their lags and no other pair. Wrong: a confident link between a pair, or in a direction, that is not there."""
    pairs = {(a, b) for a, b, _ in links}

    def due(graph: CausalGraph) -> bool:
        found = claims(graph)
        return set(links) <= found and {(a, b) for a, b, _ in found} == pairs

    def wrong(graph: CausalGraph) -> bool:
        return not {(a, b) for a, b, _ in claims(graph, CONFIDENT)} <= pairs

    return due, wrong


def open_pair(a: str, b: str, *, needed: bool = True) -> tuple[Judge, Judge]:
    """Due: a and b are undecided both ways within the step (or nothing, where that is enough), no link. Wrong: a confident link."""

    def due(graph: CausalGraph) -> bool:
        i, j = graph.names.index(a), graph.names.index(b)
        both = {int(graph.verdict[0, i, j]), int(graph.verdict[0, j, i])}
        return not claims(graph) and both <= ({UNDECIDED} if needed else {UNDECIDED, NONE})

    return due, lambda graph: bool(claims(graph, CONFIDENT))


def never(*links: Named, only: Sequence[tuple[str, str]] = ()) -> tuple[Judge, Judge]:
    """Due: no claim but between the pairs of `only`, and none of `links`. Wrong: such a claim with confidence."""

    def beyond(graph: CausalGraph, least: float) -> bool:
        found = claims(graph, least)
        return bool(found & set(links)) or not {(a, b) for a, b, _ in found} <= set(only)

    return lambda graph: not beyond(graph, 0.0), lambda graph: beyond(graph, CONFIDENT)


def _chain(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
    a = memory(rng, rows, 0.5)
    b = memory(rng, rows, 0.4, push=0.6 * late(a, 1))
    return {"c": memory(rng, rows, 0.4, push=0.6 * late(b, 2)), "b": b, "a": a}


def _fork(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
    a = memory(rng, rows, 0.5)
    return {"b": memory(rng, rows, 0.4, push=0.6 * late(a, 1)), "a": a, "c": memory(rng, rows, 0.4, push=0.6 * late(a, 2))}


def _collider(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
    a, b = memory(rng, rows, 0.5), memory(rng, rows, 0.5)
    return {"c": memory(rng, rows, 0.4, push=0.6 * late(a, 1) + 0.6 * late(b, 2)), "a": a, "b": b}


def _hidden(first: int, second: int) -> Draw:
    def draw(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
        h = memory(rng, rows, 0.6)
        return {"x": 0.9 * late(h, first) + 0.6 * rng.standard_normal(rows), "y": 0.9 * late(h, second) + 0.6 * rng.standard_normal(rows)}

    return draw


def _same_row(kind: str, share: float) -> Draw:
    def draw(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
        a = memory(rng, rows, share, kind)
        return {"b": memory(rng, rows, share, kind, push=0.8 * a), "a": a}

    return draw


def _subsampled(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
    every = 10
    e = rng.standard_normal((BURN_IN + every * rows, 2))
    x, step = np.zeros_like(e), np.array([[0.6, 0.4], [-0.4, 0.6]])
    for t in range(1, len(x)):
        x[t] = x[t - 1] @ step + e[t]
    return dict(zip("ab", x[BURN_IN::every].T, strict=True))


def _copy(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
    a = memory(rng, rows, 0.5)
    return {"a": a, "copy": 3 * a + 2}


def _sum(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
    a, b = memory(rng, rows, 0.5), memory(rng, rows, 0.5)
    return {"a": a, "b": b, "total": a + b}


def _alone(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
    return {"a": memory(rng, rows, 0.95), "b": memory(rng, rows, 0.9), "c": np.cumsum(rng.standard_normal(rows))}


def _by_mode(first: float, second: float) -> Draw:
    def draw(rng: np.random.Generator, rows: int) -> dict[str, FloatArray]:
        a = memory(rng, rows, 0.5)
        weight = np.where(np.arange(rows) < rows // 2, first, second)
        return {"b": memory(rng, rows, 0.4, push=weight * late(a, 1)), "a": a}

    return draw


TOYS: dict[str, Toy] = {
    "chain": Toy(_chain, "a -> b -> c, no a -> c", *exactly(("a", "b", 1), ("b", "c", 2))),
    "fork": Toy(_fork, "a -> b and a -> c, nothing between b and c", *exactly(("a", "b", 1), ("a", "c", 2))),
    "collider": Toy(_collider, "a -> c and b -> c, nothing between a and b", *exactly(("a", "c", 1), ("b", "c", 2))),
    "same row, with memory": Toy(_same_row("normal", 0.5), "a -> b: the own pasts tell the direction", *exactly(("a", "b", 0))),
    "same row, Laplace": Toy(_same_row("laplace", 0.0), "a -> b: the shape of the noise tells", *exactly(("a", "b", 0))),
    "same row, lognormal": Toy(_same_row("lognormal", 0.0), "a -> b: the shape of the noise tells", *exactly(("a", "b", 0))),
    "same row, Gaussian": Toy(_same_row("normal", 0.0), "linked, the direction undecided", *open_pair("a", "b")),
    "hidden cause, one delay": Toy(_hidden(1, 1), "no direction between its effects", *open_pair("x", "y", needed=False)),
    "hidden cause, two delays": Toy(
        _hidden(1, 2), "nothing against the order of time: never y -> x", *never(("y", "x", 1), only=[("x", "y")])
    ),
    "sub-sampled feedback": Toy(_subsampled, "no one-way direction", *open_pair("a", "b", needed=False)),
    "copy": Toy(_copy, "an alias: every pair with it is undecided", *open_pair("a", "copy")),
    "computed column": Toy(_sum, "total = a + b: undecided within the step", *open_pair("a", "total")),
    "memory alone": Toy(_alone, "no link", *exactly()),
    "one mode only": Toy(_by_mode(0.6, 0.0), "a -> b", *exactly(("a", "b", 1)), modes=2),
    "sign turns": Toy(_by_mode(0.6, -0.6), "a -> b, although the slopes cancel", *exactly(("a", "b", 1)), modes=2),
}
