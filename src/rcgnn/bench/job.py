"""One run: a table with a known graph, a method, and the scores of what it found, as one plain dictionary."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.bench.names import did_you_mean
from rcgnn.errors import FAILURES, InputError, in_words

if TYPE_CHECKING:
    from rcgnn.evaluate import Truth
    from rcgnn.graph import CausalGraph
    from rcgnn.series import Series

PACKAGE = Path(__file__).parents[1]
OURS = "rcgnn"
DEFAULT = "default"
"""Cell: the corruption that a system comes with."""
LEAST_LAG = 3
"""K where the block leaves it open and the system's longest delay is shorter."""
WARM = {
    OURS: ("rcgnn.refine",),
    "lasso-var": ("sklearn.linear_model",),
    "dynotears": ("scipy.optimize",),
    "cmlp": ("rcgnn.baselines.component_mlp",),
    "origin": ("rcgnn.origin",),
    "pcmci+": ("tigramite.pcmci", "tigramite.independence_tests.parcorr"),
    "pcmci+robust": ("tigramite.pcmci", "tigramite.independence_tests.robust_parcorr"),
    "varlingam": ("lingam",),
}
"""What each method loads outside the clock."""
APART = ("cli", "report")
"""Rooms that cannot change a result, as all of this one but this file."""
Line = dict[str, Any]
Fit = Callable[["Series"], "CausalGraph"]


def _nobody(_: Line) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Case:
    """One table with a known graph: simulated and corrupted, or real.

    Attributes:
        system: a row of `SEMS`; of a real table the name of its folder.
        cell: faults as `parse_corruption` reads them, or `default`: those that the system comes with.
        seed: start of every random number.
        rows: of each recording; None takes the system's own.
        sensors: N; of a simulated system.
        max_lag: K; None takes the longest delay that the system has, and at least 3.
        regimes: operating modes.
        recordings: independent runs of the system.
        content: digest of a real table's files; empty for a simulated one.
        folder: where a real table lies; no part of what makes two results the same.
        max_cells: rows times columns at most; None: as many as memory has room for.
    """

    system: str
    cell: str
    seed: int
    rows: int | None = 1500
    sensors: int = 13
    max_lag: int | None = 3
    regimes: int = 1
    recordings: int = 1
    content: str = ""
    folder: Path | None = field(default=None, compare=False)
    max_cells: int | None = None


@dataclass(frozen=True)
class Job:
    """One method on one table; `settings` are `section.name=value` and rcgnn's only; the rest says where it stands in a report."""

    case: Case
    method: str
    settings: tuple[str, ...] = ()
    suite: str = ""
    block: str = ""
    label: str = ""

    def facts(self) -> dict[str, Any]:
        """What makes two results the same, but for the source code."""
        without = {"folder"} | ({"max_cells"} if self.case.max_cells is None else set())
        return {**{k: v for k, v in asdict(self.case).items() if k not in without}, "method": self.method, "settings": self.settings}

    @property
    def key(self) -> str:
        """Digest of the facts and of the source code of rcgnn and of the method."""
        text = json.dumps({**self.facts(), "code": source_digest(), "own": _own_digest(self.method)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def source_digest() -> str:
    """Digest of every source file of rcgnn that can change a result: a result belongs to the code that made it."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        if room not in APART and (room != "bench" or path.name == "job.py"):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _own_digest(method: str) -> str:
    """Digest of the file of a method that is not rcgnn's own."""
    if ":" not in method:
        return ""
    spec = importlib.util.find_spec(method.partition(":")[0])
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:12] if spec and spec.origin else ""


def check_method(name: str) -> str:
    """`name` when there is such a method: `rcgnn`, a row of `BASELINES`, or `module:function` of one's own.

    Raises:
        InputError: there is none; says the nearest name.

    Example:
        >>> check_method("granger")
        'granger'
        >>> check_method("grangr")
        Traceback (most recent call last):
        rcgnn.errors.InputError: bench: unknown method 'grangr'. Did you mean 'granger'?
    """
    from rcgnn.baselines import BASELINES

    if ":" in name:
        _foreign(name)
    elif name not in (OURS, *BASELINES):
        raise InputError(f"bench: unknown method {name!r}.{did_you_mean(name, (OURS, *BASELINES))}")
    return name


def _foreign(name: str) -> Any:
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"bench: method {name!r}: expected an importable module:function, got {error}; check PYTHONPATH.") from error


