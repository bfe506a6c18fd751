"""The cells of the stress matrix: what is done to which table, and with which settings. Pure: the same list every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from faults import FAULTS
from numpy.typing import NDArray

from rcgnn.series import Series
from rcgnn.synth import simulate

Table = NDArray[np.float64]
Draw = np.random.Generator
Change = Callable[[Table, Draw], Table]
QUICK = ("train.epochs=5", "train.batch=8", "train.eval_every=1", "data.window=12", "select.halves=2", "select.shifted_copies=3")
ORIGIN = ("train.epochs=4", "data.window=12")
RECIPES = ("auto", "origin-before", "origin-after")
ROWS, SENSORS = 200, 5
BASES = (("linear", 1), ("nonlinear", 2), ("lorenz96", 3))
"""Systems, and their seeds, that every change is made to."""


@dataclass(frozen=True)
class Cell:
    """One fit.

    Attributes:
        axis, level: what is stressed, and how.
        system, seed, rows, sensors: the table before the change.
        recipe, settings: of the fit.
        fault, step: a row of `faults.FAULTS` and when it strikes, or None.
        alike: an invariance to be checked against the plain fit: `units`, `columns`, `time`, or None.
    """

    axis: str
    level: str
    system: str = "linear"
    seed: int = 1
    rows: int = ROWS
    sensors: int = SENSORS
    recipe: str = "auto"
    settings: tuple[str, ...] = ()
    fault: str | None = None
    step: int = 0
    alike: str | None = None

    @property
    def key(self) -> str:
        """Distinct for every cell."""
        return f"{self.recipe}/{self.axis}/{self.level}/{self.system}/{self.seed}/{self.rows}x{self.sensors}"


def _scaled(factor: float, offset: float = 0.0) -> Change:
    return lambda x, _draw: factor * x + offset


def _mixed(x: Table, _draw: Draw) -> Table:
    return x * 10.0 ** np.linspace(-6, 6, x.shape[1])


def _limits(x: Table, _draw: Draw) -> Table:
    return x / np.abs(x).max() * np.array([1e308, 1e-300, 1e38, 1e-38, 1.0])[np.arange(x.shape[1]) % 5]


def _column(make: Callable[[Table, Draw], Table]) -> Change:
    """The last column becomes something else."""
    return lambda x, draw: np.column_stack([x[:, :-1], make(x, draw)])


def _constant_sum(x: Table, _draw: Draw) -> Table:
    return 100.0 - x[:, :-1].sum(axis=1)


def _cells(share: float, value: float) -> Change:
    """A share of single cells takes a value in sd."""
    return lambda x, draw: np.where(draw.random(x.shape) < share, value * x.std(axis=0), x)


def _block(x: Table, _draw: Draw) -> Table:
    x = x.copy()
    third = len(x) // 3
    x[third : 2 * third, : x.shape[1] // 2] = np.nan
    return x


def _mcar(share: float) -> Change:
    return lambda x, draw: np.where(draw.random(x.shape) < share, np.nan, x)


def _mnar(share: float) -> Change:
    return lambda x, _draw: np.where(x > np.quantile(x, 1 - share, axis=0), np.nan, x)


def _outage(share: float) -> Change:
    def change(x: Table, draw: Draw) -> Table:
        x = x.copy()
        length = max(1, int(share * len(x)))
        for j, start in enumerate(draw.integers(0, len(x) - length + 1, x.shape[1])):
            x[start : start + length, j] = np.nan
        return x

    return change


def _driven(noise: Callable[[Draw, tuple[int, int]], Table]) -> Change:
    """A chain of sensors, each .6 of its forerunner and .3 of itself one row ago, under this noise."""

    def change(x: Table, draw: Draw) -> Table:
        e = noise(draw, x.shape)
        y = np.zeros(x.shape)
        for t in range(1, len(y)):
            y[t] = 0.3 * y[t - 1] + e[t]
            y[t, 1:] += 0.6 * y[t - 1, :-1]
        return y

    return change


def _linked(density: float, *, cycle: bool = False) -> Change:
    """Linear links with lag 1 at this density, or one ring through all sensors."""

    def change(x: Table, draw: Draw) -> Table:
        sensors = x.shape[1]
        links = np.roll(np.eye(sensors), 1, axis=1) if cycle else (draw.random((sensors, sensors)) < density) * 1.0
        links = links * draw.choice([-1.0, 1.0], links.shape)
        radius = max(float(np.abs(np.linalg.eigvals(links)).max()), 1e-9)
        y, e = np.zeros(x.shape), draw.standard_normal(x.shape)
        for t in range(1, len(y)):
            y[t] = y[t - 1] @ links * (0.8 / max(radius, 0.8)) + e[t]
        return y

    return change


def _rate(mean: float) -> Change:
    return lambda x, draw: draw.poisson(mean * np.exp(0.5 * (x - x.mean(axis=0)) / x.std(axis=0))).astype(float)


def _time(x: Table) -> Table:
    return np.arange(len(x))[:, None] / len(x)


def _shifted(x: Table, _draw: Draw) -> Table:
    x = x.copy()
    x[len(x) // 2 :] = 3 * x[len(x) // 2 :] + 10 * x.std(axis=0)
    return x


CHANGES: dict[str, dict[str, Change]] = {
    "scale": {
        **{f"x 1e{power:+d}": _scaled(10.0**power) for power in (-6, -3, 3, 6)},
        "mixed": _mixed,
        "+ 1e9": _scaled(1.0, 1e9),
        "x 1e6 + 1e9": _scaled(1e6, 1e9),
        "float limits": _limits,
    },
    "columns": {
        "constant": _column(lambda x, _draw: np.ones(len(x))),
        "all missing": _column(lambda x, _draw: np.full(len(x), np.nan)),
        "duplicate": _column(lambda x, _draw: x[:, 0]),
        "collinear": _column(lambda x, _draw: x[:, 0] - 2 * x[:, 1]),
        "constant sum": _column(_constant_sum),
        "all constant": lambda x, _draw: np.ones(x.shape),
        "all missing everywhere": lambda x, _draw: np.full(x.shape, np.nan),
        "all equal": lambda x, _draw: np.tile(x[:, :1], x.shape[1]),
    },
    "outliers": {
        "1 % at 1e4 sd": _cells(0.01, 1e4),
        "10 % at 1e4 sd": _cells(0.1, 1e4),
        "1 % at 1e15 sd": _cells(0.01, 1e15),
        "infinite": _cells(0.02, np.inf),
        "NaN block": _block,
    },
    "missing": {
        f"{kind} {share:.0%}": change(share)
        for kind, change in (("MCAR", _mcar), ("MNAR", _mnar), ("outage", _outage))
        for share in (0.4, 0.7, 0.9, 0.99)
    },
    "noise": {
        "Gauss": _driven(lambda draw, shape: draw.standard_normal(shape)),
        "t(2.1)": _driven(lambda draw, shape: draw.standard_t(2.1, shape)),
        "Cauchy": _driven(lambda draw, shape: draw.standard_cauchy(shape)),
        "counts": _rate(3.0),
        "rare counts": _rate(0.05),
        "binary": lambda x, _draw: (x > np.median(x, axis=0)) * 1.0,
    },
    "process": {
        "unit roots": lambda x, _draw: np.cumsum(x, axis=0),
        "double roots": lambda x, _draw: np.cumsum(np.cumsum(x, axis=0), axis=0),
        "trend": lambda x, _draw: x + 50 * x.std(axis=0) * _time(x),
        "season": lambda x, _draw: x + 5 * x.std(axis=0) * np.sin(2 * np.pi * _time(x) * len(x) / 24),
        "regime shift": _shifted,
        "exponential": lambda x, _draw: np.exp(20 * _time(x)) * x,
    },
    "links": {"none": _linked(0.0), "dense": _linked(1.0), "half": _linked(0.5), "ring": _linked(0.0, cycle=True)},
}
"""Axis -> level -> what is done to the table [T, N]."""
SIZES = [(t, d) for t in (5, 20, 60, 200, 2000) for d in (2, 13, 50) if t * d <= 30_000] + [(60, 100), (200, 300), (100_000, 4)]
ALIKE: dict[str, Change] = {"units": _mixed, "columns": lambda x, _draw: x[:, ::-1], "time": lambda x, _draw: x}
RATES = (0.01, 1.0, 100.0, 1e4)
BATCHES = ("1", "100000")
STEPS = (2, 12)
LONGER = ("train.epochs=8", "train.batch=4")
"""Room for a fault in the middle of a run, and for the epochs after it."""


def cells() -> list[Cell]:
    """All cells: recipe auto everywhere, the origin's recipes on every change of the table and every rate, one system."""
    return [*_ours(), *(cell for recipe in RECIPES[1:] for cell in _theirs(recipe))]


