"""Settings that are searched: `NAME=LOW..HIGH` ranges and `NAME=A,B,C` choices, and trials drawn from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rcgnn.config import Config
from rcgnn.errors import InputError
from rcgnn.numerics import rng
from rcgnn.sweep.grid import RANGE, Grid, Trial, by_name, folder_name, shown, value_of

WIDE = 100.0
"""A range of positive numbers whose ends differ by this factor or more is drawn from by its logarithm."""
DIGITS = 3
"""Of a number that is drawn."""
ATTEMPTS = 200
"""Draws for each trial before a search is said to have run out of combinations."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends.

    Attributes:
        low: the lower end, included.
        high: the upper end, included.
        log: the logarithm is uniform.
        whole: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def text(self, value: float) -> str:
        """A value of the range as it is set: three digits, and never outside.

        Example:
            >>> Range(1e-6, 1e-2, log=True).text(3.14159e-4), Range(1, 9, whole=True).text(3.6), Range(0.1234, 1).text(0.12341)
            ('0.000314', '4', '0.1234')
        """
        if self.whole:
            return str(round(value))
        return repr(min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high))

    def draw(self, source: np.random.Generator) -> str:
        """One value."""
        if self.log:
            value = math.exp(source.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = source.uniform(self.low - 0.5 * self.whole, self.high + 0.5 * self.whole)
        return self.text(min(max(value, self.low), self.high))

    def holds(self, text: str) -> bool:
        """Is this one of its values, as it is shown?"""
        try:
            return self.low <= float(text) <= self.high
        except ValueError:
            return False


@dataclass(frozen=True)
class Choice:
    """Values that have no order.

    Attributes:
        texts: as they are set.
        values: as they are shown.
    """

    texts: tuple[str, ...]
    values: tuple[str, ...]

    def draw(self, random: np.random.Generator) -> str:
        """One of them."""
        return self.texts[int(random.integers(len(self.texts)))]

    def holds(self, text: str) -> bool:
        """Is this one of its values, as it is shown?"""
        return text in self.values


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        dimensions: a range or a choice by the name of each setting.
        config: file of settings to start from.
        fixed: settings that all trials have.
        prior: file of prior knowledge.
    """

    dimensions: Mapping[str, Range | Choice]
    config: Path | None = None
    fixed: tuple[str, ...] = ()
    prior: Path | None = None

    @property
    def swept(self) -> tuple[str, ...]:
        """Names of the settings that are searched."""
        return tuple(self.dimensions)

    def trial(self, texts: Sequence[str]) -> Trial:
        """The trial with these values, in the order of `swept`.

        Raises:
            ConfigError: a value that is out of its setting's range.
        """
        moving = [f"{name}={text}" for name, text in zip(self.dimensions, texts, strict=True)]
        whole = Config.assemble(self.config, [*self.fixed, *moving], self.prior)
        values = tuple(shown(value_of(whole, name)) for name in self.dimensions)
        return Trial(folder_name(self.swept, values), values, whole)

    def holds(self, values: Sequence[str]) -> bool:
        """Do these values, as they are shown, lie in it?"""
        return all(dimension.holds(value) for dimension, value in zip(self.dimensions.values(), values, strict=True))

    def corners(self) -> tuple[Trial, Trial]:
        """The trials at the two ends of every range: what is refused at an end is refused before anything is run."""
        ends = [_ends(dimension) for dimension in self.dimensions.values()]
        return self.trial([low for low, _ in ends]), self.trial([high for _, high in ends])


def _ends(dimension: Range | Choice) -> tuple[str, str]:
    if isinstance(dimension, Range):
        return dimension.text(dimension.low), dimension.text(dimension.high)
    return dimension.texts[0], dimension.texts[-1]


def make_space(settings: Sequence[str], *, config: Path | None = None, fixed: Sequence[str] = (), prior: Path | None = None) -> Space:
    """The space of the settings: `NAME=LOW..HIGH`, `NAME=log:LOW..HIGH`, `NAME=lin:LOW..HIGH`, `NAME=A,B,C`; one value holds for all.

    Args:
        settings: as `make_grid` takes them, and ranges. A range is logarithmic where its ends are positive and differ by a factor
            of a hundred or more, and whole where the setting is.
        config: file of settings to start from.
        fixed: settings between the file and these.
        prior: file of prior knowledge.

    Raises:
        ConfigError: a setting that does not exist or is out of its range.
        InputError: nothing is searched, or a range that is none.

    Example:
        >>> space = make_space(["losses.sparse=1e-6..1e-2", "train.epochs=4..8", "model.hidden=16,32", "seed=7"])
        >>> space.dimensions["losses.sparse"], space.dimensions["train.epochs"]
        (Range(low=1e-06, high=0.01, log=True, whole=False), Range(low=4.0, high=8.0, log=False, whole=True))
        >>> space.swept, space.fixed
        (('losses.sparse', 'train.epochs', 'model.hidden'), ('seed=7',))
    """
    given = by_name(settings)
    ranges = {name: texts[0] for name, texts in given.items() if len(texts) == 1 and RANGE.fullmatch(texts[0])}
    alone = [f"{name}={texts[0]}" for name, texts in given.items() if len(texts) == 1 and name not in ranges]
    base = Config.assemble(config, [*fixed, *alone], prior)
    dimensions: dict[str, Range | Choice] = {}
    for name, texts in given.items():
        if name in ranges:
            dimensions[name] = read_range(name, ranges[name], whole=type(value_of(base, name)) is int)
        elif len(texts) > 1:
            seen = {shown(value_of(base.override([f"{name}={text}"]), name)): text for text in texts}
            dimensions[name] = Choice(tuple(seen.values()), tuple(seen))
    if not dimensions:
        raise InputError("sweep: nothing to search; give at least one range or several values, for example --set losses.sparse=1e-6..1e-2.")
    space = Space(dimensions, config, (*fixed, *alone), prior)
    space.corners()
    return space


def read_range(name: str, text: str, *, whole: bool) -> Range:
    """A range as it is written.

    Raises:
        InputError: its ends are no numbers, not in order, or not positive where the range is logarithmic.

    Example:
        >>> read_range("train.lr", "1e-4..1e-3", whole=False)
        Range(low=0.0001, high=0.001, log=False, whole=False)
    """
    parts = RANGE.fullmatch(text)
    low, high = (None, None) if parts is None else (_number(parts["low"]), _number(parts["high"]))
    if parts is None or low is None or high is None or not low < high:
        raise InputError(f"--set {name}={text}: expected LOW..HIGH with two numbers, the lower one first, for example 1e-6..1e-2.")
    log = parts["scale"] == "log" or (parts["scale"] is None and low > 0 and high / low >= WIDE)
    if log and low <= 0:
        raise InputError(f"--set {name}={text}: a logarithmic range begins above 0; write lin:{parts['low']}..{parts['high']}.")
    if whole and not (low.is_integer() and high.is_integer()):
        raise InputError(f"--set {name}={text}: {name} takes whole numbers; give whole ends.")
    return Range(low, high, log, whole)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def drawn(space: Space, count: int, seed: int) -> Grid:
    """`count` different trials, drawn independently of each other; more of them begin with the same ones.

    Raises:
        InputError: there are not so many different ones.

    Example:
        >>> space = make_space(["losses.sparse=1e-6..1e-2", "train.lr=1e-4..1e-3"])
        >>> few, more = (drawn(space, n, seed=1).trials for n in (2, 5))
        >>> few == more[:2], len({trial.name for trial in more})
        (True, 5)
    """
    random = rng(seed, "sweep")
    trials: dict[str, Trial] = {}
    for _ in range(ATTEMPTS * count):
        trial = space.trial([dimension.draw(random) for dimension in space.dimensions.values()])
        trials.setdefault(trial.name, trial)
        if len(trials) == count:
            return grid_of(space, list(trials.values()))
    raise InputError(f"sweep: {count} different trials were asked for, and only {len(trials)} were found; lower --trials.")


def grid_of(space: Space, trials: Sequence[Trial]) -> Grid:
    """Trials of a space as a grid: the values of each setting that occur, numbers in order."""
    columns: list[tuple[str, ...]] = []
    for place, dimension in enumerate(space.dimensions.values()):
        values = {trial.values[place]: None for trial in trials}
        columns.append(tuple(sorted(values, key=_order)) if isinstance(dimension, Range) else tuple(values))
    return Grid(space.swept, tuple(columns), tuple(trials))


def _order(value: str) -> Any:
    return float(value)
