"""Ray as the crew: the same work on the cores of one machine or of many; what all tasks share is put into the object store once.

Ray is an extra (`pip install 'rcgnn[cluster]'`) and loads only here and in `sweep.tune`.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import queue
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any

from rcgnn.crew import GRACE, Crew, End, Engine, LastWords, Work, outcome, processes
from rcgnn.errors import InputError
from rcgnn.processors import THREADS, one_thread_each

AUTO = "auto"
ANSWER_WITHIN = 12.0
"""Seconds in which a cluster must answer."""
ONE_THREAD = {"env_vars": dict.fromkeys(THREADS, "1")}
"""What processes of a cluster that was there before get. Those of one that starts here have it from the start: Ray gets as many ready
as it has cores, and would start others for this."""
ASK = """
import logging, sys, ray
logging.disable()
try:
    ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
    print(str(error).split(". ")[0].strip("."))
    sys.exit(1)
"""
"""Joins and leaves; says in one sentence why it cannot."""
OWN = "leave --address out for Ray on this machine alone"


def ray_engine(address: str | None = None) -> Engine:
    """Ray's crew: on the cluster at `address`, or on one that starts on this machine and ends with the work.

    Args:
        address: `auto` (the cluster that this machine belongs to), `host:port`, or None.

    Raises:
        InputError: Ray is not installed, or no cluster answers there.
    """
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("optuna") is None:
        raise InputError("--engine ray: Ray and Optuna are not both installed; run `pip install 'rcgnn[cluster]'`, or use --engine local.")
    if address is not None:
        _must_answer(address)
    return partial(ray_crew, address=address)


def _must_answer(address: str) -> None:
    """Asked in a process of its own: Ray itself waits for minutes, and cannot be stopped."""
    if "://" in address:
        raise InputError(f"--address {address}: expected auto or host:port; run the command on a machine of the cluster, or {OWN}.")
    asked = [sys.executable, "-W", "ignore", "-c", ASK, address]
    try:
        done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=ANSWER_WITHIN)  # noqa: S603 - this very Python
        why = "" if done.returncode == 0 else done.stdout.strip() or "the answer cannot be read"
    except subprocess.TimeoutExpired as late:
        locked = b"InvalidAuthToken" in (late.stderr or b"")
        why = "it asks for a token: set RAY_AUTH_MODE=token" if locked else f"no answer within {ANSWER_WITHIN:g} s"
    if why:
        raise InputError(f"--address {address}: no Ray cluster can be joined there ({why}); start one with `ray start --head`, or {OWN}.")


@contextmanager
def joined(address: str | None, cpus: int) -> Iterator[Any]:
    """The module `ray`, joined to the cluster at the address, or to one of `cpus` on this machine; one that is there already is used.

    Raises:
        InputError: the cluster cannot be joined.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's own default of the next release; without it, a warning
    import ray

    if ray.is_initialized():
        yield ray
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    where: dict[str, Any] = {"address": address, "runtime_env": ONE_THREAD}
    if address is None:
        where = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    try:
        with one_thread_each():
            ray.init(log_to_driver=False, logging_level="error", configure_logging=False, **where)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"--engine ray: {address or 'Ray on this machine'} cannot be used ({' '.join(str(error).split())}).") from error
    try:
        with redirect_stdout(sys.stderr):  # what Ray tells of lost machines is no answer
            yield ray
    finally:
        ray.shutdown()


@contextmanager
def ray_crew(work: Work, size: int, limit: float | None = None, *, address: str | None = None) -> Iterator[Crew]:
    """Tasks of Ray, `size` at a time, one core and one thread each."""
    if size == 0:  # nothing to do: no cluster
        with processes(work, 0) as nobody:
            yield nobody
        return
    with joined(address, size) as ray:
        crew = RayCrew(ray, work, size, limit)
        try:
            yield crew
        finally:
            crew.stop()


@dataclass(eq=False)
class Held:
    """A task that was given out, and the stream of what its process tells."""

    task: Any
    stream: Any
    since: float
    deadline: float = float("inf")
    facts: Any = None


class RayCrew:
    """The crew of a cluster; waiting for a free core does not count as time of a task."""

    def __init__(self, ray: Any, work: Work, size: int, limit: float | None) -> None:
        self.ray, self.size, self.limit = ray, size, limit
        self.shared = ray.put(work)  # with what it is bound to: once, however many tasks there are
        self.begin = ray.remote(num_cpus=1, max_retries=0)(stream)
        self.held: list[Held] = []

    @property
    def busy(self) -> int:
        """Tasks that are being done."""
        return len(self.held)

    @property
    def free(self) -> int:
        """Tasks that can be given now."""
        return self.size - self.busy

    def give(self, task: Any) -> None:
        """The next task."""
        self.held.append(Held(task, self.begin.remote(self.shared, task), time.monotonic()))

    def ended(self) -> Iterator[tuple[Any, End]]:
        """Wait until something happens; every task that is over."""
        first = min((held.deadline for held in self.held), default=float("inf"))
        timeout = None if first == float("inf") else max(0.0, first - time.monotonic())
        ready, _ = self.ray.wait([held.stream for held in self.held], timeout=timeout)
        for held in list(self.held):
            end = self._told(held) if held.stream in ready else self._late(held)
            if end is not None:
                self.held.remove(held)
                yield held.task, end

    def _told(self, held: Held) -> End | None:
        """What the process told next; None where the task goes on."""
        errors = self.ray.exceptions
        try:
            what, told = self.ray.get(next(held.stream))
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError, errors.OutOfMemoryError):
            return End("lost", facts=held.facts, seconds=time.monotonic() - held.since)
        now = time.monotonic()
        if what == "done":
            return End("done", told, held.facts, now - held.since)
        if what == "failed":
            return End("failed", facts=held.facts, seconds=now - held.since, error=told)
        held.since, held.facts = now, told
        if self.limit is not None:
            held.deadline = now + self.limit + (GRACE if what == "here" else 0.0)
        return None

    def _late(self, held: Held) -> End | None:
        if time.monotonic() < held.deadline:
            return None
        self.ray.cancel(held.stream, force=True)
        return End("late", facts=held.facts, seconds=time.monotonic() - held.since)

    def stop(self) -> None:
        """End what is still being done."""
        for held in self.held:
            self.ray.cancel(held.stream, force=True)
        self.held.clear()


def stream(work: Work, task: Any) -> Iterator[tuple[str, Any]]:
    """In a process of Ray: that it is here, that the clock of the task begins, its result.

    Yields:
        ("here", None), ("began", facts) when the work tells, ("done", result) or ("failed", last words).
    """
    warnings.simplefilter("ignore")
    news: queue.Queue[tuple[str, Any]] = queue.Queue()
    thread = threading.Thread(target=_work, args=(work, task, news.put), daemon=True)
    yield "here", None
    thread.start()
    what = ""
    while what not in {"done", "failed"}:
        what, told = news.get()
        yield what, told


def _work(work: Work, task: Any, put: Callable[[tuple[str, Any]], None]) -> None:
    with LastWords(lambda why: put(("failed", why))):
        put(outcome(work, task, put))
