"""`SharedNet`: the network whose windows are shared out among processes, and `serve`, what the others do.

Nothing else in training knows: process 0 holds the parameters and runs the whole loop. Its forward pass sends every process a part of
the batch and puts the forecasts together again; losses are taken of them all, so no mean is a mean of means. The backward pass sends
each process its part of the gradient at the forecasts and adds up what comes back, in float64. Equal to one process up to rounding.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rcgnn.config import ModelConfig
from rcgnn.errors import ConfigError, FitFailedError
from rcgnn.model.encoders import READING_LIMIT, noise_scale
from rcgnn.model.network import CausalNet
from rcgnn.model.output import ModelOutput, NetworkInput
from rcgnn.numerics import rounded
from rcgnn.train.team import STOP, Team, leader

FIELDS = ("prediction", "self_prediction", "signal", "bias", "imputed", "reconstruction")
LATENTS = ("filtered", "noise", "context")


@dataclass(frozen=True)
class Build:
    """Shape of a network: what `CausalNet` is made from, beside its random start."""

    sensors: int
    config: ModelConfig
    candidates: Tensor
    order: Tensor | None
    regimes: int

    def network(self, generator: torch.Generator) -> CausalNet:
        """The network, shared out where this process leads a team."""
        team = leader()
        if team is not None:
            return SharedNet(self, generator, team)
        return CausalNet(self.sensors, self.config, self.candidates, order=self.order, regimes=self.regimes, generator=generator)


@dataclass(frozen=True)
class Forward:
    """A batch is coming.

    Attributes:
        number: of the batch.
        shape: [B, L, N].
        device: type of the device it is on.
        graph: gradients will be asked for.
        closed: every link is closed.
        weights: shape of the link weights that come with it, or None for the network's own.
        pulls: their gradient will be asked for too.
        precision: of matrix products, see `rounded`.
    """

    number: int
    shape: tuple[int, ...]
    device: str
    graph: bool
    closed: bool
    weights: tuple[int, ...] | None
    pulls: bool
    precision: str


@dataclass(frozen=True)
class Backward:
    """The gradient of batch `number` at some columns of its output is coming, `width` numbers a window."""

    number: int
    columns: list[int]
    width: int


class SharedNet(CausalNet):
    """`CausalNet` of process 0.

    Args:
        build: shape of the network.
        generator: the only source of randomness.
        team: all processes.
    """

    def __init__(self, build: Build, generator: torch.Generator, team: Team) -> None:
        super().__init__(build.sensors, build.config, build.candidates, order=build.order, regimes=build.regimes, generator=generator)
        self.team, self.latent, self.number = team, build.config.latent, 0
        team.tell(build)

    def forward(self, batch: NetworkInput, weights: Tensor | None = None, *, closed: bool = False) -> ModelOutput:
        """As `CausalNet`, each process on its part of the windows."""
        windows, rows, sensors = batch.values.shape
        if windows < 2 or rows <= self.max_lag:
            return super().forward(batch, weights, closed=closed)
        place(batch.values.device.type)
        self.number += 1
        like = widths(rows, self.max_lag, sensors, self.latent)
        found = shared_out(self, batch, (torch.is_grad_enabled(), closed, like), weights, *self.parameters())
        return assembled(found, batch, self.signal.gain)

    def own_part(self, batch: NetworkInput, weights: Tensor | None, *, closed: bool) -> list[Tensor]:
        """Columns of the windows that this process computes itself."""
        return columns(super().forward(batch, weights, closed=closed))


class _Shared(torch.autograd.Function):
    """The columns of the whole batch's output, and the way back."""

    @staticmethod
    def forward(
        ctx: Any,
        network: SharedNet,
        batch: NetworkInput,
        kind: tuple[bool, bool, list[tuple[int, ...]]],
        weights: Tensor | None,
        *own: Tensor,
    ) -> tuple[Tensor, ...]:
        """Every process computes its part, this one too while it waits."""
        team, number, (graph, closed, like) = network.team, network.number, kind
        pulls = graph and weights is not None and weights.requires_grad
        given = None if weights is None else weights.detach().contiguous().requires_grad_(pulls)
        shape = None if given is None else tuple(given.shape)
        device = batch.values.device.type
        precision = "bf16" if torch.is_autocast_enabled(device) else "float32"
        team.tell(Forward(number, tuple(batch.values.shape), device, graph, closed, shape, pulls, precision))
        team.spread([*laid_out(batch), flat(own), *([] if given is None else [given.detach()])])
        sizes = shares(len(batch.values), team.size)
        with torch.set_grad_enabled(graph):
            mine = network.own_part(part(batch, 0, sizes[0]), given, closed=closed)
        first = packed(mine).detach()
        answers = [team.collect(rank, first.new_empty(sizes[rank], first.shape[1])) for rank in range(1, len(sizes))]
        ctx.kept = team, number, mine, sizes, leaves(own, given)
        ctx.pulled = [pulls, *(parameter.requires_grad for parameter in own)]
        ctx.set_materialize_grads(False)
        return tuple(unpacked(torch.cat([first, *answers]), like))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Every process pulls its part of the gradient back to the parameters; the sum is one process's."""
        team, number, mine, sizes, of = ctx.kept
        here = [n for n, gradient in enumerate(gradients) if gradient is not None]
        slope = packed([gradient for gradient in gradients if gradient is not None])
        pieces = torch.split(slope, sizes)
        team.tell(Backward(number, here, slope.shape[1]))
        for rank in range(1, len(sizes)):
            team.hand(pieces[rank], rank)
        total = pulled([mine[n] for n in here], of, pieces[0])
        for rank in range(1, len(sizes)):
            total += team.collect(rank, torch.empty_like(total))
        parts = iter(zip(of, torch.split(total.to(slope.dtype), [leaf.numel() for leaf in of]), strict=True))
        found = [next(parts) if moves else None for moves in ctx.pulled]
        return None, None, None, *(None if one is None else one[1].view_as(one[0]) for one in found)


