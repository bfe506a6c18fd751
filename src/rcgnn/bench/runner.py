"""Many runs, several at a time: what is done is kept, a method that is not installed is skipped, one that dies is a failed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rcgnn.bench.job import Job, Line, failed, run_job
from rcgnn.bench.store import Store
from rcgnn.crew import End, Worker, crew, ended

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
    """

    workers: int = 2
    seconds: float | None = None
    fresh: bool = False


def run_all(jobs: Sequence[Job], *, limits: Limits, store: Store, tell: Tell = silent) -> Results:
    """Every job's line, from `store` where it is there; new lines are appended to it as they come.

    A method whose package is not installed is skipped whole. A process that dies or takes too long is a failed run; the
    others go on in a new one. Whatever ends this function ends the workers.
    """
    keys = {job: job.key for job in jobs}
    stored = {} if limits.fresh else {key: line for key, line in store.read().items() if _lasting(line, limits.seconds)}
    done = {key: stored[key] for key in keys.values() if key in stored}
    reused = len(done)
    pending = {key: job for job, key in reversed(keys.items()) if key not in done}
    queue = [(key, pending[key]) for key in dict.fromkeys(keys.values()) if key in pending]
    skipped: dict[str, str] = {}
    with crew(_work, min(limits.workers, len(queue)), limits.seconds) as workers:
        while queue or any(worker.task for worker in workers):
            for worker in workers:
                if worker.task is None and queue:
                    worker.give(queue.pop(0))
            for key, job, line in _finished(workers, limits.seconds):
                if "skipped" in line:
                    skipped[job.method] = line["skipped"]
                    queue = [(k, other) for k, other in queue if other.method != job.method]
                    continue
                store.append(key, {"job": job.facts(), **line})
                done[key] = line
                waiting = len(queue) + sum(worker.task is not None for worker in workers)
                tell(len(done) - reused, len(done) - reused + waiting, job, line)
    return Results([(job, done[key]) for job, key in keys.items() if key in done], skipped, reused)


def _lasting(line: Line, seconds: float | None) -> bool:
    """Does a stored line hold for this run? A lost process may do better now, and so may a run that has more time."""
    if line.get("ended") == TIME:
        return seconds is not None and seconds <= line["limit"]
    return bool(line.get("ended") != LOST)


def _finished(workers: Sequence[Worker], limit: float | None) -> Iterator[tuple[str, Job, Line]]:
    """Every run that is over, with its line."""
    for (key, job), end in ended(workers):
        yield key, job, _line(end, limit)


def _line(end: End, limit: float | None) -> Line:
    """The line of a run; one that took too long or whose process died is a failed one."""
    facts = end.facts or {}
    if end.how == "late":
        return failed(f"time limit: more than {limit:g} s", end.seconds, {**facts, "ended": TIME, "limit": limit})
    if end.how == "lost":
        return failed(f"the process ended (exit code {end.exit_code}); is there enough memory?", end.seconds, {**facts, "ended": LOST})
    return dict(end.result)


def _work(task: tuple[str, Job], tell: Callable[[Line], None]) -> Line:
    return run_job(task[1], tell=tell)
