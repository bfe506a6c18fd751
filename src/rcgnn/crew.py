"""Many tasks, several at a time, each in a process of its own kind: one thread, a time limit, and nothing lost when one dies.

`processes` are those of this machine; `rcgnn.cluster` has Ray's. Who gives out tasks sees a `Crew` and does not know which.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol

from rcgnn.errors import FAILURES, in_words
from rcgnn.processors import one_thread_each

GRACE = 120.0
"""Seconds beside the limit for loading libraries and preparing; the limit itself is for the work."""
RETRIES = 2
"""How often a task is given out again whose process died under it; one that takes too long is not."""
Work = Callable[[Any, Callable[[Any], None]], Any]
"""Done in a worker: the task, and whom to tell that the clock begins now, with what is known so far. What it is bound to
(`functools.partial`) is handed over once a process, not once a task."""


def outcome(work: Work, task: Any, tell: Callable[[tuple[str, Any]], None]) -> tuple[str, Any]:
    """What a worker tells of one task in the end; `tell` hears before that when its clock begins.

    Returns:
        ("done", result), or ("failed", sentence) where it failed by one of `FAILURES`; any other error goes on.

    Example:
        >>> outcome(lambda task, began: 1 / task, 0, print)
        ('failed', 'ZeroDivisionError: division by zero')
    """
    try:
        return "done", work(task, lambda facts: tell(("began", facts)))
    except FAILURES as error:
        return "failed", in_words(error)


class LastWords(AbstractContextManager["LastWords"]):
    """Tells why the block ends by an error; nothing is caught: the error goes on and ends the process or thread.

    Example:
        >>> said = []
        >>> with suppress(KeyError), LastWords(said.append):
        ...     {}["flow"]
        >>> said
        ["KeyError: 'flow'"]
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Whatever it is: `sys.exit` in somebody's method ends the block as well."""
        if error is not None:
            self.say(in_words(error))


class End(NamedTuple):
    """What became of one task.

    Attributes:
        how: finished, over its time, ended by an error, or its process died without a word.
        result: of the work; None unless it finished.
        facts: what the work told when its clock began; None where it did not.
        seconds: since its clock began.
        exit_code: of a process that died, where it is known.
        error: last words of a task that ended by an error.
    """

    how: Literal["done", "late", "failed", "lost"]
    result: Any = None
    facts: Any = None
    seconds: float = 0.0
    exit_code: int | None = None
    error: str | None = None

    @property
    def why(self) -> str:
        """Why a task that failed or was lost has no result, as it is told to people."""
        if self.error is not None:
            return self.error
        code = "" if self.exit_code is None else f" (exit code {self.exit_code})"
        return f"the process ended{code}, {RETRIES + 1} times; is there enough memory?"


class Crew(Protocol):
    """Places for tasks, each at one task at a time.

    Attributes:
        busy: tasks that are being done.
        free: tasks that can be given now.
    """

    @property
    def busy(self) -> int: ...
    @property
    def free(self) -> int: ...

    def give(self, task: Any) -> None:
        """The next task; there must be a free place."""

    def ended(self) -> Iterator[tuple[Any, End]]:
        """Wait until something happens; every task that is over."""


Engine = Callable[[Work, int, float | None], AbstractContextManager[Crew]]
"""Work, places and the seconds that one task may take give a crew, which ends with the block, whatever ends it."""


def work_off(crew: Crew, queue: deque[Any]) -> Iterator[tuple[Any, End]]:
    """Every task of the queue with its end, as they end; what is taken out of the queue meanwhile is not done.

    A task whose process died is given out again, at most `RETRIES` times: tasks depend on nothing but themselves, so the result is the
    same. One that ended by an error is not: the error would come again.
    """
    lost = Counter[int]()
    while queue or crew.busy:
        while queue and crew.free:
            crew.give(queue.popleft())
        for task, end in crew.ended():
            if end.how == "lost" and lost[id(task)] < RETRIES:
                lost[id(task)] += 1
                queue.appendleft(task)
                continue
            del lost[id(task)]  # another task may get its place in memory
            yield task, end


