"""Looks at one thing that do not need each other: one after the other in this process, or several at a time by a crew.

What all looks share is handed over once a process, or put into the object store once, however many looks there are. The random numbers of
a look are its own, and in a crew it has one thread, as it has here up to 64 sensors: its answer is then the same wherever it is done, and
beside whatever. Wider tables have all threads of the machine here, which sum in another order: last digits of their evidence may differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from rcgnn.crew import Crew, Engine, work_off

S = TypeVar("S")
Out = TypeVar("Out")


class Task(NamedTuple):
    """One look, and at what; nothing for the first of a process, which only gets it ready."""

    number: int
    look: Callable[[Any, Any], Any]
    at: Any


@dataclass(frozen=True, eq=False)
class Looks(Generic[S]):
    """What is looked at, and who does it.

    Attributes:
        shared: what every look is given first; nobody may change it.
        crew: who does the looks, as soon as it is there; None: this process.

    Example:
        >>> Looks(10).each(lambda shared, number: shared + number, [1, 2])
        [11, 12]
    """

    shared: S
    crew: Future[Crew] | None = None

    def each(self, look: Callable[[S, Any], Out], tasks: Sequence[Any]) -> list[Out]:
        """`look(shared, task)` of every task, in their order.

        A look whose process dies is done again; one that takes every process with it, or ends by an error, is done in this one.

        Args:
            look: a function of a module, or a `partial` of one; what it is bound to should be small.
            tasks: what tells one look from the next.
        """
        if self.crew is None:
            return [look(self.shared, task) for task in tasks]
        done: dict[int, Out] = {}
        ends = work_off(self.crew.result(), deque(Task(number, look, at) for number, at in enumerate(tasks)))
        while len(done) < len(tasks):  # a process that is not ready yet is not waited for
            task, end = next(ends)
            if task.look is look:
                done[task.number] = end.result if end.how == "done" else Looks(self.shared).each(look, [task.at])[0]
        return [done[number] for number in range(len(tasks))]


Spread = Callable[[S], AbstractContextManager[Looks[S]]]
"""What is looked at gives the looks at it, for as long as the block goes on."""


@contextmanager
def here(shared: S) -> Iterator[Looks[S]]:
    """One look after the other, in this process."""
    yield Looks(shared)


def by_crew(engine: Engine, jobs: int) -> Spread[Any]:
    """So many looks at a time.

    Processes, or Ray's cluster, are got ready by a thread from the beginning of the block, while this one does something else: handing
    over what is shared waits for a process that is still loading its libraries.

    Args:
        engine: who does them.
        jobs: looks at a time.
    """

    @contextmanager
    def spread(shared: S) -> Iterator[Looks[S]]:
        with ExitStack() as stack, ThreadPoolExecutor(1) as thread:

            def start() -> Crew:
                crew = stack.enter_context(engine(partial(_done, shared), jobs, None))
                for _ in range(jobs):
                    crew.give(Task(0, _ready, None))
                return crew

            yield Looks(shared, thread.submit(start))

    return spread


def _done(shared: Any, task: Task, _tell: Callable[[Any], None]) -> Any:
    """In a process of the crew."""
    return task.look(shared, task.at)


def _ready(_shared: Any, _nothing: None) -> None:
    """The process is there, and so is what it looks at."""