def _ours() -> Iterator[Cell]:
    for (axis, levels), (system, seed) in product(CHANGES.items(), BASES):
        for level in levels:
            yield Cell(axis, level, system, seed)
            yield Cell(axis, level, system, seed + 10, 120, 8)
    for (rows, sensors), (system, seed) in product(SIZES, BASES[:1] + BASES[2:]):
        if system == "linear" or (sensors >= 4 and sensors <= 50 and rows <= 2000):
            yield Cell("size", f"T {rows}, d {sensors}", system, seed, rows, sensors)
    for factor, (system, seed), more in product(RATES, BASES, (0, 20)):
        yield Cell("rate", f"lr x {factor:g}", system, seed + more, settings=(f"train.lr={5e-3 * factor}",))
    for batch, (system, seed), more in product(BATCHES, BASES, (0, 20)):
        yield Cell("batch", "1" if batch == "1" else "all", system, seed + more, settings=(f"train.batch={batch}",))
    for name, (system, seed), step in product(FAULTS, BASES, STEPS):
        yield Cell("fault", name if step == STEPS[0] else f"{name}, later", system, seed, settings=LONGER, fault=name, step=step)
    for alike, (system, seed), more in product(ALIKE, BASES, (0, 30)):
        yield Cell("alike", alike, system, seed + more, alike=alike)


