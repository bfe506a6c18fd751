"""The way of the data, top to bottom: table -> quality -> cleaning -> signal -> screen -> network -> verdict -> graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.answer import Checks, Decision, assemble, undecidable
from rcgnn.aside import Aside, Task, Told, aside, pays
from rcgnn.budget import Budget
from rcgnn.config import Config
from rcgnn.data.cleaning import clean
from rcgnn.data.counts import stabilised
from rcgnn.data.findings import finding
from rcgnn.data.quality import QualityReport, inspect
from rcgnn.data.resample import regular
from rcgnn.data.splice import splice
from rcgnn.data.windows import long_enough
from rcgnn.diagnosis import diagnose
from rcgnn.graph import LINK, CausalGraph
from rcgnn.health import Finding, HealthRecord, Progress, silent
from rcgnn.mechanism.contrast import about, contrasted
from rcgnn.mechanism.effects import described
from rcgnn.mechanism.equations import Mechanism
from rcgnn.mechanism.modes import Modes, compare
from rcgnn.mechanism.refit import Material, learn
from rcgnn.numerics import rng
from rcgnn.prepared import Prepared, prepare
from rcgnn.prior import Informed, Prior
from rcgnn.refined import Refined
from rcgnn.rerun import Repeated, until_links
from rcgnn.screen import thin, width
from rcgnn.screen.features import Sample
from rcgnn.screen.structural import Screened
from rcgnn.select.known import left_out
from rcgnn.select.modes import by_mode, candidates
from rcgnn.series import BoolArray, Series
from rcgnn.signal.draws import Signal
from rcgnn.signal.vanishing import told
from rcgnn.stages import LEAST_SENSORS, Course, OnRecord, bases_of, checks, reached_by, screened_by, signal_of, threads

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
        series: the table as it was fitted: with even steps where `data.resample` asks for them.
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


def fit_series(
    series: Series, config: Config, *, progress: Progress = silent, on_record: OnRecord | None = None, budget: Budget | None = None
) -> Fit:
    """The causal graph of one table. Sees no truth: there is no parameter for it.

    Args:
        series: the readings, in sensor units.
        config: all settings; the recipe decides between our way and the origin's.
        progress: told of every stage and step.
        on_record: called with every health record as it is made.
        budget: the time it may take; None: `config.budget`, from now on.

    Raises:
        ConfigError: the prior knowledge does not fit the sensors, contradicts itself, or meets a recipe of the origin.
        TableError: `data.resample` is set and the table has no time.
    """
    prior = Prior.given(config, series.names)
    series, steps = regular(series, config.data.resample)
    budget = Budget.of(config.budget) if budget is None else budget
    with threads(series.shape[1]):
        own = config.recipe == "auto"
        course = Course(progress, on_record, budget)
        fit = _auto(series, config, prior, course) if own else _origin(series, config, course)
    return replace(fit, findings=[*steps, *budget.findings(), *fit.findings])


@dataclass(frozen=True, eq=False)
class _Begun:
    """A fit before its signal: the table as given and as prepared, and what is known so far."""

    series: Series
    prepared: Prepared
    findings: list[Finding]
    facts: dict[str, Any]


def _auto(series: Series, config: Config, prior: Prior | None, course: Course) -> Fit:
    with course.stage("inspect"):
        whole, changes = (series, ()) if config.data.clean == "off" else splice(series)
        report = inspect(whole, min_observed=config.data.min_observed)
    with course.stage("clean"):
        cleaned = clean(whole, report, config.data.clean)
        prepared = prepare(whole, report, cleaned, config)
    facts = {"seconds": course.budget.took, "ranges": prepared.ranges(series)}
    findings = [*changes, *report.findings, *cleaned.findings, *left_out(prior, prepared.active)]
    if config.data.max_lag == "auto":
        with course.stage("reach"):
            reached = reached_by(prepared, config, prior, course.budget)
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
    return _decided(_Begun(series, prepared, findings, facts), config, prior, course)


def _decided(begun: _Begun, config: Config, prior: Prior | None, course: Course) -> Fit:
    series, prepared = begun.series, begun.prepared
    with course.stage("smooth"):
        signal, keep = signal_of(prepared, config, course)
    material = Material.of(prepared.cleaned, prepared.scaled, prepared.scaler, signal)
    findings = told(begun.findings, prepared.report, prepared.scaled.names, signal.selection, material.unit, material.offset)
    bases = bases_of(prepared, config)
    sample = Sample(stabilised(signal.draws, prepared.scaled, prepared.counted), keep, prepared.scaled.segments(), config.data.lags)
    sample = thin.thinned(sample, bases)
    findings += [*_bridged(signal), *width.about(config.screen.basis, len(bases), config.data.lags), *thin.about(sample, len(keep))]
    with aside(wanted=_beside(prepared, config, course.budget)) as other:
        with course.stage("screen"):
            screened = screened_by(sample, bases, config, course)
        idle = _untrained(prepared, screened, config)
        if other is not None and idle is None:
            other.begin(Task(prepared, screened, config))
        with course.stage("decide"):
            looks = checks(sample, prepared, screened, signal, course, config)
            decision = Decision.of(screened, prepared.scaled, Checks(*looks), config)
            decision = _by_mode(decision, sample, material, screened, config)
            graph = assemble(series.names, prepared.active, prepared.report, decision, prior)
        with course.stage("measure"):
            mechanism = learn(graph, material, screened.curved, rng(config.seed, "blocks"), clean=config.data.clean != "off")
            modes = _compared(decision.verdict == LINK, material, config)
            graph = contrasted(described(graph, mechanism), mechanism, modes)
        idle = idle or _too_late(course.budget)
        trained = None if idle else _train(Task(prepared, screened, config), course, other)
    refined, records, again = (trained.last, trained.records, trained.findings) if trained else (None, [], [])
    findings += [
        *again,
        *_given_up(refined),
        *_thinned(refined),
        *decision.findings,
        *about(graph, mechanism, modes),
        *diagnose(records, config),
    ]
    facts = begun.facts | {"basis": screened.basis, "evidence_by_basis": screened.value, "smoothed": signal.smoothed}
    facts |= _trained(refined, idle, decision)
    state, scaler, report = refined.state if refined else {}, prepared.scaler.to_dict(), prepared.report
    return Fit(graph, findings, records, facts, state, scaler, series, report, prepared, signal, screened, refined, mechanism, decision)


def _compared(links: BoolArray, material: Material, config: Config) -> Modes | None:
    return compare(material, np.argwhere(links), config.data.lags, rng(config.seed, "modes"), config.select.alpha)


def _by_mode(decision: Decision, sample: Sample, material: Material, screened: Screened, config: Config) -> Decision:
    """The decision with what single operating modes show, where links differ between them."""
    seen = by_mode(sample, sample.of(material.table.regime), screened, config)
    if seen is None:
        return decision
    modes = _compared(candidates(decision.verdict, seen), material, config)
    return decision if modes is None else decision.revised(seen, modes.links[modes.differs])


def _untrained(prepared: Prepared, screened: Screened, config: Config) -> str | None:
    """Why there is nothing to train; None where there is. Where straight lines do for every sensor the network has nothing to add."""
    if config.select.refine == "off":
        return "switched off"
    if config.select.refine == "auto" and not screened.bends(config.select.alpha):
        return "straight lines explain every sensor; select.refine=on trains it all the same"
    if not long_enough(prepared.scaled, prepared.held, np.ones_like(prepared.held), config.data.lags):
        return "too few rows"
    return None


def _too_late(budget: Budget) -> str | None:
    return None if budget.allows("train", LEAST_TRAINING if budget.limited else 0.0) else "the budget was used up"


def _beside(prepared: Prepared, config: Config, budget: Budget) -> bool:
    """Is the network, if there is one, trained while links are decided? Under a budget it gets what is left, so it comes last."""
    return config.select.refine != "off" and not budget.limited and pays(*prepared.scaled.shape)


def _train(task: Task, course: Course, other: Aside | None) -> Repeated[Refined]:
    budget, told = course.budget, Told(course.progress, course.on_record)
    with course.stage("train"):
        if other is not None:
            return other.answer(told)
        return task.done(told, over=lambda: not budget.allows("epochs"), again=lambda: budget.left() > 0)


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


def _given_up(refined: Refined | None) -> list[Finding]:
    """The neural stage failed: say so, even when it failed before its first record."""
    if refined is None or not refined.failed:
        return []
    return [
        Finding(
            code=refined.failed.rpartition(": ")[2],
            severity="act",
            message=f"the neural stage was given up ({refined.failed}); the graph is the screen's, as in every run.",
            remedy="Lower train.lr, or look at the health record for the first bad tensor.",
        )
    ]


def _bridged(signal: Signal) -> list[Finding]:
    """The state space would have been due."""
    if not signal.bridged:
        return []
    text = (
        "gaps or noise ask for the state space, but the table is too large for it: gaps are bridged by straight lines.",
        "Fewer sensors or rows bring it back, and so does signal.smooth=on where only rows are too many.",
    )
    return [finding("bridged", "warn", None, text)]


def _thinned(refined: Refined | None) -> list[Finding]:
    """The network has seen a part of a long table."""
    if refined is None or not refined.thinned:
        return []
    used, rows = refined.thinned
    text = (
        f"the network was trained on {used:,} of {rows:,} rows, in pieces spread over the table.",
        "Nothing: more rows would take longer and change little.",
    )
    return [finding("thinned", "info", None, text, rows=used, of=rows)]


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
