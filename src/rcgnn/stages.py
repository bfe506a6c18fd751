"""The stages of a fit up to the evidence: signal, longest delay, screen and second looks; each asks whether there is time for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rcgnn.budget import Budget
from rcgnn.config import Config
from rcgnn.data.marks import segment_number
from rcgnn.data.process_rules import noise_share
from rcgnn.health import Finding, HealthRecord, Progress
from rcgnn.keeper import Keeper
from rcgnn.looks import Looks, Spread, here
from rcgnn.mapped import in_turn, let_go_of_all
from rcgnn.numerics import one_thread, rng
from rcgnn.pack import kinds
from rcgnn.prepared import Prepared
from rcgnn.prior import Informed, Prior, known_to, least_reach
from rcgnn.refined import Refined
from rcgnn.screen import width
from rcgnn.screen.features import Sample
from rcgnn.screen.null import Chance, by_chance, number_of_copies
from rcgnn.screen.opinions import Opinions, opinions
from rcgnn.screen.pieces import Pieces, by_pieces, cut
from rcgnn.screen.reach import LEAST, MOST_FEATURES, Reach, reach
from rcgnn.screen.stored import KINDS as SCREEN_KINDS
from rcgnn.screen.stored import Stored
from rcgnn.screen.structural import Screened, screen, sparse_support
from rcgnn.screen.thin import thinned
from rcgnn.select.effects import strengths
from rcgnn.series import BoolArray, sensor_blocks
from rcgnn.signal.draws import MOST_ROWS, Signal, infer, needed, smoothing
from rcgnn.signal.statespace import Readings, Selection
from rcgnn.signal.vanishing import suspects

OnRecord = Callable[[HealthRecord], None]
Checked = tuple[Chance, Pieces | None, Opinions | None]
LEAST_SENSORS = 2
SHIFTED_COPIES = 3
"""Circularly shifted copies behind a K that is chosen from the table."""
CURVES, LOOKS = 25.0, 3.0
"""How long a screen with curves takes at most, in screens with straight lines; how long a second look takes, in screens."""
FOLLOWS = 3.0
"""What follows the iterations of the state space, in iterations, beside its draws, which go over all rows."""
SMALL = 64
"""Up to this many sensors one thread does best, and further searches are quick enough."""

KINDS = SCREEN_KINDS | kinds(Reach, Signal, Selection, Chance, Pieces, Opinions, Refined, Finding, HealthRecord)
"""What the results of the stages here, and of training, are made of."""


@dataclass(frozen=True, eq=False)
class Course:
    """Who is told while a fit goes on, how long it may take, what is kept of it, and who does its second looks."""

    progress: Progress
    on_record: OnRecord | None
    budget: Budget
    keeper: Keeper
    spread: Spread[Sample] = here

    def stage(self, name: str) -> AbstractContextManager[None]:
        """One stage, told and timed; what the one before looked at is let go of."""
        let_go_of_all()
        return self.budget.stage(name, self.progress)

    def counted(self, stage: str) -> Callable[[int, int], None]:
        """`tell(done, total)` for a stage that works through many equal parts, such as the screen through its targets."""
        return lambda done, total: self.progress(stage, {"done": done, "total": total})


def threads(sensors: int) -> AbstractContextManager[None]:
    """Linear algebra on as many threads as so many sensors are worth: one, or those of the machine."""
    return one_thread() if sensors <= SMALL else nullcontext()


def signal_of(prepared: Prepared, config: Config, course: Course) -> tuple[Signal, BoolArray]:
    """The signal draws, and [T, n] the readings that count. Under a budget the state space may take the first half of it."""
    scaled = prepared.scaled
    hidden = suspects(prepared.report, prepared.cleaned, prepared.active, config.signal.mnar)
    readings = Readings(scaled.values, scaled.mask, scaled.segments(), hidden)
    segment = segment_number(scaled)
    shares = [noise_share(scaled.values[:, b], segment) for b in in_turn(sensor_blocks(scaled.shape), scaled.values)]
    noise = np.where(prepared.counted, 0.0, np.concatenate(shares))  # a count's own noise is part of it
    draw = rng(config.seed, "signal")
    support = partial(sparse_support, prior=known_to(config.screen))
    settings, budget = config.signal, course.budget
    if smoothing(readings, noise, settings) and not budget.allows("smooth", budget.half):
        settings = settings.model_copy(update={"smooth": "off"})
    asked = partial(infer, readings, noise, support=support, rng=draw, progress=course.progress)
    try:
        signal = asked(config=settings, enough=_enough(budget, len(scaled.values)))
    except _TooSlowError:
        signal = asked(config=settings.model_copy(update={"smooth": "off"}))
    if settings.smooth == "auto" and needed(readings, noise) and not smoothing(readings, noise, settings):
        signal = replace(signal, bridged=True)
    return signal, scaled.mask & ~signal.gated if signal.gated.any() else scaled.mask


class _TooSlowError(Exception):
    """Not even one iteration of the state space, and its draws, fit into the first half of the budget."""


def _enough(budget: Budget, rows: int) -> Callable[[], bool]:
    """Asked after every iteration: do one more and what follows, counted in iterations, fit into the first half of the budget?"""
    began, done = budget.spent(), 0
    follows = FOLLOWS + 2.0 * rows / min(rows, MOST_ROWS)

    def enough() -> bool:
        nonlocal done
        done += 1
        needed = budget.half + (budget.spent() - began) / done * follows
        if done == 1 and not budget.allows("smooth", needed):
            raise _TooSlowError
        return not budget.allows("iterations", needed)

    return enough


def reached_by(prepared: Prepared, config: Config, prior: Prior | None, budget: Budget) -> Reach:
    """K from the table, and not below a delay that prior knowledge names."""
    least = max(LEAST, least_reach(config.prior, prepared.cleaned.series.names))
    if len(prepared.active) < LEAST_SENSORS or not budget.allows("reach", budget.half):
        return Reach(least, {})
    known = config.screen if prior is None else Informed.of(config.screen, prior.taking_part(prepared.active))
    whole = Sample(
        prepared.filled()[None], prepared.scaled.mask, prepared.scaled.segments(), max(MOST_FEATURES // len(prepared.active) - 1, 1)
    )
    sample = replace(thinned(whole, ["linear"] * len(prepared.active)), max_lag=least)
    return reach(sample, known, [rng(config.seed, "reach", copy) for copy in range(SHIFTED_COPIES)])


def screened_by(sample: Sample, bases: list[str], config: Config, course: Course) -> Screened:
    """The screen, or the one that was kept: none with prior knowledge, which asks for moments later.

    A new one is handed on as it was made, with its moments.
    """
    if course.keeper.store is None or known_to(config.screen) is not None:
        return _screened(sample, bases, config, course)
    made: list[Screened] = []

    def make() -> Stored:
        made.append(_screened(sample, bases, config, course))
        return Stored.of(made[0], strengths(made[0]))

    found = course.keeper.kept("screen", make)
    return made[0] if made else found.again(sample)


def _screened(sample: Sample, bases: list[str], config: Config, course: Course) -> Screened:
    """Under a budget straight lines come first, and curves where there is time for `CURVES` times as long."""
    budget = course.budget
    if budget.limited and set(bases) != {"linear"}:
        began = budget.left()
        straight = screen(sample, config.screen, bases=["linear"] * len(bases), rng=rng(config.seed, "drivers"))
        if not budget.allows("curves", CURVES * (began - budget.left())):
            return straight
    return screen(sample, config.screen, bases=bases, rng=rng(config.seed, "drivers"), tell=course.counted("screen"))


def checks(looks: Looks[Sample], prepared: Prepared, screened: Screened, signal: Signal, course: Course, config: Config) -> Checked:
    """The second looks; under a budget those for which there is time, by what the screen itself took."""
    sample, budget = looks.shared, course.budget
    rows, sensors = sample.keep.shape
    once = budget.took["screen"]
    copies = budget.copies(min(config.select.shifted_copies, number_of_copies(rows, sensors)), once)
    fewer = config.select.model_copy(update={"shifted_copies": copies})
    kept = course.keeper.kept
    chance = kept("chance", lambda: by_chance(looks, config.model_copy(update={"select": fewer}), screened.needed(config.select.alpha)))
    long = bool(cut(sample.segments, rows, sensors, config.screen.pieces)) and len(prepared.scaled.regime_names) < 2
    pieces = None
    if long and budget.allows("pieces", LOOKS * once):  # a link of one regime need not hold in the pieces of another
        pieces = kept("pieces", lambda: by_pieces(looks, config.screen, bases=screened.bases, rng=partial(rng, config.seed, "pieces")))
    few = not long and sensors <= SMALL
    searched = few and (signal.smoothed or bool(prepared.counted.any()))
    if not config.screen.opinions or (searched and not budget.allows("opinions", LOOKS * once)):
        return chance, pieces, None
    if budget.cut("curves"):  # curves there was no time for are not tried again
        config = config.model_copy(update={"screen": config.screen.model_copy(update={"basis": "linear"})})
    return chance, pieces, kept("opinions", lambda: _opinions(looks, prepared, signal, config, few))


def _opinions(looks: Looks[Sample], prepared: Prepared, signal: Signal, config: Config, search: bool) -> Opinions | None:  # noqa: FBT001 - private
    sample = looks.shared
    if signal.smoothed:
        read = replace(sample, signal=sample.of(prepared.filled())[None], keep=sample.of(prepared.scaled.mask))
        return opinions(read, looks, signal.moment, config.screen, search=search)
    if not prepared.counted.any() or not search:
        return None
    counted = replace(sample, signal=np.stack([sample.of(draw) for draw in signal.draws]))  # as they were read, not their roots
    return Opinions((), (screen(counted, config.screen, bases=bases_of(prepared, config)).score.max(axis=0),))


def bases_of(prepared: Prepared, config: Config) -> list[str]:
    """What each sensor is offered; where evidence may choose, a count gets straight lines: its root has no curve to be found."""
    basis = width.fitting(config.screen.basis, len(prepared.active), config.data.lags)
    return ["linear" if counted and basis == "auto" else basis for counted in prepared.counted]
