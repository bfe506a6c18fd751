"""Cases with a known graph, run by any method, several at a time, each result one JSON line that is never computed twice."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcgnn.graph import CausalGraph
    from rcgnn.series import Series

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
OURS = "rcgnn"
DEFAULT = "default"
"""Cell: the corruption that a system comes with."""
WARM = {
    OURS: ("rcgnn.refine",),
    "lasso-var": ("sklearn.linear_model",),
    "origin": ("rcgnn.origin",),
    "pcmci+": ("tigramite.pcmci", "tigramite.independence_tests.parcorr"),
    "pcmci+robust": ("tigramite.pcmci", "tigramite.independence_tests.robust_parcorr"),
    "varlingam": ("lingam",),
}
"""What each method loads outside the clock."""
THREADS = os.environ.get("OMP_NUM_THREADS")
"""As the benchmark was started; it belongs to the command."""
Line = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One method on one table; `rows` None takes the system's own, `settings` are `section.name=value` and rcgnn's only."""

    system: str
    cell: str
    seed: int
    method: str
    rows: int | None = 1500
    sensors: int = 13
    max_lag: int = 3
    settings: tuple[str, ...] = ()
    label: str = ""

    def key(self, code: str) -> str:
        """What makes two results the same: everything but the label, and the source code."""
        return json.dumps({**asdict(self), "label": "", "code": code}, sort_keys=True)


@cache
def source_digest() -> str:
    """Digest of every source file of rcgnn: a result belongs to the code that made it."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src" / "rcgnn").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def run_job(job: Job) -> Line:
    """Simulate, corrupt, fit, score; a method that fails is a result, not an end."""
    from rcgnn.evaluate import Truth, score
    from rcgnn.synth import CELLS, DEFAULT_CORRUPTION, corrupt, simulate

    made = simulate(job.system, seed=job.seed, rows=job.rows, sensors=job.sensors)
    faults = DEFAULT_CORRUPTION.get(job.system, {}) if job.cell == DEFAULT else CELLS[job.cell]
    series = corrupt(made.series, faults, seed=job.seed, truth=made.truth)
    fit = method(job)
    began = time.perf_counter()
    try:
        graph = fit(series)
    except Exception as error:  # noqa: BLE001 - a failed fit is counted, the others go on
        return {"error": f"{type(error).__name__}: {error}", "seconds": time.perf_counter() - began}
    seconds = time.perf_counter() - began
    scores = score(graph, Truth.of(made.truth))
    return {"error": None, "seconds": seconds, "scores": {target: s and s.as_dict() for target, s in scores.items()}}


def method(job: Job) -> Callable[[Series], CausalGraph]:
    """The function series -> graph of a job; what it needs is loaded here, outside the clock."""
    for name in ("pandas", *WARM.get(job.method, ())):
        import_module(name)
    if job.method == OURS:
        from rcgnn.config import Config
        from rcgnn.pipeline import fit_series

        config = Config().override([f"data.max_lag={job.max_lag}", *job.settings])
        return lambda series: fit_series(series, config).graph
    from rcgnn.baselines import BASELINES

    return lambda series: BASELINES[job.method](series, max_lag=job.max_lag, seed=job.seed)


def run_all(jobs: Sequence[Job], *, workers: int, store: Path | None) -> list[tuple[Job, Line]]:
    """Every job's line, from `store` where it is there; new lines are appended to it as they come."""
    code = source_digest()
    known = _read(store)
    done = {job: known[job.key(code)] for job in jobs if job.key(code) in known}
    missing = [job for job in dict.fromkeys(jobs) if job not in done]
    if store is not None:
        _say(f"{store}: {len(done)} of {len(jobs)} results are there; source {code}")
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = {pool.submit(run_job, job): job for job in missing}
        for number, future in enumerate(as_completed(waiting), start=1):
            job, line = waiting[future], future.result()
            done[job] = line
            if store is not None:
                with store.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": job.key(code), **line}) + "\n")
            _say(f"[{number}/{len(missing)}] {job.system} {job.cell} {job.seed} {job.label or job.method}: {_short(line)}")
    return [(job, done[job]) for job in jobs]


def _read(store: Path | None) -> dict[str, Line]:
    if store is None or not store.exists():
        return {}
    known = {}
    for text in store.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:  # the last line of a run that was ended in the middle
            continue
        known[line.pop("key")] = line
    return known


def _short(line: Line) -> str:
    if line["error"]:
        return line["error"]
    s = line["scores"]["summary"]
    return f"AUPRC {number(s['auprc'])}, F1 {number(s['f1'])}, {line['seconds']:.2f} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


COLUMNS = ("runs", "AUPRC", "F1", "precision", "recall", "FDR", "found", "undecided", "failed", "s")


def summary(lines: Iterable[Line], target: str = "summary") -> dict[str, float | None]:
    """Means over runs, by the names of `COLUMNS`; precision over the runs that found something, FDR counts the others as 0."""
    lines = list(lines)
    scores = [line["scores"][target] for line in lines if line["error"] is None]
    precision = [s["precision"] for s in scores]
    return {
        "runs": len(lines),
        "AUPRC": mean(s["auprc"] for s in scores),
        "F1": mean(s["f1"] for s in scores),
        "precision": mean(precision),
        "recall": mean(s["recall"] for s in scores),
        "FDR": mean(0.0 if p is None else 1.0 - p for p in precision),
        "found": mean(s["links_found"] for s in scores),
        "undecided": mean(s["undecided"] for s in scores),
        "failed": sum(line["error"] is not None for line in lines),
        "s": mean(line["seconds"] for line in lines),
    }


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there."""
    there = [v for v in values if v is not None and math.isfinite(v)]
    return sum(there) / len(there) if there else None


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; a whole one without decimals."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def summary_row(lines: Iterable[Line], target: str = "summary") -> list[str]:
    """Cells of a table row, in the order of `COLUMNS`."""
    means = summary(lines, target)
    return [number(means[name], 2 if name in ("found", "undecided", "s") else 3) for name in COLUMNS]


def today() -> str:
    """The date, UTC."""
    return datetime.now(tz=UTC).date().isoformat()


def machine() -> list[str]:
    """Hardware, software and the exact command: two lines under every title."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    software = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "torch"))
    script = Path(sys.argv[0]).name
    threads = f"OMP_NUM_THREADS={THREADS} " if THREADS else ""
    return [
        f"{cores} cores ({platform.machine()}), Python {platform.python_version()}, {software}; source {source_digest()}.",
        f"Command: `{threads}{shlex.join(['python', f'benchmarks/{script}', *sys.argv[1:]])}`",
    ]


def write(text: str, out: Path | None, name: str) -> Path:
    """The dated file, on disk and on the screen."""
    path = out or RESULTS / f"{today()}-{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(text)
    _say(f"wrote {path}")
    return path


def seeds(text: str) -> list[int]:
    """`9000:9005` as a range, `1,2,5` as a list."""
    first, colon, last = text.partition(":")
    return list(range(int(first), int(last))) if colon else [int(part) for part in text.split(",")]