shared_out: Callable[..., tuple[Tensor, ...]] = _Shared.apply
"""(network, batch, (gradients are asked for, links are closed, shape of a window in each column), link weights or None, parameters)."""


class Helper:
    """A process other than 0: its copy of the network and its part of the last batch."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.network: CausalNet | None = None
        self.sizes: list[int] = []
        self.number = 0
        self.mine, self.of = list[Tensor](), list[Tensor]()

    def serve(self) -> None:
        """Compute what is asked until told to stop."""
        while (message := self.team.hear()) != STOP:
            if isinstance(message, Build):
                self.network = message.network(torch.Generator())
            elif isinstance(message, Forward):
                self.forward(message)
            elif isinstance(message, Backward):
                self.backward(message)

    def forward(self, message: Forward) -> None:
        """This process's part of a batch."""
        network = self.network
        if network is None:
            raise FitFailedError("torchrun: asked for a forecast before there was a network.")
        device = place(message.device)
        network.to(device)
        parameters = list(network.parameters())
        batch = empty(message.shape, device)
        laid = laid_out(batch)
        numbers = torch.empty(sum(p.numel() for p in parameters), device=device)
        weights = None if message.weights is None else torch.empty(message.weights, device=device)
        self.team.spread([*laid, numbers, *([] if weights is None else [weights])])
        fill(parameters, numbers)
        if weights is not None:
            weights.requires_grad_(message.pulls)
        self.number = message.number
        self.sizes, self.of = shares(message.shape[0], self.team.size), leaves(parameters, weights)
        if self.team.rank < len(self.sizes):
            first = sum(self.sizes[: self.team.rank])
            self.team.answer(
                lambda: self._computed(network, part(picked_up(laid), first, first + self.sizes[self.team.rank]), weights, message)
            )

    def backward(self, message: Backward) -> None:
        """This process's part of a gradient."""
        if self.team.rank < len(self.sizes):
            gradient = self.mine[0].new_empty(self.sizes[self.team.rank], message.width)
            self.team.take(gradient)
            self.team.answer(lambda: self._pulled(message, gradient))

    def _pulled(self, message: Backward, gradient: Tensor) -> Tensor:
        if message.number != self.number:
            raise FitFailedError(f"asked for a gradient of batch {message.number} after batch {self.number} had come")
        return pulled([self.mine[n] for n in message.columns], self.of, gradient)

    def _computed(self, network: CausalNet, batch: NetworkInput, weights: Tensor | None, message: Forward) -> Tensor:
        with torch.set_grad_enabled(message.graph), rounded(batch.values.device, message.precision):
            self.mine = columns(network(batch, weights, closed=message.closed))
        return packed(self.mine).detach()


def shares(windows: int, processes: int) -> list[int]:
    """Windows of each process that has any, as even as can be, process 0 first.

    Example:
        >>> shares(7, 3), shares(2, 3)
        ([3, 2, 2], [1, 1])
    """
    each, more = divmod(windows, processes)
    return [size for rank in range(processes) if (size := each + (rank < more))]


def part(batch: NetworkInput, first: int, last: int) -> NetworkInput:
    """Windows `first` to `last - 1`."""
    hidden = None if batch.hidden is None else batch.hidden[first:last]
    return NetworkInput(batch.values[first:last], batch.mask[first:last], batch.regime[first:last], hidden)


