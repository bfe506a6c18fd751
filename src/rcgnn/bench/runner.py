"""Many runs, several at a time, each in a process of its own kind: one thread, a time limit, and nothing lost when one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import NamedTuple

from rcgnn.bench.job import Job, Line, failed, run_job
from rcgnn.bench.store import Store

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")
GRACE = 120.0
"""Seconds beside the limit for loading libraries and making the table; the limit itself is for the fit."""
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
    with _one_thread(), _crew(min(limits.workers, len(queue)), limits.seconds) as crew:
        while queue or any(worker.task for worker in crew):
            for worker in crew:
                if worker.task is None and queue:
                    worker.give(queue.pop(0))
            for key, job, line in _finished(crew):
                if "skipped" in line:
                    skipped[job.method] = line["skipped"]
                    queue = [(k, other) for k, other in queue if other.method != job.method]
                    continue
                store.append(key, {"job": job.facts(), **line})
                done[key] = line
                waiting = len(queue) + sum(worker.task is not None for worker in crew)
                tell(len(done) - reused, len(done) - reused + waiting, job, line)
    return Results([(job, done[key]) for job, key in keys.items() if key in done], skipped, reused)


def _lasting(line: Line, seconds: float | None) -> bool:
    """Does a stored line hold for this run? A lost process may do better now, and so may a run that has more time."""
    if line.get("ended") == TIME:
        return seconds is not None and seconds <= line["limit"]
    return bool(line.get("ended") != LOST)


@dataclass
class _Worker:
    """A process that runs one job after the other; `task` is the one it is at."""

    limit: float | None
    task: tuple[str, Job] | None = None
    facts: Line = field(default_factory=dict)
    since: float = 0.0
    deadline: float = float("inf")
    process: multiprocessing.process.BaseProcess | None = None
    pipe: Connection | None = None

    def start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), name="rcgnn bench")
        self.process.start()
        theirs.close()
        return self.pipe

    def give(self, task: tuple[str, Job]) -> None:
        if self.process is not None and not self.process.is_alive():
            self.stop()
        pipe = self.pipe or self.start()
        self.task, self.facts, self.since = task, {}, time.monotonic()
        self.deadline = float("inf") if self.limit is None else self.since + self.limit + GRACE
        pipe.send(task[1])

    def answer(self) -> Line | None:
        """The line of the task when it is over: finished, dead or late; None when it goes on."""
        if self.pipe is not None and self.pipe.poll():
            try:
                what, line = self.pipe.recv()
            except (EOFError, OSError):
                return self._lost()
            if what == "done":
                return dict(line)
            self.facts, self.since = line, time.monotonic()
            self.deadline = float("inf") if self.limit is None else self.since + self.limit
        if time.monotonic() >= self.deadline:
            self.stop()
            facts = {**self.facts, "ended": TIME, "limit": self.limit}
            return failed(f"time limit: more than {self.limit:g} s", time.monotonic() - self.since, facts)
        return None

    def _lost(self) -> Line:
        process = self.process
        if process is not None:
            process.join(5)
        code = None if process is None else process.exitcode
        self.stop()
        facts = {**self.facts, "ended": LOST}
        return failed(f"the process ended (exit code {code}); is there enough memory?", time.monotonic() - self.since, facts)

    def stop(self) -> None:
        """End the process and whatever it started."""
        if self.process is not None and self.process.pid is not None:
            if hasattr(os, "killpg"):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.join()
        if self.pipe is not None:
            self.pipe.close()
        self.process = self.pipe = None


@contextmanager
def _crew(size: int, limit: float | None) -> Iterator[list[_Worker]]:
    workers = [_Worker(limit) for _ in range(size)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def _finished(crew: Sequence[_Worker]) -> Iterator[tuple[str, Job, Line]]:
    """Wait until something happens; every task that is over."""
    busy = [worker for worker in crew if worker.task is not None]
    first = min((worker.deadline for worker in busy), default=float("inf"))
    timeout = None if first == float("inf") else max(0.0, first - time.monotonic())
    wait([worker.pipe for worker in busy if worker.pipe is not None], timeout)
    for worker in busy:
        line = worker.answer()
        if line is not None and worker.task is not None:
            (key, job), worker.task = worker.task, None
            yield key, job, line


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start inside have linear algebra on one thread."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def serve(pipe: Connection) -> None:
    """The worker: jobs in, lines out, until the other end is gone. What a method prints goes nowhere."""
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    warnings.simplefilter("ignore")
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(("done", run_job(job, tell=lambda facts: pipe.send(("began", facts)))))


def _end_with_parent() -> None:
    """A benchmark that was killed leaves no fit behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
