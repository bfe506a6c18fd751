"""The way of the data, top to bottom: table -> quality -> cleaning -> signal -> screen -> network -> verdict -> graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.answer import Checks, Decision, assemble, undecidable
from rcgnn.config import Config
from rcgnn.data.cleaning import Cleaned, clean
from rcgnn.data.counts import counts, stabilised
from rcgnn.data.marks import segment_number
from rcgnn.data.process_rules import noise_share
from rcgnn.data.quality import QualityReport, inspect
from rcgnn.data.scaling import Scaler, ranges
from rcgnn.data.windows import split_blocks
from rcgnn.diagnosis import diagnose
from rcgnn.graph import CausalGraph
from rcgnn.health import Finding, HealthRecord, Progress, silent
from rcgnn.mechanism.effects import curved, described
from rcgnn.mechanism.equations import Mechanism
from rcgnn.mechanism.refit import Material, learn
from rcgnn.numerics import one_thread, rng
from rcgnn.prior import Informed, Prior, known_to
from rcgnn.screen.features import Sample
from rcgnn.screen.null import largest_by_chance
from rcgnn.screen.pieces import by_pieces
from rcgnn.screen.plain import plain_evidence
from rcgnn.screen.structural import Screened, screen, sparse_support
from rcgnn.select.known import left_out
from rcgnn.series import BoolArray, FloatArray, Series
from rcgnn.signal.draws import Signal, infer
from rcgnn.signal.interpolate import interpolate
from rcgnn.signal.statespace import Readings
from rcgnn.signal.vanishing import suspects, told

if TYPE_CHECKING:
    from rcgnn.refine import Refined

OnRecord = Callable[[HealthRecord], None]
LEAST_SENSORS = 2
FAR = 1e30
"""Scaled readings beyond this stand at it: their squares must stay finite in double precision."""
SMALL = 64
"""Up to this many sensors one thread does best."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """The table as the learning stages see it.

    Attributes:
        report: what was wrong with the readings.
        cleaned: all sensors, cleaned, in sensor units.
        active: sensors that take part, as indices into the table.
        scaled: the active sensors, scaled.
        held: [T] True = held out for validation.
        scaler: units of the active sensors.
    """

    report: QualityReport
    cleaned: Cleaned
    active: NDArray[np.int64]
    scaled: Series
    held: BoolArray
    scaler: Scaler


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
    """
    prior = Prior.given(config, series.names)
    with _threads(series.shape[1]):
        if config.recipe != "auto":
            return _origin(series, config, progress, on_record)
        return _auto(series, config, prior, progress, on_record)


def _threads(sensors: int) -> AbstractContextManager[None]:
    return one_thread() if sensors <= SMALL else nullcontext()


def _auto(series: Series, config: Config, prior: Prior | None, progress: Progress, on_record: OnRecord | None) -> Fit:
    clock = _Clock()
    with clock.stage("inspect", progress):
        report = inspect(series, min_observed=config.data.min_observed)
    with clock.stage("clean", progress):
        cleaned = clean(series, report, config.data.clean)
        prepared = prepare(series, report, cleaned, config)
    facts = {"seconds": clock.seconds, "ranges": _ranges(series, prepared)}
    findings = [*report.findings, *cleaned.findings, *left_out(prior, prepared.active)]
    if len(prepared.active) < LEAST_SENSORS:
        graph = undecidable(series.names, config.data.max_lag, report, prior)
        return Fit(graph, findings, [], facts | {"verdict": "undecidable"}, {}, prepared.scaler.to_dict(), report, prepared)
    if prior is not None:
        knowing = Informed.of(config.screen, prior.taking_part(prepared.active))
        config = config.model_copy(update={"screen": knowing})
    with clock.stage("smooth", progress):
        signal, keep = _signal(prepared, config, progress)
    if signal.selection is not None:
        findings = _told(findings, prepared, signal)
    counted = counts(prepared.cleaned.series.sensors(prepared.active.tolist()))
    draws = stabilised(signal.draws, prepared.scaled, counted)
    sample = Sample(draws, keep, prepared.scaled.segments(), config.data.max_lag)
    with clock.stage("screen", progress):
        screened = screen(sample, config.screen, rng=rng(config.seed, "drivers"))
    refined = None
    if config.select.refine != "off" and _long_enough(prepared, config):
        with clock.stage("train", progress):
            refined = _refine(prepared, screened, config, progress, on_record)
    with clock.stage("decide", progress):
        plain = _plain(prepared, signal, counted, config.data.max_lag)
        decision = Decision.of(screened, prepared.scaled, _checks(sample, prepared, screened, plain, config), config)
        graph = assemble(series.names, prepared.active, report, decision, prior)
    with clock.stage("measure", progress):
        mechanism = _equations(graph, prepared, signal, screened, config)
        graph = described(graph, mechanism)
    records = refined.records if refined else []
    findings += _given_up(refined)
    findings += [*decision.findings, *diagnose(records, config)]
    facts |= {"basis": screened.basis, "evidence_by_basis": screened.value, "smoothed": signal.smoothed} | _trained(refined)
    return Fit(
        graph,
        findings,
        records,
        facts,
        refined.state if refined else {},
        prepared.scaler.to_dict(),
        report,
        prepared,
        signal,
        screened,
        refined,
        mechanism,
        decision,
    )