@lru_cache(maxsize=4)
def table(case: Case) -> tuple[Series, Truth, int]:
    """Readings, true graph and K of a case.

    Raises:
        RcgnnError: the case cannot be made.
    """
    from rcgnn.data.limits import Limit
    from rcgnn.evaluate import Truth, read_truth
    from rcgnn.synth import CELLS, DEFAULT_CORRUPTION, corrupt, parse_corruption, simulate
    from rcgnn.synth.registry import usual_rows

    own = case.cell == DEFAULT
    faults = CELLS["clean"] if own and case.folder else DEFAULT_CORRUPTION.get(case.system, {}) if own else parse_corruption(case.cell)
    if case.folder is not None:
        from rcgnn.data.readers import read_table

        series, lags = read_table(case.folder, max_cells=case.max_cells), case.max_lag or LEAST_LAG
        truth = read_truth(case.folder / "truth.csv", series.names, lags)
        return corrupt(series, faults, seed=case.seed, truth=truth.window), truth, lags
    rows = case.rows or usual_rows(case.system)
    Limit.of(case.max_cells).check(case.system, rows * case.recordings, case.sensors)
    made = simulate(case.system, seed=case.seed, rows=case.rows, sensors=case.sensors, regimes=case.regimes, recordings=case.recordings)
    series = corrupt(made.series, faults, seed=case.seed, truth=made.truth)
    return series, Truth.of(made.truth), case.max_lag or max(LEAST_LAG, made.max_lag)


def method(job: Job, max_lag: int) -> Fit:
    """The function series -> graph of a job; what it needs is loaded here, outside the clock."""
    for name in ("pandas", *WARM.get(job.method, ())):
        with suppress(ImportError):  # the method says in its own words what is not installed
            import_module(name)
    if job.method == OURS:
        from rcgnn.config import Config
        from rcgnn.pipeline import fit_series

        config = Config().override([f"data.max_lag={max_lag}", *job.settings])
        return lambda series: fit_series(series, config).graph
    from rcgnn.baselines import BASELINES

    fit = _foreign(job.method) if ":" in job.method else BASELINES[job.method]
    return lambda series: fit(series, max_lag=max_lag, seed=job.case.seed)


def run_job(job: Job, tell: Callable[[Line], None] = _nobody) -> Line:
    """Simulate, corrupt, fit, score; a method that fails is a result, not an end.

    Args:
        job: what to run.
        tell: told, just before the fit begins, what is known of the table: `shape` and the scores of the `empty` graph.

    Returns:
        `error` (a sentence or None), `ended` (what ended the process, if anything), `seconds` of the fit alone, `shape`
        (rows, sensors), `max_lag`, `scores` and `empty` by target, `links` as rows of (lag, i, j, score, rank, verdict,
        confidence, true, pair true). A method whose package is not installed gives `skipped` alone.
    """
    began, facts = [time.perf_counter()], dict[str, Any](shape=None, max_lag=None, empty=None)
    try:
        found = _run(job, tell, began, facts)
    except FAILURES as error:
        if isinstance(error, ImportError) or isinstance(error.__cause__, ImportError):
            return {"skipped": str(error)}
        return failed(in_words(error), time.perf_counter() - began[-1], facts)
    return {**facts, "ended": None, "error": None, **found}


def _run(job: Job, tell: Callable[[Line], None], began: list[float], facts: Line) -> Line:
    """Seconds, scores and links; what is known before the fit goes into `facts`, when it began into `began`."""
    from rcgnn.graph import CausalGraph

    series, truth, max_lag = table(job.case)
    facts |= {"shape": series.shape, "max_lag": max_lag, "empty": _scores(CausalGraph.empty(series.names, max_lag), truth)}
    fit = method(job, max_lag)
    tell(facts)
    began.append(time.perf_counter())
    graph = fit(series)
    seconds = time.perf_counter() - began[-1]
    return {"seconds": seconds, "scores": _scores(graph, truth), "links": _links(graph, truth)}


def failed(error: str, seconds: float, facts: Line) -> Line:
    """The result of a run that gave no graph."""
    unknown = dict.fromkeys(("shape", "max_lag", "empty", "ended"))
    return {**unknown, **facts, "error": error, "seconds": seconds, "scores": None, "links": []}


def _scores(graph: CausalGraph, truth: Truth) -> dict[str, Any]:
    from rcgnn.evaluate import score

    return {target: scored and scored.as_dict() for target, scored in score(graph, truth).items()}


def _links(graph: CausalGraph, truth: Truth) -> list[tuple[int, int, int, float, int, int, float, bool | None, bool]]:
    """Every candidate with a confidence, the best score first; `true` is None where the true lags are not known."""
    import numpy as np

    sure = graph.confidence > 0
    sure[:, np.eye(len(graph.names), dtype=bool)] = False
    keys = sorted((tuple(int(n) for n in key) for key in np.argwhere(sure)), key=lambda key: (-graph.score[key], key))

    def true(k: int, i: int, j: int) -> bool | None:
        window = truth.window
        return None if window is None else bool(k < len(window) and window[k, i, j])

    return [
        (k, i, j, float(graph.score[k, i, j]), rank, int(graph.verdict[k, i, j]), float(graph.confidence[k, i, j]), true(k, i, j),
         bool(truth.summary[i, j]))
        for rank, (k, i, j) in enumerate(keys, start=1)
    ]  # fmt: skip
