"""Many runs, several at a time: what is done is kept, a method that is not installed is skipped, one that dies is a failed run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rcgnn.bench.job import Job, Line, failed, run_job
from rcgnn.bench.store import Store
from rcgnn.crew import End, Engine, processes, work_off

TIME, LOST = "time limit", "lost process"
Tell = Callable[[int, int, Job, Line], None]
"""Told of each finished run: how many are done, of how many, which, and its line."""


def silent(done: int, total: int, job: Job, line: Line) -> None:
    """Nobody is told."""


class Results(NamedTuple):
    """What came of the jobs.

    Attributes:
        lines: in the order of the jobs, without those of skipped methods.
        skipped: why, by method.
        reused: how many lines were there before.
    """

    lines: list[tuple[Job, Line]]
    skipped: dict[str, str]
    reused: int


@dataclass
class Limits:
    """How many workers, and how long one fit may take.

    Attributes:
        workers: runs at a time.
        seconds: for one fit; None for no limit.
        fresh: finished runs are not looked at; new lines win over them.
        engine: who does the work.
    """

    workers: int = 2
    seconds: float | None = None
    fresh: bool = False
    engine: Engine = processes


def run_all(jobs: Sequence[Job], *, limits: Limits, store: Store, tell: Tell = silent) -> Results:
    """Every job's line, from `store` where it is there; new lines are appended to it as they come.

    A method whose package is not installed is skipped whole. A run that takes too long, ends by an error, or whose process
    dies again and again, is a failed one; the others go on. Whatever ends this function ends the workers.
    """
    keys = {job: job.key for job in jobs}
    stored = {} if limits.fresh else {key: line for key, line in store.read().items() if _lasting(line, limits.seconds)}
    done = {key: stored[key] for key in keys.values() if key in stored}
    reused = len(done)
    pending = {key: job for job, key in reversed(keys.items()) if key not in done}
    queue = deque((key, pending[key]) for key in dict.fromkeys(keys.values()) if key in pending)
    skipped: dict[str, str] = {}
    with limits.engine(_work, min(limits.workers, len(queue)), limits.seconds) as crew:
        for (key, job), end in work_off(crew, queue):
            line = _line(end, limits.seconds)
            if "skipped" in line:
                skipped[job.method] = line["skipped"]
                for task in [task for task in queue if task[1].method == job.method]:
                    queue.remove(task)
                continue
            store.append(key, {"job": job.facts(), **line})
            done[key] = line
            tell(len(done) - reused, len(done) - reused + len(queue) + crew.busy, job, line)
    return Results([(job, done[key]) for job, key in keys.items() if key in done], skipped, reused)


def _lasting(line: Line, seconds: float | None) -> bool:
    """Does a stored line hold for this run? A lost process may do better now, and so may a run that has more time."""
    if line.get("ended") == TIME:
        return seconds is not None and seconds <= line["limit"]
    return bool(line.get("ended") != LOST)


def _line(end: End, limit: float | None) -> Line:
    """The line of a run; one that took too long or whose process died is a failed one."""
    facts = end.facts or {}
    if end.how == "late":
        return failed(f"time limit: more than {limit:g} s", end.seconds, {**facts, "ended": TIME, "limit": limit})
    if end.how == "lost":
        return failed(end.why, end.seconds, {**facts, "ended": LOST})
    if end.how == "failed":
        return failed(end.why, end.seconds, facts)
    return dict(end.result)


def _work(task: tuple[str, Job], tell: Callable[[Line], None]) -> Line:
    return run_job(task[1], tell=tell)
