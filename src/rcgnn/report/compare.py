"""Stored runs side by side: what was set differently, how training went, which links they share.

Nothing is fitted again: every figure comes from the run folders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rcgnn.config import Config
from rcgnn.encode import dotted
from rcgnn.errors import InputError
from rcgnn.graph import CausalGraph
from rcgnn.health import Finding, HealthRecord
from rcgnn.markdown import NOTHING
from rcgnn.rundir import RunDir

LEAST_RUNS = 2


@dataclass(frozen=True, eq=False)
class Run:
    """One stored run.

    Attributes:
        name: its folder, as short as it is unmistakable.
        config: every setting.
        summary: plain facts.
        records: health, one an epoch.
        graph: the answer.
        findings: what is worth knowing.
    """

    name: str
    config: Config
    summary: dict[str, Any]
    records: list[HealthRecord]
    graph: CausalGraph
    findings: list[Finding]

    @property
    def links(self) -> set[tuple[str, str]]:
        """(cause, effect) at any lag."""
        return {(self.graph.names[i], self.graph.names[j]) for _, i, j in self.graph.links()}


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs in these folders, in this order.

    Raises:
        InputError: fewer than two, or one given twice.
        RunDirError: a folder holds no finished run.
    """
    if len(paths) < LEAST_RUNS:
        raise InputError(f"compare: expected at least {LEAST_RUNS} run folders, got {len(paths)}; name the folders that `rcgnn fit` wrote.")
    twice = [path for n, path in enumerate(paths) if path.resolve() in {other.resolve() for other in paths[:n]}]
    if twice:
        raise InputError(f"compare: {twice[0]} was given twice; name each run once.")
    stored = [RunDir.open(path) for path in paths]
    return [Run(n, s.config(), s.summary(), s.records(), s.graph(), s.findings()) for n, s in zip(short_names(paths), stored, strict=True)]


def short_names(paths: Sequence[Path]) -> list[str]:
    """The last parts of each path, as few as tell them all apart.

    Example:
        >>> short_names([Path("a/run"), Path("b/run")]), short_names([Path("a/one"), Path("a/two")])
        (['a/run', 'b/run'], ['one', 'two'])
    """
    whole = [path.resolve().parts for path in paths]
    parts = 1
    while len({parts_of[-parts:] for parts_of in whole}) < len(whole) and parts < max(map(len, whole)):
        parts += 1
    return ["/".join(parts_of[-parts:]) for parts_of in whole]


def _grad(run: Run, pick: Callable[[HealthRecord], float | None]) -> list[float]:
    return [value for record in run.records if (value := pick(record)) is not None]


def _ends(values: Sequence[float], digits: int = 4) -> str:
    """First and last."""
    return f"{_figure(values[0], digits)} -> {_figure(values[-1], digits)}" if values else NOTHING


def _figure(value: float | None, digits: int = 4) -> str:
    return NOTHING if value is None else f"{value:.{digits}g}"


def _share(values: Sequence[float]) -> str:
    return f"{values[0]:.1%} -> {values[-1]:.1%}" if values else NOTHING


def _range(run: Run) -> str:
    """Lowest and highest number that the network was given, over all sensors."""
    data = run.records[0].data if run.records else {}
    if "input_low" in data and "input_high" in data:
        return f"{data['input_low']:.4g} .. {data['input_high']:.4g}"
    ends = [after for _, after in run.summary.get("ranges", {}).values() if None not in after]
    return f"{min(low for low, _ in ends):.4g} .. {max(high for _, high in ends):.4g}" if ends else NOTHING


def _severe(run: Run) -> str:
    codes = sorted({finding.code for finding in run.findings if finding.severity in ("act", "stop")})
    return ", ".join(codes) or "none"


