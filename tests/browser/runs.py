"""Run folders for the tests of the report: small, hostile, large, without a link, undecidable, failed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rcgnn.config import Config
from rcgnn.encode import as_npz
from rcgnn.graph import CausalGraph, Contrast, Effect, Slope
from rcgnn.health import Finding, GradHealth, GraphHealth, GuardHealth, HealthRecord, LossHealth
from rcgnn.report.traces import traces
from rcgnn.rundir import RunDir
from rcgnn.series import Series

SCRIPT = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
LONG = ("sensor of the long name " * 13)[:299] + "!"
HOSTILE = (
    SCRIPT,
    "\"double\" and 'single' &amp; &lt;b&gt;",
    "pump 🚰 👩\u200d🔬",
    LONG,
    "</script><!-- \u2028 ]]>",
    "%{x} <a href='https://x'>plain</a>",
)


@dataclass(frozen=True)
class Answer:
    """What a fit hands over, as far as the run folder asks."""

    graph: CausalGraph
    findings: tuple[Finding, ...] = ()
    summary: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    equations: dict[str, Any] = field(default_factory=dict)


def linked(names: tuple[str, ...], links: int = 6, max_lag: int = 3, seed: int = 0) -> CausalGraph:
    """So many links at random places, every number different, and one undecided pair."""
    rng = np.random.default_rng(seed)
    n = len(names)
    places = [(k, i, j) for k in range(max_lag + 1) for i in range(n) for j in range(n) if i != j]
    chosen = [places[at] for at in rng.choice(len(places), links + 1, replace=False)]
    verdict = np.zeros((max_lag + 1, n, n), np.int8)
    for key in chosen[:links]:
        verdict[key] = 1
    verdict[chosen[links]] = -1
    strength = np.where(verdict == 1, rng.uniform(-0.9, 0.9, verdict.shape), 0.0)
    confidence = np.where(verdict == 1, rng.uniform(0.3, 1.0, verdict.shape), 0.0)
    effects = {key: Effect(strength[key] - 0.1, strength[key] + 0.1, 7.0, 6.5, 7.5, 0.9) for key in chosen[: links - 1]}
    score = rng.uniform(0.0, 9.0, verdict.shape)
    reasons = {chosen[links]: "too few joint rows"}
    return CausalGraph(
        names, score, verdict, strength, confidence, reasons, effects=effects, conclusion=f"Found {links} links; {names[0]}."
    )


def with_modes(graph: CausalGraph) -> CausalGraph:
    """The same graph with one link that differs between two operating modes."""
    key = graph.links()[0]
    slopes = {"day <b>": Slope(0.8, 0.7, 0.9, 3.0), "night": Slope(-0.2, -0.3, -0.1, -1.0)}
    return replace(graph, regimes=tuple(slopes), contrasts={key: Contrast(0.001, slopes)})


def table(names: tuple[str, ...], rows: int = 700) -> Series:
    """Noise with gaps."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(rows, len(names))) * 3 + 20
    values[rng.uniform(size=values.shape) < 0.1] = np.nan
    return Series.of(values, names=names, source="plant <b>.csv")


def records(epochs: int = 6) -> list[HealthRecord]:
    """Training with one skipped step and one finding that names a sensor."""
    finding = Finding(code="SPIKE", severity="act", message=f"{SCRIPT} jumped.")
    return [
        HealthRecord(
            epoch=epoch, step=epoch, lr=1e-3 / epoch, seed=1,
            loss=LossHealth(train=1 / epoch, val=2 / epoch, components={"recon": 0.5, "sparse": 0.1}),
            grad=GradHealth(raw_median=0.1, raw_max=0.2, clip_level=0.5, certificate=90.0, clip_share=0.1),
            graph=GraphHealth(edges=90 - epoch, density=0.1),
            guard=GuardHealth(skipped_spike=int(epoch == 3)), diagnoses=[finding] if epoch == 4 else [],
        )
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip


def stored(path: Path, answer: Answer, series: Series | None = None, health: list[HealthRecord] | None = None) -> RunDir:
    """A finished run folder, without its page."""
    series = series or table(answer.graph.names)
    run = RunDir(path)
    run.write_config(Config())
    for record in health or []:
        run.append(record)
    run.write("traces.npz", as_npz(traces(series)))
    run.write_answer(answer, series, Config())
    return run


def hostile(path: Path) -> RunDir:
    """Names that want to be markup, two operating modes, findings of every severity, training with events."""
    findings = tuple(
        Finding(code="INPUT", severity=severity, message=f"{name}: look.", remedy=name, sensor=name, evidence={"kind": "drift"})
        for severity, name in zip(("stop", "act", "warn", "info"), HOSTILE[:4], strict=True)
    )
    return stored(path, Answer(with_modes(linked(HOSTILE)), findings, {"detectable_share": 0.012}), health=records())


def without_links(path: Path) -> RunDir:
    """No link, and how weak one would have been found."""
    graph = CausalGraph.empty(("a", "b", "c"), 2, conclusion="No links found.")
    return stored(path, Answer(graph, (), {"detectable_share": 0.021, "network": "not trained: too few rows"}))


def undecidable(path: Path) -> RunDir:
    """Nothing can be said."""
    verdict = np.full((3, 3, 3), -1, np.int8)
    keys = [(k, i, j) for k in range(3) for i in range(3) for j in range(3) if i != j]
    reasons = dict.fromkeys(keys, "a quarantined sensor")
    graph = CausalGraph.of(
        ("a", "b", "c"), np.zeros((3, 3, 3)), verdict, reasons=reasons, quarantined={"a": "constant"}, conclusion="Undecidable."
    )
    return stored(path, Answer(graph, (), {"verdict": "undecidable"}))


def failed(path: Path) -> RunDir:
    """The network was given up."""
    finding = Finding(code="NONFINITE", severity="act", message="the neural stage was given up.", remedy="Lower train.lr.")
    return stored(path, Answer(linked(("a", "b", "c", "d")), (finding,), {"verdict": "refinement failed: NONFINITE"}), health=records(2))


def failed_at_once(path: Path) -> RunDir:
    """The network was given up before its first epoch."""
    return stored(path, Answer(linked(("a", "b", "c")), (), {"verdict": "refinement failed: UPDATE_RATIO"}))


def origin(path: Path) -> RunDir:
    """A recipe without strength and confidence."""
    graph = linked(("a", "b", "c"), max_lag=1)
    return stored(path, Answer(CausalGraph.of(graph.names, graph.score, graph.verdict, conclusion="Only links.")))


def hundred(path: Path) -> RunDir:
    """100 sensors, 300 links."""
    names = tuple(f"sensor_{n:03d}" for n in range(100))
    return stored(path, Answer(linked(names, links=300)), table(names, 5000), records(40))


CASES = {
    "hostile": hostile,
    "without links": without_links,
    "undecidable": undecidable,
    "failed": failed,
    "failed at once": failed_at_once,
    "origin": origin,
    "hundred": hundred,
}