def prepare(series: Series, report: QualityReport, cleaned: Cleaned, config: Config) -> Prepared:
    """Leave out what cannot take part, hold out blocks, scale by the training rows."""
    out = {*report.quarantined, *report.aliases}
    active = np.array([i for i, name in enumerate(series.names) if name not in out], np.int64)
    held = split_blocks(series, config.data.valid_share, config.data.valid_blocks)
    if not len(active):
        return Prepared(report, cleaned, active, series, held, Scaler.fit(series, ~held))
    taking_part = cleaned.series.sensors(active.tolist())
    scaler = Scaler.fit(taking_part, ~held) if config.data.scale else Scaler(np.zeros(len(active)), np.ones(len(active)), taking_part.names)
    scaled = scaler.transform(taking_part)
    scaled = scaled.with_values(np.clip(scaled.values, -FAR, FAR), scaled.mask)
    return Prepared(report, cleaned, active, scaled, held, scaler)


def _signal(prepared: Prepared, config: Config, progress: Progress) -> tuple[Signal, BoolArray]:
    scaled = prepared.scaled
    hidden = suspects(prepared.report, prepared.cleaned, prepared.active, config.signal.mnar)
    readings = Readings(scaled.values, scaled.mask, scaled.segments(), hidden)
    noise = noise_share(scaled.values, segment_number(scaled))
    draw = rng(config.seed, "signal")
    support = partial(sparse_support, prior=known_to(config.screen))
    signal = infer(readings, noise, config=config.signal, support=support, rng=draw, progress=progress)
    return signal, scaled.mask & ~signal.gated


def _told(findings: list[Finding], prepared: Prepared, signal: Signal) -> list[Finding]:
    """What the selection model says about missing cells, in sensor units (of the readings without their trend)."""
    here = Material.of(prepared.cleaned, prepared.scaled, prepared.scaler, signal)
    return told(findings, prepared.report, prepared.scaled.names, signal.selection, here.unit, here.offset)


def _equations(graph: CausalGraph, prepared: Prepared, signal: Signal, screened: Screened, config: Config) -> Mechanism:
    material = Material.of(prepared.cleaned, prepared.scaled, prepared.scaler, signal)
    return learn(graph, material, curved(screened), rng(config.seed, "blocks"), clean=config.data.clean != "off")


def _plain(prepared: Prepared, signal: Signal, counted: BoolArray, max_lag: int) -> FloatArray | None:
    """The second look without the state space; None where none ran."""
    if not signal.smoothed:
        return None
    scaled = prepared.scaled
    filled = interpolate(scaled.values, scaled.mask, scaled.segments())
    spread = filled.std(axis=0)
    unit = (filled - filled.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return plain_evidence(stabilised(unit[None], scaled, counted)[0], scaled.segments(), max_lag)


def _checks(sample: Sample, prepared: Prepared, screened: Screened, plain: FloatArray | None, config: Config) -> Checks:
    copies = [rng(config.seed, "shifted", copy) for copy in range(config.select.shifted_copies)]
    chance = largest_by_chance(sample, config.screen, copies, bases=screened.bases)
    if len(prepared.scaled.regime_names) > 1:  # a link of one regime need not hold in the pieces of another
        return Checks(chance, None, plain)
    return Checks(chance, by_pieces(sample, config.screen, bases=screened.bases, rng=rng(config.seed, "pieces")), plain)


def _long_enough(prepared: Prepared, config: Config) -> bool:
    """Both sides of the cut hold a run of rows with a target: longer than the longest lag."""
    longest = {True: 0, False: 0}
    for part in prepared.scaled.segments():
        side = prepared.held[part]
        for run in np.split(side, np.flatnonzero(np.diff(side)) + 1):
            longest[bool(run[0])] = max(longest[bool(run[0])], len(run))
    return min(longest.values()) > config.data.max_lag + 1


def _refine(prepared: Prepared, screened: Screened, config: Config, progress: Progress, on_record: OnRecord | None) -> Refined:
    from rcgnn.refine import refine

    with _threads(prepared.scaled.shape[1]):  # again: torch has only now been loaded
        return refine(prepared.scaled, prepared.held, screened, config, progress=progress, on_record=on_record)


def _trained(refined: Refined | None) -> dict[str, Any]:
    if refined is None:
        return {}
    facts: dict[str, Any] = {"stopped": refined.stopped, "candidates": int(refined.candidates.any(axis=0).sum())}
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


def _ranges(series: Series, prepared: Prepared) -> dict[str, list[list[float | None]]]:
    """Lowest and highest reading of every sensor before cleaning and scaling, and after."""
    after = {name: (low, high) for name, low, high in ranges(prepared.scaled)} if len(prepared.active) else {}
    return {name: [_finite(low, high), _finite(*after[name]) if name in after else [None, None]] for name, low, high in ranges(series)}


def _finite(*numbers: float) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in numbers]


def _origin(series: Series, config: Config, progress: Progress, on_record: OnRecord | None) -> Fit:
    from rcgnn.origin.fit import fit_origin

    def report(epoch: Any) -> None:
        if on_record is not None:
            on_record(epoch.record)

    began = time.perf_counter()
    with _threads(series.shape[1]):
        done = fit_origin(series, config, progress=progress, on_epoch=report)
    seconds = {"train": round(time.perf_counter() - began, 3)}
    state = {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in done.state.items()}
    findings: Sequence[Finding] = diagnose(done.records, config)
    return Fit(done.graph, list(findings), done.records, {"seconds": seconds, "origin": done.summary}, state, {})