def _theirs(recipe: str) -> Iterator[Cell]:
    for axis, levels in CHANGES.items():
        for level in levels:
            yield Cell(axis, level, recipe=recipe)
    for rows, sensors in SIZES:
        if sensors <= 50 and rows <= 2000:
            yield Cell("size", f"T {rows}, d {sensors}", rows=rows, sensors=sensors, recipe=recipe)
    lr = {"origin-before": 1e-3, "origin-after": 5e-4}[recipe]
    for factor in RATES:
        yield Cell("rate", f"lr x {factor:g}", recipe=recipe, settings=(f"train.lr={lr * factor}",))


def settings(cell: Cell) -> list[str]:
    """Everything that the fit is told; without epochs of its own a large table is trained for two."""
    if cell.recipe != "auto":
        return [f"recipe={cell.recipe}", *ORIGIN, *cell.settings]
    large = ("train.epochs=2", "train.batch=64") if cell.rows * cell.sensors > 50_000 else ()
    return ["select.refine=on", *QUICK, *large, *cell.settings]


def plain(cell: Cell) -> Table:
    """The table before anything is done to it, every sensor with mean 0 and sd 1."""
    rows = max(cell.rows, 50)
    x = simulate(cell.system, seed=cell.seed, rows=rows, sensors=cell.sensors).series.values[: cell.rows]
    return (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)


def table(cell: Cell) -> Series:
    """The table of a cell."""
    change = ALIKE[cell.alike] if cell.alike else CHANGES.get(cell.axis, {}).get(cell.level)
    x, names = plain(cell), tuple(f"s{j}" for j in range(cell.sensors))
    with np.errstate(over="ignore", invalid="ignore"):
        x = x if change is None else change(x, np.random.default_rng(cell.seed))
    time = None if cell.alike != "time" else 1.7e9 + 60.0 * np.arange(len(x))
    return Series(x, np.isfinite(x), names[::-1] if cell.alike == "columns" else names, time=time)
