"""The network trained in a process of its own beside the rest of the fit: it changes no verdict, so neither waits for the other.

Own histories need no candidate: the other process trains them while this one smooths and screens. It is this very Python with this
very code, on one thread; it is told over a pipe, and its answer is the one that training here would give. Where it cannot be started,
or dies, the network is trained here.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from rcgnn.budget import Budget
from rcgnn.candidates import Candidates
from rcgnn.config import Config
from rcgnn.errors import RcgnnError
from rcgnn.health import HealthRecord, Progress
from rcgnn.keeper import Keeper
from rcgnn.prepared import Prepared
from rcgnn.processors import THREADS, processors
from rcgnn.refined import Refined
from rcgnn.rerun import Repeated, until_links
from rcgnn.stages import KINDS, SMALL, OnRecord, threads
from rcgnn.store import Store

if TYPE_CHECKING:
    from rcgnn.train.own import Own

LEAST_CELLS, MOST_CELLS = 40_000, 4_000_000
"""Rows times sensors of the tables that are worth a process, which takes 2 s to start and is sent the table."""
LOST = ("lost", None)


class Told(NamedTuple):
    """Who is told of every step of the training, and who is given every health record."""

    progress: Progress
    on_record: OnRecord | None


@dataclass(frozen=True, eq=False)
class Task:
    """What the network is trained on.

    Attributes:
        prepared: the table, cleaned and scaled.
        config: all settings.
        store: where another process keeps states of training, and trained networks, and finds them again; None: nowhere.
    """

    prepared: Prepared
    config: Config
    store: Store | None = None

    def begun(self, told: Told) -> Own | None:
        """Phase 1 of the training, for which no candidates are needed; None where that was done and more."""
        from rcgnn.refine import phase_one

        if self.store is not None and self.store.about(_trained(1)) is not None:
            return None
        with threads(self.prepared.scaled.shape[1]):
            return phase_one(self.prepared, self.config, progress=told.progress, store=self.store)

    def done(
        self,
        candidates: Candidates,
        told: Told,
        keeper: Keeper,
        *,
        own: Own | None = None,
        over: Callable[[], bool] = lambda: False,
        again: Callable[[], bool] = lambda: True,
    ) -> Repeated[Refined]:
        """The network, trained in this process, and once more where it lost every link.

        Args:
            candidates: the links that the network gets.
            told: who is told meanwhile.
            keeper: of states of training, and of trained networks.
            own: what `begun` gave.
            over: see `train`.
            again: is there time for another training?
        """
        from rcgnn.refine import refine

        attempts = count(1)

        def once(settings: Config, keep: OnRecord) -> Refined:
            made: list[Refined] = []

            def make() -> Refined:
                made.append(
                    refine(
                        self.prepared,
                        candidates,
                        settings,
                        progress=told.progress,
                        on_record=keep,
                        over=over,
                        store=keeper.store,
                        own=own,
                    )
                )
                return made[0]

            done = keeper.kept(_trained(next(attempts)), make)
            for record in [] if made else done.records:
                keep(record)
            return done

        with threads(self.prepared.scaled.shape[1]):  # again: torch has perhaps only now been loaded
            return until_links(
                once, lambda refined: refined.links if again() else None, self.config, progress=told.progress, on_record=told.on_record
            )

    def alone(self, candidates: Candidates, told: Told, own: Own | None = None) -> Repeated[Refined]:
        """The same without a budget, in a process that has nothing else to do."""
        return self.done(candidates, told, Keeper(self.store, KINDS, Budget()), own=own)


def _trained(attempt: int) -> str:
    """Under which a trained network is kept."""
    return f"trained-{attempt}"


class Aside:
    """Another process that trains: own histories at once, the links from `begin` on, until it is asked for its `answer`."""

    def __init__(self, task: Task) -> None:
        here, there = socket.socketpair()
        with here, there:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, this code
                [sys.executable, "-c", f"from rcgnn.aside import serve; serve({there.fileno()})"],
                pass_fds=[there.fileno()],
                env=os.environ | dict.fromkeys(THREADS, "1"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._pipe = Connection(here.detach())
        self._task = task
        self._candidates: Candidates | None = None
        self._news, self._orders = SimpleQueue[tuple[str, Any]](), SimpleQueue[Any]()
        self._orders.put(ForkingPickler.dumps(task))
        self._talking = [Thread(target=talk, daemon=True) for talk in (self._tell, self._listen)]
        try:
            for thread in self._talking:
                thread.start()
        except RuntimeError:
            self._process.kill()
            raise

    def begin(self, candidates: Candidates) -> None:
        """Train the links from now on."""
        self._candidates = candidates
        self._orders.put(ForkingPickler.dumps(candidates))

    def answer(self, told: Told) -> Repeated[Refined]:
        """Wait for the network; what was told meanwhile, and is told from now on, is passed on.

        Raises:
            RcgnnError: what the training raised.
        """
        if self._candidates is None:
            raise ValueError("nothing was begun")
        records = 0
        while True:
            kind, what = self._news.get()
            if kind == "progress":
                told.progress(*what)
            elif kind == "record":
                records += 1
                if told.on_record is not None:
                    told.on_record(what)
            elif kind == "done":
                return what
            elif kind == "failed":
                raise what
            else:
                told = told._replace(on_record=_after(records, told.on_record))
                return self._task.alone(self._candidates, told, self._task.begun(told))

    def end(self) -> None:
        """Whatever it does, it is not needed any longer."""
        self._process.kill()
        self._process.wait()
        self._orders.put(None)
        for thread in self._talking:
            thread.join()  # the other end is gone, so they end; the pipe must not be closed under them
        self._pipe.close()

    def _tell(self) -> None:
        """Hand over one order after the other: a process reads only when it has loaded its libraries, and nobody waits for that."""
        with suppress(OSError):
            while (order := self._orders.get()) is not None:
                self._pipe.send_bytes(order)

    def _listen(self) -> None:
        try:
            with suppress(EOFError, OSError):
                while True:
                    self._news.put(self._pipe.recv())
        finally:
            self._news.put(LOST)


@contextmanager
def aside(task: Task, *, wanted: bool) -> Iterator[Aside | None]:
    """Another process, which begins at once; None where none is wanted or there can be none."""
    other = None
    if wanted:
        with suppress(OSError):
            other = Aside(task)
    try:
        yield other
    finally:
        if other is not None:
            other.end()


def pays(rows: int, sensors: int) -> bool:
    """Is there a second processor for a table of so many rows and sensors?

    A process whose linear algebra was set to one thread from outside, as workers of a crew and of torchrun are, has no second one.
    """
    alone = os.environ.get("OMP_NUM_THREADS") == "1" or "WORLD_SIZE" in os.environ
    fitting = sensors <= SMALL and LEAST_CELLS <= rows * sensors <= MOST_CELLS
    return os.name == "posix" and fitting and not alone and processors() > 1


def serve(handle: int) -> None:
    """The other process: a task and candidates in, news and the network out. It ends when the pipe does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe, orders = Connection(handle), SimpleQueue[Any]()
    Thread(target=_hear, args=(pipe, orders), daemon=True).start()
    import rcgnn.refine  # noqa: F401 - while the task is not there yet

    task: Task = orders.get()
    with suppress(OSError):
        told = Told(lambda stage, info: pipe.send(("progress", (stage, dict(info)))), lambda record: pipe.send(("record", record)))
        try:
            own = task.begun(told)
            done = task.alone(orders.get(), told, own)
        except RcgnnError as error:
            pipe.send(("failed", error))
        else:
            pipe.send(("done", done))


def _hear(pipe: Connection, orders: SimpleQueue[Any]) -> None:
    """Orders as they come. When the pipe ends, whoever asked is gone, and nobody else may write into its run folder."""
    try:
        with suppress(EOFError, OSError):
            while True:
                orders.put(pipe.recv())
    finally:
        os._exit(1)


def _after(told: int, on_record: OnRecord | None) -> OnRecord | None:
    """`on_record` without the first so many records, which were told before."""
    if on_record is None:
        return None
    records = iter(range(told))

    def rest(record: HealthRecord) -> None:
        if next(records, None) is None:
            on_record(record)

    return rest
