"""The same screen on a table in which no sensor can drive another: each sensor turned round its own circle of time.

Circular shifts keep every sensor's own memory, season and distribution and break every relation between sensors. What the
screen still finds there it finds without a cause: in tables with a shared season, a trend or a unit root that is a lot, and a
real pair must do better. Source: Chandrasekaran & Moore 2013 on circular-shift nulls; Quiroga et al. 2002, surrogate tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.config import Config, ScreenConfig
from rcgnn.looks import Looks
from rcgnn.mapped import in_turn, spacious
from rcgnn.numerics import rng
from rcgnn.prior import nothing_required
from rcgnn.screen.features import Sample
from rcgnn.screen.structural import screen
from rcgnn.series import IntArray, beside

SPACING = 8
"""Offsets lie at least this many times the longest lag apart."""
FIRST_COPIES = 3
WORTH_MORE = 0.5
"""With fewer chosen pairs than this in a copy, three copies say enough."""
COPIED, LEAST_COPIES = 640_000, 5
"""All copies together hold about so many cells: the fewer rows there are to average over, the more one copy differs from the next."""


@dataclass(frozen=True)
class Chance:
    """What the screen finds without a cause: `surplus`, the largest evidence of a pair in the median copy; `pairs`, their number a copy."""

    surplus: float
    pairs: float


def shifted(sample: Sample, rng: np.random.Generator) -> Sample | None:
    """Every sensor rolled by its own offset, any two offsets far enough apart that no real link stays in reach.

    Which sensor gets which offset follows its first value, not its column: the order of columns changes nothing.

    Returns:
        The draws and their readings, rolled alike; None where the table is too short for its number of sensors.
    """
    signal, keep = sample.signal, sample.keep
    rows, sensors = keep.shape
    if rows < SPACING * max(sample.max_lag, 1) * sensors:
        return None
    offsets = np.empty(sensors, np.int64)
    offsets[np.argsort(signal[0, 0], kind="stable")] = (rng.permutation(sensors) + rng.random()) * rows / sensors
    turned = [_turned(draw, offsets) for draw in signal]
    return replace(sample, signal=beside(turned), keep=_turned(keep, offsets))


def _turned(cells: NDArray[Any], offsets: IntArray) -> NDArray[Any]:
    """[T, N] every column rolled by its own offset."""
    found = spacious(cells.shape, cells.dtype)
    for j, offset in in_turn(enumerate(offsets), found, cells):
        found[:, j] = np.roll(cells[:, j], offset)
    return found


def by_chance(looks: Looks[Sample], config: Config, bases: Sequence[str]) -> Chance:
    """`largest_by_chance` with the settings of a fit; `bases` are those that it needed on the real table."""
    most = min(config.select.shifted_copies, number_of_copies(*looks.shared.keep.shape))
    copies = [rng(config.seed, "shifted", copy) for copy in range(most)]
    return largest_by_chance(looks, config.screen, copies, bases=bases)


def number_of_copies(rows: int, sensors: int) -> int:
    """How many copies a table is worth, at least `LEAST_COPIES`.

    Example:
        >>> number_of_copies(1500, 13), number_of_copies(2000, 40), number_of_copies(9357, 13)
        (32, 8, 5)
    """
    return max(COPIED // (rows * sensors), LEAST_COPIES)


def largest_by_chance(
    looks: Looks[Sample], config: ScreenConfig, rngs: Sequence[np.random.Generator], *, bases: Sequence[str] | None = None
) -> Chance:
    """The best that the screen chooses without a cause, on circularly shifted copies; each copy looks at the next draw.

    The median over the copies, since what shared seasons, trends and unit roots do shows in every copy; the largest hangs on the one copy
    in which two outages happened to meet, and with it on the seed.

    Args:
        looks: at the real table.
        config: settings of the screen.
        rngs: one for each copy. Copies after the first `FIRST_COPIES` are only made where those showed links.
        bases: the basis of each sensor that was needed on the real table.

    Returns:
        The median of each copy's largest evidence and the mean number of pairs over the copies made; zeros where none could be made.
    """
    quick = nothing_required(config).model_copy(update={"joint_rows": False})
    look, copies = partial(_copy, config=quick, bases=bases), list(enumerate(rngs))
    found = looks.each(look, copies[:FIRST_COPIES])
    if sum(one.pairs for one in found if one) >= WORTH_MORE * len(found):
        found += looks.each(look, copies[FIRST_COPIES:])
    made = [one for one in found if one] or [Chance(0.0, 0.0)]
    return Chance(float(np.median([one.surplus for one in made])), float(np.mean([one.pairs for one in made])))


def _copy(sample: Sample, copy: tuple[int, np.random.Generator], *, config: ScreenConfig, bases: Sequence[str] | None) -> Chance | None:
    """What one copy shows; None where it cannot be made."""
    number, offsets = copy
    turned = shifted(replace(sample, signal=sample.signal[[number % len(sample.signal)]]), offsets)
    if turned is None:
        return None
    found = screen(turned, config, bases=bases).evidence
    pairs = found.chosen.any(axis=0)
    return Chance(float(found.surplus[pairs].max(initial=0.0)), float(pairs.sum()))
