"""The origin's network, rebuilt: three encoders and a decoder of one time step, beside a graph that the decoder never reads.

All weights are views of one flat vector, and so are their gradients: clipping is one norm, Adam is six operations. The
gradient is written out, because at 192 rows a step bookkeeping costs more than arithmetic; a test holds it against autograd.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ENCODERS = ("signal", "noise", "bias")
HIDDEN = 32
LATENT = 16
KEPT_SHARE = 0.1
"""Share of the d * d entries of the graph that are not cut to zero."""

TERMS = ("recon", "sparse", "acyclic", "disen")
"""Order of every vector of loss terms or loss weights in this package."""

_TINY = 1e-12


def layout(sensors: int) -> dict[str, tuple[int, ...]]:
    """Shape of every weight by name, in the order in which they lie in the flat vector; inputs before outputs."""
    e = len(ENCODERS)
    return {
        "encoder.in.weight": (e, sensors, HIDDEN),
        "encoder.in.bias": (e, 1, HIDDEN),
        "encoder.out.weight": (e, HIDDEN, LATENT),
        "encoder.out.bias": (e, 1, LATENT),
        "graph": (sensors, sensors),
        "decoder.in.weight": (e * LATENT, HIDDEN),
        "decoder.in.bias": (HIDDEN,),
        "decoder.out.weight": (HIDDEN, sensors),
        "decoder.out.bias": (sensors,),
    }


class OriginNet:
    """Weights and gradient of the origin's network for N sensors.

    Attributes:
        flat: every weight in one vector.
        slope: its gradient, filled by `backward`.
        weight: views of `flat` by name (see `layout`).
        gradient: views of `slope` by name.

    Args:
        sensors: N.
        draw: source of the random start; weights are drawn in the order of the origin, so that a seed gives its start.
        device: where the weights live.

    Example:
        >>> net = OriginNet(2, torch.Generator().manual_seed(1337))
        >>> net.adjacency().shape, int((net.adjacency() > 0).sum())
        (torch.Size([2, 2]), 1)
    """

    def __init__(self, sensors: int, draw: torch.Generator, device: str = "cpu") -> None:
        start = torch.empty(sum(math.prod(shape) for shape in layout(sensors).values()))
        _draw_start(_views(start, sensors), sensors, draw)
        self.sensors = sensors
        self.flat = start.to(device)
        self.slope = torch.zeros_like(self.flat)
        self.weight, self.gradient = _views(self.flat, sensors), _views(self.slope, sensors)
        pairs = torch.ones(len(ENCODERS) * LATENT, len(ENCODERS) * LATENT, device=device)
        pairs += torch.kron(torch.eye(len(ENCODERS)), torch.ones(LATENT, LATENT)).to(device)
        self._pairs = pairs / (2 * LATENT) ** 2
        self._eye = torch.eye(sensors, device=device)

    def adjacency(self) -> Tensor:
        """[N, N] in [0, 1]: sigmoid of the largest tenth of the entries, zero elsewhere; `[i, j]` is called "i drives j"."""
        return cut(self.weight["graph"])

    def state(self) -> dict[str, Tensor]:
        """A copy of every weight by name."""
        return {name: view.clone() for name, view in self.weight.items()}

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """[R, N] rows rebuilt from their own latents; the graph takes no part."""
        return self._forward(x)[-1]

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        w = self.weight
        hidden = torch.baddbmm(w["encoder.in.bias"], x.expand(len(ENCODERS), -1, -1), w["encoder.in.weight"]).relu_()
        latent = torch.baddbmm(w["encoder.out.bias"], hidden, w["encoder.out.weight"])
        latent = latent.transpose(0, 1).reshape(x.shape[0], -1)
        mixed = torch.addmm(w["decoder.in.bias"], latent, w["decoder.in.weight"]).relu_()
        return hidden, latent, mixed, torch.addmm(w["decoder.out.bias"], mixed, w["decoder.out.weight"])

    @torch.no_grad()
    def backward(self, x: Tensor, mask: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
        """Fill `slope` with the gradient of the weighted loss and return its four terms, unweighted.

        Formula:
            recon = mean over all cells of mask * (rebuilt - x)^2; sparse = mean(A); acyclic = max(0, tr((I + A/N)^3) - N);
            disen = sum over pairs of latents of the mean absolute entry of their joint correlation matrix.

        Args:
            x: [R, N] rows of a batch of windows, one under the other; zero where not observed.
            mask: [R, N] 1 where observed, 0 elsewhere.
            weights: of the terms, in the order of `TERMS`.

        Returns:
            [4] values of `TERMS`.
        """
        recon_weight, sparse_weight, acyclic_weight, disen_weight = weights
        hidden, latent, mixed, rebuilt = self._forward(x)
        error = (rebuilt - x).mul_(mask)
        recon = error.square().mean()
        disen, d_latent = self._disentanglement(latent, disen_weight)
        self._backward_rows(x, (hidden, latent, mixed), error.mul_(2 * recon_weight / error.numel()), d_latent)
        sparse, acyclic = self._backward_graph(sparse_weight, acyclic_weight)
        return torch.stack((recon, sparse, acyclic, disen))

    def _backward_rows(self, x: Tensor, inner: tuple[Tensor, Tensor, Tensor], d_rebuilt: Tensor, d_latent: Tensor) -> None:
        """Chain rule through decoder and encoders, last layer first."""
        w, g = self.weight, self.gradient
        hidden, latent, mixed = inner
        torch.mm(mixed.T, d_rebuilt, out=g["decoder.out.weight"])
        torch.sum(d_rebuilt, 0, out=g["decoder.out.bias"])
        d_mixed = (d_rebuilt @ w["decoder.out.weight"].T).mul_(mixed.sign_())
        torch.mm(latent.T, d_mixed, out=g["decoder.in.weight"])
        torch.sum(d_mixed, 0, out=g["decoder.in.bias"])
        d_latent = d_latent.addmm_(d_mixed, w["decoder.in.weight"].T)
        d_latent = d_latent.view(-1, len(ENCODERS), LATENT).transpose(0, 1).contiguous()
        torch.bmm(hidden.transpose(1, 2), d_latent, out=g["encoder.out.weight"])
        torch.sum(d_latent, 1, keepdim=True, out=g["encoder.out.bias"])
        d_hidden = torch.bmm(d_latent, w["encoder.out.weight"].transpose(1, 2)).mul_(hidden.sign_())
        torch.bmm(x.T.expand(len(ENCODERS), -1, -1), d_hidden, out=g["encoder.in.weight"])
        torch.sum(d_hidden, 1, keepdim=True, out=g["encoder.in.bias"])

    def _disentanglement(self, latent: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """Value, and weight * gradient [R, 3 * LATENT], of sum_ij P_ij |C_ij|; C correlations, P the share of each pair.

        With Z the centred latents, s_i = 1 / norm(Z_i) and r_i = sum_j P_ij |C_ij|, the gradient is
        2 Z (P * sign(C) * s s' - diag(r s^2)).
        """
        centred = latent - latent.mean(0)
        gram = centred.T @ centred
        inverse = gram.diagonal().sqrt().clamp_min(_TINY).reciprocal()
        outer = torch.outer(inverse, inverse)
        share = gram.mul(outer).abs_().mul_(self._pairs)
        row = share.sum(1)
        core = gram.sign_().mul_(self._pairs).mul_(outer)
        core.diagonal().sub_(row * inverse * inverse)
        return row.sum(), centred @ core.mul_(2 * weight)

    def _backward_graph(self, sparse_weight: float, acyclic_weight: float) -> tuple[Tensor, Tensor]:
        """Penalties of the graph, and their gradient: all that ever reaches it."""
        n = self.sensors
        graph, value, index = _kept(self.weight["graph"])
        power = self._eye + graph / n
        square = power @ power
        acyclic = (torch.sum(square * power.T) - n).clamp_min(0)
        d_graph = square.T.mul(acyclic_weight * 3 / n).mul_(acyclic.sign()).add_(sparse_weight / n**2)
        g = self.gradient["graph"].zero_().view(-1)
        g[index] = d_graph.reshape(-1)[index] * value * (1 - value)
        return graph.mean(), acyclic


def _views(vector: Tensor, sensors: int) -> dict[str, Tensor]:
    shapes = layout(sensors)
    parts = torch.split(vector, [math.prod(shape) for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def _draw_start(weight: dict[str, Tensor], sensors: int, draw: torch.Generator) -> None:
    """U(-1/sqrt(inputs), 1/sqrt(inputs)) for layers, N(0, 0.1^2) for the graph, drawn layer by layer."""

    def layer(matrix: Tensor, bias: Tensor) -> None:
        inputs, outputs = matrix.shape
        bound = 1 / math.sqrt(inputs)
        matrix.copy_(torch.empty(outputs, inputs).uniform_(-bound, bound, generator=draw).T)
        bias.copy_(torch.empty(outputs).uniform_(-bound, bound, generator=draw))

    for e in range(len(ENCODERS)):
        layer(weight["encoder.in.weight"][e], weight["encoder.in.bias"][e, 0])
        layer(weight["encoder.out.weight"][e], weight["encoder.out.bias"][e, 0])
    weight["graph"].copy_(torch.randn(sensors, sensors, generator=draw) * 0.1)
    layer(weight["decoder.in.weight"], weight["decoder.in.bias"])
    layer(weight["decoder.out.weight"], weight["decoder.out.bias"])


def cut(raw: Tensor) -> Tensor:
    """[N, N] raw entries -> [N, N] in [0, 1]: sigmoid of the largest `KEPT_SHARE`, zero elsewhere."""
    return _kept(raw)[0]


def _kept(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Graph [N, N] after the cut, the kept values in (0, 1) and their flat indices."""
    flat = raw.reshape(-1)
    top, index = flat.topk(max(1, int(KEPT_SHARE * flat.numel())))
    value = top.sigmoid()
    return torch.zeros_like(flat).scatter_(0, index, value).view_as(raw), value, index
