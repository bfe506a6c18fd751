"""Tables that can be read and make no sense, for the whole way through a fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SMALL_FIT = ("--set", "train.epochs=2", "--set", "select.halves=2", "--set", "select.shifted_copies=1", "--set", "signal.iterations=2")
"""Settings with which a fit of a small table takes a second."""

Cells = NDArray[np.float64]


def noise(rows: int, columns: int, seed: int = 0) -> Cells:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def with_cells(values: Cells, *changes: tuple[object, float]) -> Cells:
    """The table with some cells set."""
    for place, value in changes:
        values[place] = value
    return values


ALTERNATING = np.where(np.arange(60)[:, None] % 2, 1.0, -1.0)
ABSURD: dict[str, Callable[[], Cells]] = {
    "one cell": lambda: np.ones((1, 1)),
    "one row": lambda: noise(1, 3),
    "two rows": lambda: noise(2, 3),
    "five rows": lambda: noise(5, 3),
    "one column": lambda: noise(80, 1),
    "a column is constant": lambda: with_cells(noise(80, 3), (np.s_[:, 1], 5.0)),
    "all columns are constant": lambda: np.ones((80, 3)),
    "all zeros but one": lambda: with_cells(np.zeros((80, 3)), ((40, 1), 1.0)),
    "all missing but one": lambda: with_cells(np.full((80, 3), np.nan), ((40, 1), 1.0)),
    "a column is missing": lambda: with_cells(noise(80, 3), (np.s_[:, 1], np.nan)),
    "a column has 30 readings": lambda: with_cells(noise(80, 3), (np.s_[30:, 1], np.nan)),
    "never read together": lambda: with_cells(noise(80, 2), (np.s_[::2, 0], np.nan), (np.s_[1::2, 1], np.nan)),
    "nine in ten missing": lambda: np.where(np.random.default_rng(1).random((200, 3)) < 0.9, np.nan, noise(200, 3)),
    "1e308": lambda: noise(80, 3) * 1e307,
    "1e308 back and forth": lambda: ALTERNATING * np.array([1.7e308, 1.0, 1e-300]),
    "one cell of 1e308": lambda: with_cells(noise(80, 3), ((40, 1), 1.7e308)),
    "1e200 beside 1e-200": lambda: noise(80, 3) * np.array([1e200, 1.0, 1e-200]),
    "denormal": lambda: noise(80, 3) * 1e-320,
    "a large level": lambda: noise(80, 3) * 1e-3 + 1e15,
    "beyond 2^53": lambda: np.round(noise(80, 3) * 100) + 2.0**60,
    "the same column three times": lambda: np.repeat(noise(80, 1), 3, axis=1),
    "a column is the sum of the others": lambda: (
        (x := noise(80, 3)) + with_cells(np.zeros((80, 3)), (np.s_[:, 2], x.sum(axis=1) - x[:, 2]))
    ),
    "a column is the next row of another": lambda: np.column_stack([(x := noise(80, 1)[:, 0]), np.roll(x, 1), noise(80, 1, 3)[:, 0]]),
    "two values": lambda: np.sign(noise(80, 3)),
    "one value, then another": lambda: np.repeat([[0.0, 1.0], [1.0, 0.0]], 40, axis=0),
    "counters": lambda: np.arange(240.0).reshape(80, 3),
    "sines": lambda: np.sin(np.arange(80.0)[:, None] / np.array([3, 5, 7])),
    "more columns than rows": lambda: noise(12, 60),
    "random walks": lambda: noise(120, 3).cumsum(axis=0),
    "an explosion": lambda: 1.5 ** np.arange(200.0)[:, None] * np.array([1, -1, 0.5]),
    "half of it stuck": lambda: with_cells(noise(120, 3), (np.s_[60:], 1.0)),
    "rounded to nothing": lambda: np.round(noise(80, 3) / 10),
}
NAMES = (
    "a -> b",
    'say "hi"',
    "<script>alert(1)</script>",
    "../../x",
    "=1+1",
    "a @ 1",
    "n" * 300,
    "{{ 7 * 7 }}",
    "%s%n",
    "\u202eabc",
    "🚰",
    "nan",
)
"""Names of sensors that a page, a shell, a table calculation or a file name could take for something else."""


def as_csv(values: Cells, names: tuple[str, ...] | None = None) -> str:
    """The table as text, NaN as empty cells."""
    head = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names or [f"s{k}" for k in range(values.shape[1])]]
    return "\n".join([",".join(head), *(",".join("" if np.isnan(x) else repr(float(x)) for x in row) for row in values)]) + "\n"


COLUMNS: dict[str, Callable[[np.random.Generator, int], Cells]] = {
    "noise": lambda rng, rows: rng.normal(size=rows),
    "walk": lambda rng, rows: rng.normal(size=rows).cumsum(),
    "constant": lambda rng, rows: np.full(rows, float(rng.integers(-5, 5))),
    "huge": lambda rng, rows: rng.normal(size=rows) * 1e307,
    "tiny": lambda rng, rows: rng.normal(size=rows) * 1e-310,
    "level": lambda rng, rows: rng.normal(size=rows) + 1e15,
    "missing": lambda _, rows: np.full(rows, np.nan),
    "mostly missing": lambda rng, rows: np.where(rng.random(rows) < 0.9, np.nan, rng.normal(size=rows)),
    "two values": lambda rng, rows: np.sign(rng.normal(size=rows)),
    "counter": lambda rng, rows: np.arange(float(rows)) * rng.integers(1, 9),
    "one spike": lambda rng, rows: np.where(np.arange(rows) == rows // 2, 1e9, rng.normal(size=rows)),
    "stuck": lambda rng, rows: np.where(np.arange(rows) > rows // 3, 1.0, rng.normal(size=rows)),
    "rounded": lambda rng, rows: np.round(rng.normal(size=rows)),
    "heavy": lambda rng, rows: rng.standard_cauchy(rows) ** 3,
}


def mixed(kinds: list[str], rows: int, seed: int) -> Cells:
    """A table of such columns; every second one after the first also follows the column before it by one row."""
    rng = np.random.default_rng(seed)
    values = np.column_stack([COLUMNS[kind](rng, rows) for kind in kinds])
    with np.errstate(all="ignore"):
        for place in range(1, len(kinds), 2):
            values[1:, place] += 0.7 * values[:-1, place - 1]
    return values