MEASURES: dict[str, Callable[[Run], str]] = {
    "recipe": lambda run: run.config.recipe,
    "verdict": lambda run: str(run.summary.get("verdict", NOTHING)),
    "table": lambda run: f"{run.summary.get('rows')} x {run.summary.get('sensors')}",
    "range of what is learned from": _range,
    "links": lambda run: str(len(run.graph.links())),
    "pairs": lambda run: str(len(run.links)),
    "undecided": lambda run: str(len(run.graph.undecided())),
    "epochs": lambda run: str(len(run.records)),
    "loss, first -> last epoch": lambda run: _ends(_grad(run, lambda r: r.loss.train)),
    "held-out loss, first -> last": lambda run: _ends(_grad(run, lambda r: r.loss.val)),
    "gain over own past": lambda run: _figure(next(iter(_grad(run, lambda r: r.gain_over_self)[::-1]), None)),
    "largest gradient norm": lambda run: _figure(max(_grad(run, lambda r: r.grad.raw_max), default=None)),
    "median gradient norm": lambda run: _figure(median(found) if (found := _grad(run, lambda r: r.grad.raw_median)) else None),
    "gradient bound": lambda run: _figure(max(_grad(run, lambda r: r.grad.certificate), default=None)),
    "share of steps clipped, first -> last epoch": lambda run: _share(_grad(run, lambda r: r.grad.clip_share)),
    "steps not finite": lambda run: str(sum(r.grad.nonfinite for r in run.records)) if run.records else NOTHING,
    "steps skipped as spikes": lambda run: str(sum(r.guard.skipped_spike for r in run.records)) if run.records else NOTHING,
    "returns to a good state": lambda run: str(sum(r.guard.rollbacks for r in run.records)) if run.records else NOTHING,
    "learning rate, first -> last epoch": lambda run: _ends(_grad(run, lambda r: r.lr), 3),
    "links of the network": lambda run: str(run.records[-1].graph.edges) if run.records and run.records[-1].graph else NOTHING,
    "findings that act or stop": _severe,
    "seconds": lambda run: _figure(sum(run.summary.get("seconds", {}).values()) or None, 3),
}
"""Heading -> the figure of one run as text."""


def measured(runs: Sequence[Run]) -> list[list[str]]:
    """One row a measure: heading, then one figure a run."""
    return [[name, *(measure(run) for run in runs)] for name, measure in MEASURES.items()]


def differing(runs: Sequence[Run]) -> list[list[str]]:
    """One row a setting that is not the same everywhere: its name, then one value a run."""
    flat = [dotted(run.config.model_dump()) for run in runs]
    return [[name, *(str(one[name]) for one in flat)] for name in flat[0] if len({str(one[name]) for one in flat}) > 1]


def overlaps(runs: Sequence[Run]) -> list[list[str]]:
    """Jaccard index of the linked pairs of every two runs; 1 where both have none."""
    rows = []
    for run in runs:
        cells = [(run.links & other.links, run.links | other.links) for other in runs]
        rows.append([run.name, *(f"{len(both) / len(either):.2f}" if either else "1.00" for both, either in cells)])
    return rows


def who_has(runs: Sequence[Run]) -> list[list[str]]:
    """One row a linked pair: cause, effect, then the strongest lag in each run that has it. Shared pairs first."""
    pairs = sorted({pair for run in runs for pair in run.links}, key=lambda pair: (-sum(pair in run.links for run in runs), pair))
    strongest = [_lags(run) for run in runs]
    return [[*pair, *(f"lag {lags[pair]}" if pair in lags else NOTHING for lags in strongest)] for pair in pairs]


def _lags(run: Run) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for k, i, j in run.graph.links():  # strongest evidence first
        found.setdefault((run.graph.names[i], run.graph.names[j]), k)
    return found


def warnings(runs: Sequence[Run]) -> list[str]:
    """Why figures may not be comparable."""
    found = []
    if len({run.summary.get("data_digest") for run in runs}) > 1:
        found.append("The runs read different tables.")
    if len({run.config.recipe == "auto" for run in runs}) > 1 or len({str(run.config.losses.model_dump()) for run in runs}) > 1:
        found.append("The losses are not the same function: compare their course, not their size.")
    return found
