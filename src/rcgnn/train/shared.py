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
        shape: [B, L, N].
        device: type of the device it is on.
        graph: gradients will be asked for.
        weights: shape of the link weights that come with it, or None for the network's own.
        pulls: their gradient will be asked for too.
    """

    shape: tuple[int, ...]
    device: str
    graph: bool
    weights: tuple[int, ...] | None
    pulls: bool


@dataclass(frozen=True)
class Backward:
    """The gradient at the packed output of the last batch is coming, `width` numbers a window."""

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
        self.team, self.latent = team, build.config.latent
        team.tell(build)

    def forward(self, batch: NetworkInput, weights: Tensor | None = None) -> ModelOutput:
        """As `CausalNet`, each process on its part of the windows."""
        windows, rows, sensors = batch.values.shape
        if windows < 2 or rows <= self.max_lag:
            return super().forward(batch, weights)
        place(batch.values.device.type)
        packed = shared_out(self, batch, torch.is_grad_enabled(), weights, *self.parameters())
        return unpack(packed, batch, widths(rows, self.max_lag, sensors, self.latent), self.signal.gain)

    def own_part(self, batch: NetworkInput, weights: Tensor | None) -> Tensor:
        """[b, F] what this process computes itself."""
        return pack(super().forward(batch, weights))


class _Shared(torch.autograd.Function):
    """[B, F] packed output of the whole batch, and the way back."""

    @staticmethod
    def forward(ctx: Any, network: SharedNet, batch: NetworkInput, graph: bool, weights: Tensor | None, *own: Tensor) -> Tensor:  # noqa: FBT001 - autograd's way
        """Every process computes its part, this one too while it waits."""
        team = network.team
        pulls = graph and weights is not None and weights.requires_grad
        given = None if weights is None else weights.detach().contiguous().requires_grad_(pulls)
        team.tell(Forward(tuple(batch.values.shape), batch.values.device.type, graph, None if given is None else tuple(given.shape), pulls))
        team.spread([*laid_out(batch), flat(own), *([] if given is None else [given.detach()])])
        sizes = shares(len(batch.values), team.size)
        with torch.set_grad_enabled(graph):
            mine = network.own_part(part(batch, 0, sizes[0]), given)
        answers = [team.collect(rank, mine.new_empty(sizes[rank], mine.shape[1])) for rank in range(1, len(sizes))]
        ctx.kept = team, mine, sizes, leaves(own, given)
        ctx.pulled = [pulls, *(parameter.requires_grad for parameter in own)]
        return torch.cat([mine.detach(), *answers])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Every process pulls its part of the gradient back to the parameters; the sum is one process's."""
        team, mine, sizes, of = ctx.kept
        pieces = torch.split(gradient, sizes)
        team.tell(Backward(gradient.shape[1]))
        for rank in range(1, len(sizes)):
            team.hand(pieces[rank], rank)
        total = pulled(mine, of, pieces[0])
        for rank in range(1, len(sizes)):
            total += team.collect(rank, torch.empty_like(total))
        parts = iter(zip(of, torch.split(total.to(gradient.dtype), [leaf.numel() for leaf in of]), strict=True))
        found = [next(parts) if moves else None for moves in ctx.pulled]
        return None, None, None, *(None if one is None else one[1].view_as(one[0]) for one in found)


shared_out: Callable[..., Tensor] = _Shared.apply
"""(network, batch, whether gradients will be asked for, link weights or None, parameters) -> [B, F]."""


class Helper:
    """A process other than 0: its copy of the network and its part of the last batch."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.network: CausalNet | None = None
        self.sizes: list[int] = []
        self.mine, self.of = torch.empty(0), list[Tensor]()

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
        self.sizes, self.of = shares(message.shape[0], self.team.size), leaves(parameters, weights)
        if self.team.rank < len(self.sizes):
            first = sum(self.sizes[: self.team.rank])
            self.team.answer(
                lambda: self._computed(network, part(picked_up(laid), first, first + self.sizes[self.team.rank]), weights, message)
            )

    def backward(self, message: Backward) -> None:
        """This process's part of a gradient."""
        if self.team.rank < len(self.sizes):
            gradient = self.mine.new_empty(self.sizes[self.team.rank], message.width)
            self.team.take(gradient)
            self.team.answer(lambda: pulled(self.mine, self.of, gradient))

    def _computed(self, network: CausalNet, batch: NetworkInput, weights: Tensor | None, message: Forward) -> Tensor:
        with torch.set_grad_enabled(message.graph):
            self.mine = pack(network(batch, weights))
        return self.mine.detach()


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


def pack(output: ModelOutput) -> Tensor:
    """[B, F]: everything about each window in one row."""
    return torch.cat([column.flatten(1) for column in _columns(output)], dim=1)


def unpack(packed: Tensor, batch: NetworkInput, like: Sequence[tuple[int, ...]], gain: Tensor) -> ModelOutput:
    """Inverse of `pack`; the noise scale, which is of the whole batch, is taken anew.

    Args:
        packed: [B, F].
        batch: what was read.
        like: shape of one window in each column, as `widths` gives them.
        gain: [N, 1, 1] of the signal encoder.
    """
    pieces = torch.split(packed, [math.prod(shape) for shape in like], dim=1)
    columns = [piece.reshape(len(packed), *shape) for piece, shape in zip(pieces, like, strict=True)]
    fields = dict(zip(FIELDS, columns, strict=False))
    latents = dict(zip(LATENTS, columns[len(FIELDS) :], strict=True))
    visible = batch.visible.to(packed.dtype)
    read = batch.values.clamp(-READING_LIMIT, READING_LIMIT).masked_fill(~batch.visible, 0.0)
    noise = (read - fields["bias"] - latents["filtered"]) * visible
    scale = noise_scale(noise.permute(2, 0, 1), visible.permute(2, 0, 1), gain)
    return ModelOutput(noise_scale=scale, latents=latents, **fields)


def widths(rows: int, max_lag: int, sensors: int, latent: int) -> list[tuple[int, ...]]:
    """Shape of one window in each column of `pack`."""
    return [*[(rows - max_lag, sensors)] * 2, *[(rows, sensors)] * 6, (rows, sensors, latent)]


def pulled(packed: Tensor, of: Sequence[Tensor], gradient: Tensor) -> Tensor:
    """[P] float64 gradient over `of`, given the one at the packed output; zeros where it does not depend on them."""
    found = torch.autograd.grad(packed, list(of), gradient, retain_graph=True, allow_unused=True)
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


def _columns(output: ModelOutput) -> list[Tensor]:
    return [*(getattr(output, name) for name in FIELDS), *(output.latents[name] for name in LATENTS)]
