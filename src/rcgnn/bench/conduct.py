"""From a suite to a folder of results: jobs, runs, tables, report."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rcgnn.bench.job import OURS, Job
from rcgnn.bench.report import Benchmark, render
from rcgnn.bench.rows import LINK, RESULT, link_rows, result_rows, write_parquet
from rcgnn.bench.runner import Limits, Tell, run_all, silent
from rcgnn.bench.store import Store
from rcgnn.bench.suite import Skipped, Suite
from rcgnn.config import Config
from rcgnn.errors import InputError

RUNS, RESULTS, LINKS, REPORT, FIGURES = "runs.jsonl", "results.parquet", "links.parquet", "report.md", "figures"


@dataclass(frozen=True)
class Plan:
    """How a suite is run.

    Attributes:
        methods: instead of the suite's.
        seeds: instead of the suite's and of its blocks'.
        settings: `section.name=value` for rcgnn.
        data: folder of the real tables.
        limits: workers, seconds a fit, whether finished runs count.
        command: for the report.
        max_cells: of one table; None: by memory.
    """

    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()
    data: Path | None = None
    limits: Limits = field(default_factory=Limits)
    command: str = ""
    max_cells: int | None = None


def jobs_of(suite: Suite, plan: Plan) -> tuple[list[Job], list[Skipped]]:
    """Every method on every table, all methods of a table one after the other; and the real tables that are not there.

    Raises:
        ConfigError: a setting that does not exist or is out of its range.
    """
    Config().override(plan.settings)
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    for block in suite.blocks:
        for case in block.cases(plan.seeds or block.seeds or suite.seeds, plan.data):
            if isinstance(case, Skipped):
                skipped.append(case)
                continue
            wanted, limited = plan.methods or suite.methods, replace(case, max_cells=plan.max_cells)
            jobs += [Job(limited, m, plan.settings if m == OURS else (), suite.name, block.name) for m in wanted]
    return jobs, skipped


def conduct(suite: Suite, plan: Plan, out: Path, tell: Tell = silent) -> Benchmark:
    """Run what is not there yet, and write `runs.jsonl`, `results.parquet`, `links.parquet`, `report.md` and `figures/`.

    Args:
        suite: the tables.
        plan: how.
        out: folder of the results; finished runs in it are not run again.
        tell: told of every run as it ends.

    Raises:
        InputError: nothing to run, or the folder cannot be written.
    """
    jobs, skipped = jobs_of(suite, plan)
    if not jobs:
        reasons = "; ".join(f"{s.what}: {s.why}" for s in skipped)
        raise InputError(f"bench {suite.name}: there is no table to run on ({reasons}).")
    results = run_all(jobs, limits=plan.limits, store=Store(out / RUNS), tell=tell)
    skipped += [Skipped(method, why) for method, why in results.skipped.items()]
    done = Benchmark(
        suite.name, suite.about, plan.command, result_rows(results.lines), link_rows(results.lines), skipped, results.reused, out / FIGURES
    )
    write_parquet(out / RESULTS, done.rows, RESULT)
    write_parquet(out / LINKS, done.links, LINK)
    return write_report(done, out)


def write_report(done: Benchmark, out: Path) -> Benchmark:
    """`report.md` and its pictures; those of an earlier report go.

    Raises:
        InputError: the folder cannot be written.
    """
    shutil.rmtree(out / FIGURES, ignore_errors=True)
    try:
        for name in (FIGURES, REPORT):  # what a link leads to is not ours
            if (out / name).is_symlink():
                (out / name).unlink()
        (out / REPORT).write_text(render(replace(done, images=out / FIGURES)), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out / REPORT}: cannot be written ({error.strerror or error}).") from error
    return done


def files(out: Path) -> Sequence[Path]:
    """What lies in a folder of results."""
    return [out / name for name in (REPORT, RESULTS, LINKS, RUNS)]
