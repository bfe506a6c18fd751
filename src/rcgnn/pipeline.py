"""The way of the data, top to bottom: table -> quality -> cleaning -> signal -> screen -> network -> verdict -> graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.answer import Checks, Decision, assemble, undecidable
from rcgnn.config import Config
from rcgnn.data.cleaning import clean
from rcgnn.data.counts import stabilised
from rcgnn.data.marks import segment_number
from rcgnn.data.process_rules import noise_share
from rcgnn.data.quality import QualityReport, inspect
from rcgnn.data.resample import regular
from rcgnn.data.splice import splice
from rcgnn.diagnosis import diagnose
from rcgnn.graph import LINK, CausalGraph
from rcgnn.health import Finding, HealthRecord, Progress, silent
from rcgnn.mechanism.contrast import about, contrasted
from rcgnn.mechanism.effects import curved, described
from rcgnn.mechanism.equations import Mechanism
from rcgnn.mechanism.modes import Modes, compare
from rcgnn.mechanism.refit import Material, learn
from rcgnn.numerics import one_thread, rng
from rcgnn.prepared import Prepared, prepare
from rcgnn.prior import Informed, Prior, known_to, least_reach
from rcgnn.rerun import Repeated, until_links
from rcgnn.screen import width
from rcgnn.screen.features import Sample
from rcgnn.screen.null import by_chance
from rcgnn.screen.opinions import Opinions, opinions
from rcgnn.screen.pieces import by_pieces
from rcgnn.screen.reach import LEAST, Reach, reach
from rcgnn.screen.structural import Screened, screen, sparse_support
from rcgnn.select.known import left_out
from rcgnn.select.modes import by_mode, candidates
from rcgnn.series import BoolArray, Series, sensor_blocks
from rcgnn.signal.draws import Signal, infer
from rcgnn.signal.statespace import Readings
from rcgnn.signal.vanishing import suspects, told

if TYPE_CHECKING:
    from rcgnn.refine import Refined

OnRecord = Callable[[HealthRecord], None]
LEAST_SENSORS = 2
SHIFTED_COPIES = 3
"""Circularly shifted copies behind a K that is chosen from the table."""
SMALL = 64
"""Up to this many sensors one thread does best, and further searches are quick enough."""


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


@dataclass(eq=False)
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, progress: Progress) -> Iterator[None]:
        progress(name, {})
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)


def fit_series(series: Series, config: Config, *, progress: Progress = silent, on_record: OnRecord | None = None) -> Fit:
    """The causal graph of one table. Sees no truth: there is no parameter for it.

    Args:
        series: the readings, in sensor units.
        config: all settings; the recipe decides between our way and the origin's.
        progress: told of every stage and step.
        on_record: called with every health record as it is made.

    Raises:
        ConfigError: the prior knowledge does not fit the sensors, contradicts itself, or meets a recipe of the origin.
        TableError: `data.resample` is set and the table has no time.
    """
    prior = Prior.given(config, series.names)
    series, steps = regular(series, config.data.resample)
    with _threads(series.shape[1]):
        own = config.recipe == "auto"
        fit = _auto(series, config, prior, progress, on_record) if own else _origin(series, config, progress, on_record)
    return replace(fit, findings=[*steps, *fit.findings])


def _threads(sensors: int) -> AbstractContextManager[None]:
    return one_thread() if sensors <= SMALL else nullcontext()


def _auto(series: Series, config: Config, prior: Prior | None, progress: Progress, on_record: OnRecord | None) -> Fit:
    clock = _Clock()
    with clock.stage("inspect", progress):
        whole, changes = (series, ()) if config.data.clean == "off" else splice(series)
        report = inspect(whole, min_observed=config.data.min_observed)
    with clock.stage("clean", progress):
        cleaned = clean(whole, report, config.data.clean)
        prepared = prepare(whole, report, cleaned, config)
    facts = {"seconds": clock.seconds, "ranges": prepared.ranges(series)}
    findings = [*changes, *report.findings, *cleaned.findings, *left_out(prior, prepared.active)]
    if config.data.max_lag == "auto":
        with clock.stage("reach", progress):
            reached = _reach(prepared, config, prior)
        config = config.model_copy(update={"data": config.data.model_copy(update={"max_lag": reached.max_lag})})
        prior = Prior.given(config, series.names)
        findings += reached.findings() if len(prepared.active) >= LEAST_SENSORS else []
        facts |= reached.facts()
    if len(prepared.active) < LEAST_SENSORS:
        graph = undecidable(series.names, config.data.lags, report, prior)
        return Fit(graph, findings, [], facts | {"verdict": "undecidable"}, {}, prepared.scaler.to_dict(), report, prepared)
    if prior is not None:
        knowing = Informed.of(config.screen, prior.taking_part(prepared.active))
        config = config.model_copy(update={"screen": knowing})
    with clock.stage("smooth", progress):
        signal, keep = _signal(prepared, config, progress)
    material = Material.of(prepared.cleaned, prepared.scaled, prepared.scaler, signal)
    findings = told(findings, report, prepared.scaled.names, signal.selection, material.unit, material.offset)
    findings += width.about(config.screen.basis, len(prepared.active), config.data.lags)
    sample = Sample(stabilised(signal.draws, prepared.scaled, prepared.counted), keep, prepared.scaled.segments(), config.data.lags)
    with clock.stage("screen", progress):
        screened = screen(sample, config.screen, bases=_bases(prepared, config), rng=rng(config.seed, "drivers"))
    trained, idle = None, _untrained(prepared, screened, config)
    if idle is None:
        with clock.stage("train", progress):
            trained = _refine(prepared, screened, config, progress, on_record)
    refined, records, again = (trained.last, trained.records, trained.findings) if trained else (None, [], [])
    with clock.stage("decide", progress):
        decision = Decision.of(screened, prepared.scaled, _checks(sample, prepared, screened, signal, config), config)
        decision = _by_mode(decision, sample, material, screened, config)
        graph = assemble(series.names, prepared.active, report, decision, prior)
    with clock.stage("measure", progress):
        mechanism = learn(graph, material, curved(screened), rng(config.seed, "blocks"), clean=config.data.clean != "off")
        modes = _compared(decision.verdict == LINK, material, config)
        graph = contrasted(described(graph, mechanism), mechanism, modes)
    findings += [*again, *_given_up(refined), *decision.findings, *about(graph, mechanism, modes), *diagnose(records, config)]
    facts |= {"basis": screened.basis, "evidence_by_basis": screened.value, "smoothed": signal.smoothed} | _trained(refined, idle, decision)
    state, scaler = refined.state if refined else {}, prepared.scaler.to_dict()
    return Fit(graph, findings, records, facts, state, scaler, report, prepared, signal, screened, refined, mechanism, decision)


def _signal(prepared: Prepared, config: Config, progress: Progress) -> tuple[Signal, BoolArray]:
    scaled = prepared.scaled
    hidden = suspects(prepared.report, prepared.cleaned, prepared.active, config.signal.mnar)
    readings = Readings(scaled.values, scaled.mask, scaled.segments(), hidden)
    segment = segment_number(scaled)
    shares = [noise_share(scaled.values[:, b], segment) for b in sensor_blocks(scaled.shape)]
    noise = np.where(prepared.counted, 0.0, np.concatenate(shares))  # a count's own noise is part of it
    draw = rng(config.seed, "signal")
    support = partial(sparse_support, prior=known_to(config.screen))
    signal = infer(readings, noise, config=config.signal, support=support, rng=draw, progress=progress)
    return signal, scaled.mask & ~signal.gated if signal.gated.any() else scaled.mask


def _compared(links: BoolArray, material: Material, config: Config) -> Modes | None:
    return compare(material, np.argwhere(links), config.data.lags, rng(config.seed, "modes"), config.select.alpha)


def _by_mode(decision: Decision, sample: Sample, material: Material, screened: Screened, config: Config) -> Decision:
    """The decision with what single operating modes show, where links differ between them."""
    seen = by_mode(sample, material.table.regime, screened, config)
    if seen is None:
        return decision
    modes = _compared(candidates(decision.verdict, seen), material, config)
    return decision if modes is None else decision.revised(seen, modes.links[modes.differs])


def _reach(prepared: Prepared, config: Config, prior: Prior | None) -> Reach:
    """K from the table, and not below a delay that prior knowledge names."""
    least = max(LEAST, least_reach(config.prior, prepared.cleaned.series.names))
    if len(prepared.active) < LEAST_SENSORS:
        return Reach(least, {})
    known = config.screen if prior is None else Informed.of(config.screen, prior.taking_part(prepared.active))
    sample = Sample(prepared.filled()[None], prepared.scaled.mask, prepared.scaled.segments(), least)
    return reach(sample, known, [rng(config.seed, "reach", copy) for copy in range(SHIFTED_COPIES)])


def _checks(sample: Sample, prepared: Prepared, screened: Screened, signal: Signal, config: Config) -> Checks:
    chance = by_chance(sample, config, screened.bases)
    pieces = None
    if len(prepared.scaled.regime_names) < 2:  # a link of one regime need not hold in the pieces of another
        pieces = by_pieces(sample, config.screen, bases=screened.bases, rng=rng(config.seed, "pieces"))
    few = pieces is None and len(prepared.active) <= SMALL
    return Checks(chance, pieces, _opinions(sample, prepared, signal, config, few) if config.screen.opinions else None)


def _opinions(sample: Sample, prepared: Prepared, signal: Signal, config: Config, search: bool) -> Opinions | None:  # noqa: FBT001 - private
    if signal.smoothed:
        read = replace(sample, signal=prepared.filled()[None], keep=prepared.scaled.mask)
        return opinions(read, sample, signal.moment, config.screen, search=search)
    if not prepared.counted.any() or not search:
        return None
    counted = replace(sample, signal=signal.draws)  # as they were read, not their roots
    return Opinions((), (screen(counted, config.screen, bases=_bases(prepared, config)).score.max(axis=0),))


def _bases(prepared: Prepared, config: Config) -> list[str]:
    """What each sensor is offered; where evidence may choose, a count gets straight lines: its root has no curve to be found."""
    basis = width.fitting(config.screen.basis, len(prepared.active), config.data.lags)
    return ["linear" if counted and basis == "auto" else basis for counted in prepared.counted]


def _untrained(prepared: Prepared, screened: Screened, config: Config) -> str | None:
    """Why the network is not trained; None where it is. Where straight lines do for every sensor it has nothing to add."""
    if config.select.refine == "off":
        return "switched off"
    if config.select.refine == "auto" and screened.basis == "linear":
        return "straight lines explain every sensor; select.refine=on trains it all the same"
    return None if _long_enough(prepared, config) else "too few rows"


def _long_enough(prepared: Prepared, config: Config) -> bool:
    """Both sides of the cut hold a run of rows with a target: longer than the longest lag."""
    longest = {True: 0, False: 0}
    for part in prepared.scaled.segments():
        side = prepared.held[part]
        for run in np.split(side, np.flatnonzero(np.diff(side)) + 1):
            longest[bool(run[0])] = max(longest[bool(run[0])], len(run))
    return min(longest.values()) > config.data.lags + 1


def _refine(prepared: Prepared, screened: Screened, config: Config, progress: Progress, on_record: OnRecord | None) -> Repeated[Refined]:
    from rcgnn.refine import refine

    def once(settings: Config, keep: OnRecord) -> Refined:
        return refine(prepared, screened, settings, progress=progress, on_record=keep)

    with _threads(prepared.scaled.shape[1]):  # again: torch has only now been loaded
        return until_links(once, lambda refined: refined.links, config, progress=progress, on_record=on_record)


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
            applied=True,
        )
    ]


def _origin(series: Series, config: Config, progress: Progress, on_record: OnRecord | None) -> Fit:
    from rcgnn.origin.fit import OriginResult, fit_origin

    def once(settings: Config, keep: OnRecord) -> OriginResult:
        return fit_origin(series, settings, progress=progress, on_epoch=lambda epoch: keep(epoch.record))

    def links(result: OriginResult) -> int | None:
        return len(result.graph.links()) if series.shape[1] >= LEAST_SENSORS else None

    began = time.perf_counter()
    with _threads(series.shape[1]):
        trained = until_links(once, links, config, progress=progress, on_record=on_record)
    done = trained.last
    seconds = {"train": round(time.perf_counter() - began, 3)}
    state = {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in done.state.items()}
    findings = [*trained.findings, *diagnose(trained.records, config)]
    return Fit(done.graph, findings, trained.records, {"seconds": seconds, "origin": done.summary}, state, {})
