"""The way of the data, top to bottom: table -> quality -> cleaning -> signal -> screen -> network -> verdict -> graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rcgnn.answer import Checks, Decision, assemble, undecidable
from rcgnn.aside import Aside, Task, Told, aside, pays
from rcgnn.budget import Budget
from rcgnn.candidates import Candidates
from rcgnn.config import Config
from rcgnn.data.cleaning import clean
from rcgnn.data.copies import distinct
from rcgnn.data.counts import stabilised
from rcgnn.data.quality import QualityReport, inspect
from rcgnn.data.resample import regular
from rcgnn.data.splice import splice
from rcgnn.data.windows import long_enough
from rcgnn.diagnosis import diagnose
from rcgnn.graph import LINK, CausalGraph
from rcgnn.health import Finding, HealthRecord, Progress, silent
from rcgnn.keeper import Keeper
from rcgnn.looks import Looks, Spread, here
from rcgnn.mechanism.contrast import about, contrasted
from rcgnn.mechanism.effects import described
from rcgnn.mechanism.equations import Mechanism, Sensors
from rcgnn.mechanism.modes import Modes, compare
from rcgnn.mechanism.refit import Material, learn
from rcgnn.numerics import rng
from rcgnn.pack import kinds
from rcgnn.prepared import Prepared, prepare
from rcgnn.prior import Informed, Prior
from rcgnn.refined import Refined
from rcgnn.remarks import bridged, given_up, interrupted, thinned
from rcgnn.rerun import Repeated, until_links
from rcgnn.screen import thin, width
from rcgnn.screen.features import Sample
from rcgnn.screen.null import Chance
from rcgnn.screen.structural import Screened
from rcgnn.select.confidence import held_and_sure
from rcgnn.select.known import left_out
from rcgnn.select.modes import Seen, by_mode, candidates
from rcgnn.series import BoolArray, Series
from rcgnn.signal.draws import Signal
from rcgnn.signal.vanishing import told
from rcgnn.stages import KINDS as STAGE_KINDS
from rcgnn.stages import LEAST_SENSORS, Course, OnRecord, bases_of, checks, reached_by, screened_by, signal_of, threads
from rcgnn.store import Store

KINDS = STAGE_KINDS | kinds(Mechanism, Sensors, Modes, Seen)
"""What the kept results of all stages are made of."""
INTERRUPTED = "interrupted"
LEAST_TRAINING = 10.0
"""Seconds below which a network is not begun under a budget: loading and first epochs take as long."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The answer of one fit and everything it rests on.

    Attributes:
        graph: the links.
        findings: what is worth knowing about table, training and answer.
        records: training health, one an epoch.
        summary: plain facts: seconds by stage, ranges before and after, basis, what the network gained.
        state: network weights by name.
        scaler: how readings were scaled.
        series: the table as it was fitted: with even steps where `data.resample` asks for them, without rows that repeat others.
        quality: the data-quality report; None for the origin's recipes.
        prepared, signal, screened, refined: the stages' own results; None where a stage did not run.
        decision: what was decided about the active sensors, and on what; None where no screen ran.
        mechanism: the refitted equations behind the links; None where no screen ran.
    """

    graph: CausalGraph
    findings: list[Finding]
    records: list[HealthRecord]
    summary: dict[str, Any]
    state: dict[str, NDArray]
    scaler: Mapping[str, Any]
    series: Series
    quality: QualityReport | None = None
    prepared: Prepared | None = None
    signal: Signal | None = None
    screened: Screened | None = None
    refined: Refined | None = None
    mechanism: Mechanism | None = None
    decision: Decision | None = None

    @property
    def equations(self) -> dict[str, NDArray]:
        """The mechanism as plain arrays; empty where there is none."""
        return self.mechanism.to_arrays() if self.mechanism else {}


@dataclass(frozen=True, eq=False)
class Found:
    """What the stages before the screen found, and what was known beforehand."""

    prepared: Prepared
    signal: Signal
    material: Material
    prior: Prior | None


def fit_series(  # noqa: PLR0913 - what is fitted, then who is told and who helps
    series: Series,
    config: Config,
    *,
    progress: Progress = silent,
    on_record: OnRecord | None = None,
    budget: Budget | None = None,
    store: Store | None = None,
    spread: Spread[Sample] = here,
) -> Fit:
    """The causal graph of one table. Sees no truth: there is no parameter for it.

    Args:
        series: the readings, in sensor units.
        config: all settings; the recipe decides between our way and the origin's.
        progress: told of every stage and step.
        on_record: called with every health record as it is made.
        budget: the time it may take; None: `config.budget`, from now on.
        store: where results of stages and states of training are kept, and found again; with one, an interruption gives a partial
            answer as soon as a graph is known.
        spread: who does the second looks; the answer is the same.

    Raises:
        ConfigError: the prior knowledge does not fit the sensors, contradicts itself, or meets a recipe of the origin.
        TableError: `data.resample` is set and the table has no time.
    """
    prior = Prior.given(config, series.names)
    series, steps = regular(series, config.data.resample)
    budget = Budget.of(config.budget) if budget is None else budget
    with threads(series.shape[1]):
        own = config.recipe == "auto"
        course = Course(progress, on_record, budget, Keeper(store, KINDS, budget), spread)
        fit = _auto(series, config, prior, course) if own else _origin(series, config, course)
    return replace(fit, findings=[*steps, *budget.findings(), *fit.findings])


def _auto(series: Series, config: Config, prior: Prior | None, course: Course) -> Fit:
    with course.stage("inspect"):
        series, copies = (series, ()) if config.data.clean == "off" else distinct(series)
        whole, changes = (series, ()) if config.data.clean == "off" else splice(series)
        report = inspect(whole, min_observed=config.data.min_observed)
    with course.stage("clean"):
        cleaned = clean(whole, report, config.data.clean)
        prepared = prepare(whole, report, cleaned, config)
    facts = {"seconds": course.budget.took, "ranges": prepared.ranges(series)}
    findings = [*copies, *changes, *report.findings, *cleaned.findings, *left_out(prior, prepared.active)]
    if config.data.max_lag == "auto":
        with course.stage("reach"):
            reached = course.keeper.kept("reach", lambda: reached_by(prepared, config, prior, course.budget))
        config = config.model_copy(update={"data": config.data.model_copy(update={"max_lag": reached.max_lag})})
        prior = Prior.given(config, series.names)
        findings += reached.findings() if len(prepared.active) >= LEAST_SENSORS else []
        facts |= reached.facts()
    if len(prepared.active) < LEAST_SENSORS:
        graph = undecidable(series.names, config.data.lags, report, prior)
        return Fit(graph, findings, [], facts | {"verdict": "undecidable"}, {}, prepared.scaler.to_dict(), series, report, prepared)
    if prior is not None:
        knowing = Informed.of(config.screen, prior.taking_part(prepared.active))
        config = config.model_copy(update={"screen": knowing})
    task, bases = Task(prepared, config, course.keeper.store), bases_of(prepared, config)
    with aside(task, wanted=_beside(prepared, bases, config, course.budget)) as other:
        with course.stage("smooth"):
            signal, keep = course.keeper.kept("smooth", lambda: signal_of(prepared, config, course))
        found = Found(prepared, signal, Material.of(prepared.cleaned, prepared.scaled, prepared.scaler, signal), prior)
        findings = told(findings, report, prepared.scaled.names, signal.selection, found.material.unit, found.material.offset)
        sample = Sample(stabilised(signal.draws, prepared.scaled, prepared.counted), keep, prepared.scaled.segments(), config.data.lags)
        sample = thin.thinned(sample, bases)
        findings += [*bridged(signal.bridged), *width.about(config.screen.basis, len(bases), config.data.lags)]
        findings += thin.about(sample, len(keep))
        with course.spread(sample) as looks:
            with course.stage("screen"):
                screened = screened_by(sample, bases, config, course)
            network = _Network(_untrained(prepared, screened, config), task, screened, other)
            network.begin()
            with course.stage("decide"):
                decision = course.keeper.unless_interrupted(
                    lambda: _decided(found, looks, screened, config, course), lambda: _at_once(prepared, screened, config)
                )
        return _answered(series, (found, screened, decision), (findings, facts), (config, course), network)


class _Network(NamedTuple):
    """Why there is nothing to train, or what, and the process that does it meanwhile, where there is one."""

    idle: str | None
    task: Task
    screened: Screened
    other: Aside | None

    def begin(self) -> None:
        """Now, where another process does it."""
        if self.other is not None and self.idle is None:
            self.other.begin(Candidates.of(self.screened))

    def trained(self, course: Course) -> Repeated[Refined]:
        """What came of it."""
        budget, told = course.budget, Told(course.progress, course.on_record)
        if self.other is not None:
            return self.other.answer(told)
        over, again = (lambda: not budget.allows("epochs")), (lambda: budget.left() > 0)
        return self.task.done(Candidates.of(self.screened), told, course.keeper, over=over, again=again)


def _answered(
    series: Series,
    known: tuple[Found, Screened, Decision],
    said: tuple[list[Finding], dict[str, Any]],
    how: tuple[Config, Course],
    network: _Network,
) -> Fit:
    """From here on there is a graph, whatever else there is still time for."""
    (found, screened, decision), (findings, facts), (config, course) = known, said, how
    keeper = course.keeper
    prepared, signal = found.prepared, found.signal
    graph = assemble(series.names, prepared.active, prepared.report, decision, found.prior)
    mechanism, modes, trained = None, None, None
    with course.stage("measure"):
        measured = keeper.unless_interrupted(lambda: _measured(graph, found, decision, screened, config, course), lambda: None)
    if measured is not None:
        mechanism, modes = measured
        graph = contrasted(described(graph, mechanism), mechanism, modes)
    idle = INTERRUPTED if keeper.interrupted else network.idle or _too_late(course.budget)
    if idle is None:
        with course.stage("train"):
            trained = keeper.unless_interrupted(lambda: network.trained(course), lambda: None)
        idle = INTERRUPTED if trained is None else None
    refined, records, again = (trained.last, trained.records, trained.findings) if trained else (None, [], [])
    findings += [
        *again,
        *given_up(refined.failed if refined else None),
        *thinned(refined.thinned if refined else None),
        *decision.findings,
        *(about(graph, mechanism, modes) if mechanism else []),
        *diagnose(records, config),
        *interrupted(keeper.interrupted),
    ]
    facts |= {"basis": screened.basis, "evidence_by_basis": screened.value, "smoothed": signal.smoothed} | _trained(refined, idle, decision)
    facts |= {"partial": True} if keeper.interrupted else {}
    state, scaler = refined.state if refined else {}, prepared.scaler.to_dict()
    return Fit(
        graph, findings, records, facts, state, scaler, series, prepared.report, prepared, signal, screened, refined, mechanism, decision
    )


def _decided(found: Found, looks: Looks[Sample], screened: Screened, config: Config, course: Course) -> Decision:
    checked = Checks(*checks(looks, found.prepared, screened, found.signal, course, config))
    held = course.keeper.kept("halves", lambda: held_and_sure(screened, checked.chance.surplus, config))
    decision = Decision.of(screened, found.prepared.scaled, checked, config, held)
    return _by_mode(decision, looks, (found, screened), config, course)


def _at_once(prepared: Prepared, screened: Screened, config: Config) -> Decision:
    """What the screen alone says: no second look, no confidence."""
    without = config.model_copy(update={"select": config.select.model_copy(update={"halves": 0})})
    return Decision.of(screened, prepared.scaled, Checks(Chance(0.0, 0.0), None), without)


def _measured(
    graph: CausalGraph, found: Found, decision: Decision, screened: Screened, config: Config, course: Course
) -> tuple[Mechanism, Modes | None]:
    def measure() -> tuple[Mechanism, Modes | None]:
        clean = config.data.clean != "off"
        mechanism = learn(graph, found.material, screened.curved, rng(config.seed, "blocks"), clean=clean)
        return mechanism, _compared(decision.verdict == LINK, found.material, config)

    return course.keeper.kept("measure", measure)


def _compared(links: BoolArray, material: Material, config: Config) -> Modes | None:
    return compare(material, np.argwhere(links), config.data.lags, rng(config.seed, "modes"), config.select.alpha)


def _by_mode(decision: Decision, looks: Looks[Sample], known: tuple[Found, Screened], config: Config, course: Course) -> Decision:
    """The decision with what single operating modes show, where links differ between them."""
    material, screened = known[0].material, known[1]
    seen = course.keeper.kept("modes", lambda: by_mode(looks, looks.shared.of(material.table.regime), screened, config))
    if seen is None:
        return decision
    modes = _compared(candidates(decision.verdict, seen, decision.reasons), material, config)
    return decision if modes is None else decision.revised(seen, modes.links[modes.differs])


def _untrained(prepared: Prepared, screened: Screened, config: Config) -> str | None:
    """Why there is nothing to train; None where there is. Where straight lines do for every sensor the network has nothing to add."""
    if config.select.refine == "auto" and not screened.bends(config.select.alpha):
        return "straight lines explain every sensor; select.refine=on trains it all the same"
    return _untrainable(prepared, config)


def _untrainable(prepared: Prepared, config: Config) -> str | None:
    """Why nothing can be trained, whatever the screen finds."""
    if config.select.refine == "off":
        return "switched off"
    if not long_enough(prepared.scaled, prepared.held, np.ones_like(prepared.held), config.data.lags):
        return "too few rows"
    return None


def _too_late(budget: Budget) -> str | None:
    return None if budget.allows("train", LEAST_TRAINING if budget.limited else 0.0) else "the budget was used up"


def _beside(prepared: Prepared, bases: list[str], config: Config, budget: Budget) -> bool:
    """Is the network, if there may be one, trained beside the rest? Under a budget it gets what is left, so it comes last."""
    wanted = config.select.refine == "on" or set(bases) != {"linear"}
    return wanted and not budget.limited and pays(*prepared.scaled.shape) and _untrainable(prepared, config) is None


def _trained(refined: Refined | None, idle: str | None, decision: Decision) -> dict[str, Any]:
    facts: dict[str, Any] = {"detectable_share": decision.detectable}
    if refined is None:
        return facts | {"network": f"not trained: {idle}"}
    facts |= {"stopped": refined.stopped, "candidates": int(refined.candidates.any(axis=0).sum())}
    last = refined.records[-1] if refined.records else None
    if last is not None:
        facts["gain_over_self"] = last.gain_over_self
    if refined.failed:
        facts["verdict"] = refined.failed
    return facts


def _origin(series: Series, config: Config, course: Course) -> Fit:
    from rcgnn.origin.fit import OriginResult, fit_origin
    from rcgnn.train.training import pick_device

    device = "cpu" if config.device == "auto" else str(pick_device(config.device))  # so small a network is quickest on the processor

    def once(settings: Config, keep: OnRecord) -> OriginResult:
        return fit_origin(series, settings, progress=course.progress, on_epoch=lambda epoch: keep(epoch.record), device=device)

    def links(result: OriginResult) -> int | None:
        return len(result.graph.links()) if series.shape[1] >= LEAST_SENSORS else None

    with course.stage("train"), threads(series.shape[1]):
        trained = until_links(once, links, config, progress=course.progress, on_record=course.on_record)
    done = trained.last
    state = {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in done.state.items()}
    findings = [*trained.findings, *diagnose(trained.records, config)]
    return Fit(done.graph, findings, trained.records, {"seconds": course.budget.took, "origin": done.summary}, state, {}, series)