def laid_out(batch: NetworkInput) -> list[Tensor]:
    """Readings, cells (1 observed, 2 hidden, 3 both) and regimes as tensors that every backend can send."""
    cells = batch.mask.byte() if batch.hidden is None else batch.mask.byte() + 2 * batch.hidden.byte()
    return [batch.values.contiguous(), cells.contiguous(), batch.regime.contiguous()]


def picked_up(laid: Sequence[Tensor]) -> NetworkInput:
    """Inverse of `laid_out`; nothing hidden reads as no cell hidden, which is the same to the network."""
    values, cells, regime = laid
    return NetworkInput(values, (cells & 1).bool(), regime, (cells & 2).bool())


def empty(shape: Sequence[int], device: torch.device) -> NetworkInput:
    """Room for a batch."""
    cells = torch.zeros(*shape, dtype=torch.bool, device=device)
    return NetworkInput(torch.zeros(*shape, device=device), cells, torch.zeros(shape[0], dtype=torch.long, device=device), cells)


def columns(output: ModelOutput) -> list[Tensor]:
    """Everything an output says about each window, [B, ...] each."""
    return [*(getattr(output, name) for name in FIELDS), *(output.latents[name] for name in LATENTS)]


def packed(parts: Sequence[Tensor]) -> Tensor:
    """[B, F]: the columns in one row a window."""
    return torch.cat([column.flatten(1) for column in parts], dim=1)


def unpacked(rows: Tensor, like: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Inverse of `packed`, given the shape of one window in each column."""
    pieces = torch.split(rows, [math.prod(shape) for shape in like], dim=1)
    return [piece.reshape(len(rows), *shape) for piece, shape in zip(pieces, like, strict=True)]


def assembled(found: Sequence[Tensor], batch: NetworkInput, gain: Tensor) -> ModelOutput:
    """Inverse of `columns`; the noise scale, which is of the whole batch, is taken anew.

    Args:
        found: the columns of the whole batch.
        batch: what was read.
        gain: [N, 1, 1] of the signal encoder.
    """
    fields = dict(zip(FIELDS, found, strict=False))
    latents = dict(zip(LATENTS, found[len(FIELDS) :], strict=True))
    visible = batch.visible.to(found[0].dtype)
    read = batch.values.clamp(-READING_LIMIT, READING_LIMIT).masked_fill(~batch.visible, 0.0)
    noise = (read - fields["bias"] - latents["filtered"]) * visible
    scale = noise_scale(noise.permute(2, 0, 1), visible.permute(2, 0, 1), gain)
    return ModelOutput(noise_scale=scale, latents=latents, **fields)


def widths(rows: int, max_lag: int, sensors: int, latent: int) -> list[tuple[int, ...]]:
    """Shape of one window in each of `columns`."""
    return [*[(rows - max_lag, sensors)] * 2, *[(rows, sensors)] * 6, (rows, sensors, latent)]


def pulled(at: Sequence[Tensor], of: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """[P] float64 gradient over `of`, given the packed one at the columns `at`; zeros where they do not depend on it."""
    slopes = unpacked(gradient, [tuple(column.shape[1:]) for column in at])
    moving = [(column, slope) for column, slope in zip(at, slopes, strict=True) if column.requires_grad]
    with torch.enable_grad():  # which a backward pass is without
        along = torch.stack([(column * slope).sum() for column, slope in moving]).sum()
    found = torch.autograd.grad(along, list(of), retain_graph=True, allow_unused=True)
    return torch.cat([(torch.zeros_like(leaf) if g is None else g).flatten() for leaf, g in zip(of, found, strict=True)]).double()


def leaves(parameters: Sequence[Tensor], weights: Tensor | None) -> list[Tensor]:
    """What gradients are asked of: the given link weights first, where they are to be pulled, then the parameters that move."""
    return [leaf for leaf in (weights, *parameters) if leaf is not None and leaf.requires_grad]


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """[P] all numbers in one row."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@torch.no_grad()
def fill(tensors: Sequence[Tensor], numbers: Tensor) -> None:
    """Inverse of `flat`, in place."""
    for tensor, piece in zip(tensors, torch.split(numbers, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(piece.view_as(tensor))


def place(device: str) -> torch.device:
    """The device of that type which belongs to this process; a CUDA device is never shared.

    Raises:
        ConfigError: fewer CUDA devices than processes.
    """
    if device == "cuda" and (local := int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) > (there := torch.cuda.device_count()):
        raise ConfigError(f"device: cuda takes one device a process, got {local} processes for {there}; lower --nproc-per-node.")
    return torch.device(device, torch.cuda.current_device()) if device == "cuda" else torch.device(device)
