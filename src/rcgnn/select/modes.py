"""Links that only one operating mode shows, and links that only the mixture of modes shows.

A link that changes sign between modes, or exists in one of them only, is weak in the table as a whole; and an equation that is wrong in
every mode leaves a remainder that other sensors seem to explain. So every mode that is long enough is screened by itself, scaled by its
own mean and sd, with `alpha` divided by the number of modes. What that says counts only where `mechanism.modes` finds that a link differs
between modes at all; without a difference the graph is that of the whole table. Then

    a pair without a verdict, or whose evidence is weak in the whole table, becomes a link where one mode alone makes it a sure one and its
    strength differs between modes;
    a link is dropped where no mode's search chose the pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rcgnn.config import Config
from rcgnn.graph import LINK, NONE, Key
from rcgnn.looks import Looks
from rcgnn.numerics import rng
from rcgnn.screen.features import Sample
from rcgnn.screen.null import by_chance
from rcgnn.screen.order import reaches
from rcgnn.screen.rowwise import rowwise
from rcgnn.screen.structural import Screened, screen
from rcgnn.screen.turning import told
from rcgnn.select.confidence import held_and_sure
from rcgnn.series import BoolArray, FloatArray, IntArray
from rcgnn.verdict import DOUBT, SURE, UNEVEN, PairEvidence, decide

LEAST_ROWS = 400
ROWS_PER_SENSOR = 35
"""A mode with fewer rows, by itself or for each sensor, is not screened."""
LEAST_READINGS = 100
"""Nor is one in which some sensor was read less often than this: the search has nothing to explain there."""
WEAK = (DOUBT, UNEVEN)
"""Reasons of open questions that one mode may settle."""
NEARLY_ALL = 0.9
"""Links are dropped only where the modes that were screened hold this share of the rows."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What the modes show one by one.

    Attributes:
        links: [K+1, n, n] links of at least one mode; of two directions within the step the one with more evidence.
        chosen: [n, n] pairs that the search chose in at least one mode.
        score: [K+1, n, n] largest evidence of any mode.
        confidence: [K+1, n, n] largest of any mode.
        share: of the rows, in modes that were screened.
    """

    links: BoolArray
    chosen: BoolArray
    score: FloatArray
    confidence: FloatArray
    share: float


def by_mode(looks: Looks[Sample], regime: IntArray, screened: Screened, config: Config) -> Seen | None:
    """Screen every mode that is long enough.

    Args:
        looks: at the whole table.
        regime: [T] mode of each row.
        screened: the screen of the whole table; its bases are taken over.
        config: settings.

    Returns:
        None where there is one mode, or none is long enough.
    """
    sample = looks.shared
    sensors = sample.keep.shape[1]
    modes = [regime == r for r in np.unique(regime)]
    if len(modes) == 1:
        return None
    fewest = max(LEAST_ROWS, ROWS_PER_SENSOR * sensors)
    long_enough = [at for at in modes if at.sum() >= fewest and _read(sample, at) >= LEAST_READINGS]
    if not long_enough:
        return None
    found = looks.each(partial(_one, bases=screened.bases, config=config, modes=len(modes)), long_enough)
    score = np.max([one.score for one in found], axis=0)
    links = np.any([one.links for one in found], axis=0)
    links[0] &= ~(links[0].T & (score[0] < score[0].T))
    return Seen(
        links,
        np.any([one.chosen for one in found], axis=0),
        score,
        np.max([one.confidence for one in found], axis=0),
        float(np.mean(np.any(long_enough, axis=0))),
    )


def only(sample: Sample, at: BoolArray) -> Sample:
    """The rows `at` [T] of a sample, whole segments, each sensor with mean 0 and sd 1 over them."""
    new = np.cumsum(at) - 1
    segments = [slice(int(new[s.start]), int(new[s.stop - 1]) + 1) for s in sample.segments if at[s.start]]
    x = sample.signal[:, at]
    rows = np.flatnonzero(at) if sample.rows is None else sample.rows[at]
    spread = x.std(axis=(0, 1))
    return replace(
        sample, signal=(x - x.mean(axis=(0, 1))) / np.where(spread > 0, spread, 1.0), keep=sample.keep[at], segments=segments, rows=rows
    )


def _read(sample: Sample, at: BoolArray) -> int:
    """Rows with a whole past in which the least read sensor was read."""
    runs = [np.arange(s.start + sample.max_lag, s.stop) for s in sample.segments if at[s.start]]
    return int(sample.keep[np.concatenate(runs).astype(np.int64)].sum(axis=0).min())


def _one(sample: Sample, at: BoolArray, *, bases: Sequence[str], config: Config, modes: int) -> Seen:
    part = only(sample, at)
    found = screen(part, config.screen, bases=bases, rng=rng(config.seed, "drivers"))
    chance = by_chance(Looks(part), config, found.needed(config.select.alpha)).surplus
    sure = held_and_sure(found, chance, config)[1]
    own = found.evidence
    pairs = PairEvidence(
        own.surplus, found.log_p, own.chosen, own.direction, found.tests, own.profile, chance, told=told(found), rowwise=rowwise(found)
    )
    verdict, _ = decide(pairs, alpha=config.select.alpha / modes)
    links = (verdict == LINK) & (sure >= SURE) if config.select.halves else verdict == LINK
    return Seen(links, np.asarray(own.chosen.any(axis=0)), found.score, sure, 1.0)


def candidates(verdict: NDArray[np.int8], seen: Seen | None, reasons: Mapping[Key, str]) -> BoolArray:
    """[K+1, n, n] decided links, and links of single modes between pairs about which nothing was decided, or which are open because the
    evidence of the whole table is weak: that of a link which turns its sign is.
    """
    links = np.asarray(verdict == LINK)
    if seen is None:
        return links
    decided = np.array(verdict != NONE)
    for key in (key for key, why in reasons.items() if why in WEAK):
        decided[key] = False
    free = np.asarray(~decided.any(axis=0))
    np.fill_diagonal(free, val=False)
    same_step = decided[0] | decided[0].T
    extra = seen.links & free
    extra[0] &= ~same_step
    return links | extra


def revise(verdict: NDArray[np.int8], reasons: dict[Key, str], seen: Seen, differs: BoolArray) -> NDArray[np.int8]:
    """[K+1, n, n] verdicts with what the modes add and drop; unchanged where no link differs.

    Args:
        verdict: [K+1, n, n] of the whole table.
        reasons: of links that are required beforehand, which are never dropped, and of open questions.
        seen: what the modes show.
        differs: [K+1, n, n] candidates whose strength is not the same in all modes.
    """
    done = np.array(verdict)
    if not differs.any():
        return done
    if seen.share >= NEARLY_ALL:
        dropped = (verdict == LINK) & ~seen.chosen
        for key in reasons:
            dropped[key] = False
        done[dropped] = NONE
    added = candidates(verdict, seen, reasons) & (verdict != LINK) & differs
    done[1:][added[1:]] = LINK
    now = np.argwhere(added[0])
    for i, j in now[np.argsort(-seen.score[0][added[0]], kind="stable")].tolist():
        parents = [frozenset(np.flatnonzero(causes == LINK).tolist()) for causes in done[0].T]
        if not reaches(parents, j, i):
            done[0, i, j] = LINK
    return done