class Packed:
    """The work as bytes, made once for all processes that are told at the same time: what it is bound to may be a large table."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._made: weakref.ref[memoryview] | None = None

    def bytes(self) -> memoryview:
        """Made anew where nobody holds the last ones any more."""
        made = None if self._made is None else self._made()
        if made is None:
            made = ForkingPickler.dumps(self.work)
            self._made = weakref.ref(made)
        return made


@dataclass
class Worker:
    """A process that does one task after the other; `task` is the one it is at."""

    work: Packed
    limit: float | None = None
    task: Any = None
    facts: Any = None
    since: float = 0.0
    deadline: float = float("inf")
    process: multiprocessing.process.BaseProcess | None = None
    pipe: Connection | None = None
    telling: threading.Thread | None = None

    def start(self) -> Connection:
        """A new process, and the pipe through which it will be told its work.

        Not as an argument: Python hands arguments over through a pipe whose other end it holds itself, so it would wait for ever for a
        process that ends before it has read them.
        """
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), name="rcgnn worker")
        with one_thread_each():
            self.process.start()
        theirs.close()
        return self.pipe

    def give(self, task: Any) -> None:
        """The next task; the process is started where there is none.

        A thread does the telling: a process reads only when it has loaded its libraries, and the next one need not wait for that.
        """
        if self.process is not None and not self.process.is_alive():
            self.stop()
        packed = [*([self.work.bytes()] if self.pipe is None else []), ForkingPickler.dumps(task)]
        pipe = self.start() if self.pipe is None else self.pipe
        self.task, self.facts, self.since = task, None, time.monotonic()
        self.deadline = float("inf") if self.limit is None else self.since + self.limit + GRACE
        self.telling = threading.Thread(target=_tell, args=(pipe, packed), daemon=True)
        self.telling.start()

    def answer(self) -> End | None:
        """The end of the task when it is over; None when it goes on."""
        if self.pipe is not None and self.pipe.poll():
            try:
                what, told = self.pipe.recv()
            except (EOFError, OSError):
                return self._lost()
            seconds = time.monotonic() - self.since
            if what == "done":
                return End("done", told, self.facts, seconds)
            if what == "failed":
                return End("failed", facts=self.facts, seconds=seconds, error=told)
            if what == "ended":
                return End("failed", facts=self.facts, seconds=seconds, exit_code=self._ending(), error=told)
            self.facts, self.since = told, time.monotonic()
            self.deadline = float("inf") if self.limit is None else self.since + self.limit
        if time.monotonic() >= self.deadline:
            self.stop()
            return End("late", facts=self.facts, seconds=time.monotonic() - self.since)
        return None

    def _lost(self) -> End:
        return End("lost", facts=self.facts, seconds=time.monotonic() - self.since, exit_code=self._ending())

    def _ending(self) -> int | None:
        """Wait for a process that ends by itself; its exit code."""
        process = self.process
        if process is not None:
            process.join(5)
        code = None if process is None else process.exitcode
        self.stop()
        return code

    def stop(self) -> None:
        """End the process and whatever it started."""
        if self.process is not None and self.process.pid is not None:
            if hasattr(os, "killpg"):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.join()
        if self.telling is not None:
            self.telling.join()  # the other end is gone, so it ends; the pipe must not be closed under it
        if self.pipe is not None:
            self.pipe.close()
        self.process = self.pipe = self.telling = None


def _tell(pipe: Connection, packed: Sequence[memoryview]) -> None:
    """To the process; where it is gone, `Worker.answer` finds out."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for what in packed:
            pipe.send_bytes(what)


class Processes:
    """The crew of this machine: every place is a process that is started when it gets its first task."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers

    @property
    def busy(self) -> int:
        """Tasks that are being done."""
        return sum(worker.task is not None for worker in self.workers)

    @property
    def free(self) -> int:
        """Tasks that can be given now."""
        return len(self.workers) - self.busy

    def give(self, task: Any) -> None:
        """The next task, to a free process."""
        next(worker for worker in self.workers if worker.task is None).give(task)

    def ended(self) -> Iterator[tuple[Any, End]]:
        """Wait until something happens; every task that is over."""
        busy = [worker for worker in self.workers if worker.task is not None]
        first = min((worker.deadline for worker in busy), default=float("inf"))
        timeout = None if first == float("inf") else max(0.0, first - time.monotonic())
        wait([worker.pipe for worker in busy if worker.pipe is not None], timeout)
        for worker in busy:
            end = worker.answer()
            if end is not None:
                task, worker.task = worker.task, None
                yield task, end


@contextmanager
def processes(work: Work, size: int, limit: float | None = None) -> Iterator[Processes]:
    """Processes of this machine that start when they are given a task, on one thread each."""
    packed = Packed(work)
    workers = [Worker(packed, limit) for _ in range(size)]
    try:
        yield Processes(workers)
    finally:
        for worker in workers:
            worker.stop()


def serve(pipe: Connection) -> None:
    """The worker: the work and then tasks in, results out, until the other end is gone. What the work prints goes nowhere.

    An error that is none of `FAILURES` ends it: the other end gets the last words, standard error the traceback.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    warnings.simplefilter("ignore")
    with LastWords(lambda why: pipe.send(("ended", why))):
        told = _told(pipe)
        for work in told:  # once: everything after it is a task
            for task in told:
                pipe.send(outcome(work, task, pipe.send))


def _told(pipe: Connection) -> Iterator[Any]:
    """What comes, until the other end is gone."""
    while True:
        try:
            what = pipe.recv()
        except EOFError:
            return
        yield what


def _end_with_parent() -> None:
    """A job that was killed leaves no work behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
