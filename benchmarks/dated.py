"""What every script here shares: where results go, what stands under the title, and the runs of `rcgnn.bench` told line by line."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rcgnn.bench.job import Job, Line, source_digest
from rcgnn.bench.markdown import machine, short, today
from rcgnn.bench.rows import Row, result_rows
from rcgnn.bench.runner import Limits, run_all
from rcgnn.bench.store import Store

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
THREADS = os.environ.get("OMP_NUM_THREADS")
"""As the benchmark was started; it belongs to the command."""


def run(jobs: Sequence[Job], *, workers: int, store: Path | None) -> list[Row]:
    """The tidy rows of every job, from `store` where its lines are there."""
    found = run_all(jobs, limits=Limits(workers), store=Store(store), tell=_tell)
    if store is not None:
        _say(f"{store}: {found.reused} of {len(set(jobs))} results were there; source {source_digest()}")
    for method, why in found.skipped.items():
        _say(f"skipped {method}: {why}")
    return result_rows(found.lines)


def source() -> list[str]:
    """Hardware, software and the exact command: two lines under every title."""
    threads = f"OMP_NUM_THREADS={THREADS} " if THREADS else ""
    script = Path(sys.argv[0]).name
    return [machine(), f"Command: `{threads}{shlex.join(['python', f'benchmarks/{script}', *sys.argv[1:]])}`"]


def write(text: str, out: Path | None, name: str) -> Path:
    """The dated file, on disk and on the screen."""
    path = out or RESULTS / f"{today()}-{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(text)
    _say(f"wrote {path}")
    return path


def _tell(done: int, total: int, job: Job, line: Line) -> None:
    _say(short(done, total, job, line))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
