"""Several processes that train one network: `torchrun` starts them, process 0 decides everything, the others compute what it asks for.

Messages are told to all over gloo; tensors go from one process to another, over gloo on processors and over nccl between CUDA devices.
A process that fails answers with the reason, and a process that is gone closes its connection: either way process 0 ends with one message.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from rcgnn.errors import FAILURES, FitFailedError, in_words

WAIT = timedelta(minutes=10)
"""Longest wait for an answer."""
IDLE = timedelta(days=30)
"""Longest wait for a question: process 0 reads and screens while the others have nothing to do."""
STOP = "stop"
_team: ContextVar[Team | None] = ContextVar("team", default=None)


@dataclass(frozen=True, eq=False)
class Team:
    """One process's place among all.

    Attributes:
        rank: number of this process; 0 leads.
        size: number of processes.
        control: the group over which messages are told.
    """

    rank: int
    size: int
    control: Any

    @classmethod
    def join(cls) -> Team:
        """Meet the other processes, as the environment of `torchrun` says.

        Raises:
            FitFailedError: they did not come.
        """
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        try:
            dist.init_process_group(backend, timeout=WAIT)
            control = dist.new_group(backend="gloo", timeout=IDLE)
        except (RuntimeError, ValueError) as error:
            raise FitFailedError(
                f"torchrun: the processes did not meet ({_first_line(error)}); see MASTER_ADDR and MASTER_PORT."
            ) from error
        return cls(dist.get_rank(), dist.get_world_size(), control)

    def leave(self) -> None:
        """Close the connections: threads of gloo that still run when the interpreter ends would abort the process."""
        dist.destroy_process_group()

    def tell(self, message: object) -> None:
        """Process 0: one message for all others."""
        with self._heard():
            dist.broadcast_object_list([message], src=0, group=self.control, device=torch.device("cpu"))

    def hear(self) -> Any:
        """Another process: the next message."""
        told: list[Any] = [None]
        dist.broadcast_object_list(told, src=0, group=self.control, device=torch.device("cpu"))
        return told[0]

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Tensors of process 0 into those of the same shapes everywhere else."""
        with self._heard():
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def hand(self, tensor: Tensor, rank: int) -> None:
        """Process 0: one tensor to one process."""
        with self._heard():
            dist.send(tensor.contiguous(), rank)

    def take(self, into: Tensor) -> None:
        """Another process: the tensor that process 0 hands to it."""
        dist.recv(into, 0)

    def collect(self, rank: int, into: Tensor) -> Tensor:
        """Process 0: the answer of one process.

        Raises:
            FitFailedError: it failed, with its reason, or is gone.
        """
        with self._heard():
            length = torch.zeros(1, dtype=torch.long)
            dist.recv(length, rank)
            if int(length):
                reason = torch.zeros(int(length), dtype=torch.uint8)
                dist.recv(reason, rank)
                raise FitFailedError(f"torchrun: process {rank} of {self.size} failed: {bytes(reason.tolist()).decode()}")
            dist.recv(into, rank)
        return into

    def answer(self, compute: Callable[[], Tensor]) -> None:
        """Another process: what `compute` gives to process 0, or why it cannot."""
        try:
            found = compute()
        except FAILURES as error:
            text = torch.tensor(list(in_words(error).encode()), dtype=torch.uint8)
            dist.send(torch.tensor([len(text)]), 0)
            dist.send(text, 0)
            return
        dist.send(torch.zeros(1, dtype=torch.long), 0)
        dist.send(found.contiguous(), 0)

    @contextmanager
    def _heard(self) -> Iterator[None]:
        try:
            yield
        except FitFailedError:
            raise
        except RuntimeError as error:
            raise FitFailedError(
                f"torchrun: one of the {self.size} processes is gone, killed perhaps for its memory, or gave no answer in "
                f"{WAIT.seconds // 60} minutes; start again, with fewer processes where memory is short."
            ) from error


def leader() -> Team | None:
    """The team this process leads; None where it works alone."""
    return _team.get()


@contextmanager
def leading(team: Team) -> Iterator[None]:
    """Process 0 inside the block leads the others; at its end they are sent home.

    Where it fails they are not: one of them may hang. They end when this process does, since its connections close.
    """
    set_back = _team.set(team)
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        yield
        team.tell(STOP)
    finally:
        team.leave()
        signal.signal(signal.SIGTERM, before)
        _team.reset(set_back)


def _ended(*_: object) -> NoReturn:
    raise FitFailedError("torchrun: ended from outside, most likely since another process of this run was lost; start again.")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
