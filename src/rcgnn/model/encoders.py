"""Signal, bias and noise encoders: each sensor's own parameters, reading and writing that sensor alone.

Inside the model the layout is sensors first, [N, B, L]; every product is batched over N, so no number of one sensor can
reach another here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rcgnn.config import ModelConfig

TAPS = 8
"""Own past rows that a sensor's context summarises."""
READING_LIMIT = 50.0
"""Readings beyond this many robust standard deviations are read as this many: one cell cannot own a gradient."""


class SensorLinear(nn.Module):
    """y_n = x_n W_n + b_n, with own W_n, b_n for every sensor n.

    Args:
        sensors: N.
        inputs: width of x.
        outputs: width of y.
        generator: source of the uniform start in +-1/sqrt(inputs); None starts at zero.
        offset: False for a map without b.
    """

    def __init__(self, sensors: int, inputs: int, outputs: int, generator: torch.Generator | None = None, *, offset: bool = True) -> None:
        super().__init__()
        start = torch.zeros(sensors, inputs, outputs)
        if generator is not None:
            start = (2 * torch.rand(sensors, inputs, outputs, generator=generator) - 1) / max(inputs, 1) ** 0.5
        self.weight = nn.Parameter(start)
        self.offset = nn.Parameter(torch.zeros(sensors, 1, outputs)) if offset else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, ..., inputs] -> [N, ..., outputs]."""
        flat = x.flatten(1, -2)
        out = torch.bmm(flat, self.weight) if self.offset is None else torch.baddbmm(self.offset, flat, self.weight)
        return out.view(*x.shape[:-1], -1)


class MaskedFilter(nn.Module):
    """Shrunk exponential mean of a sensor's own visible readings before row t.

    f(t) = sum_{s>=1} g^(s-1) m(t-s) u(t-s) / (sum_{s>=1} g^(s-1) m(t-s) + c), with own decay g in (0, 1) and prior weight
    c > 0: the older the last reading, the closer to zero (the sensor's median in scaled units).
    """

    def __init__(self, sensors: int) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.zeros(sensors))
        self.prior = nn.Parameter(torch.full((sensors,), -1.0))

    def forward(self, reading: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and reliability in [0, 1).

        Args:
            reading: [N, B, L], 0 where not visible.
            visible: [N, B, L] 1 where visible.
        """
        kernel = causal_kernel(torch.nn.functional.logsigmoid(self.decay), reading.shape[2], skip=1)
        weight = visible @ kernel
        total = weight + torch.nn.functional.softplus(self.prior)[:, None, None]
        return (reading @ kernel) / total, weight / total


def causal_kernel(log_decay: Tensor, rows: int, skip: int) -> Tensor:
    """[..., L, L]: entry [s, t] is g^(t-s-skip) where t - s >= skip, else 0; `x @ kernel` weighs the past of each row.

    Args:
        log_decay: [...] log g.
        rows: L.
        skip: 0 to read the row itself, 1 for its past only.

    Example:
        >>> causal_kernel(torch.tensor(0.5).log(), 3, skip=1).T.tolist()
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 1.0, 0.0]]
    """
    row = torch.arange(rows, device=log_decay.device)
    age = row[None, :] - row[:, None] - skip
    return torch.exp(log_decay[..., None, None] * age.clamp(min=0)) * (age >= 0)


def past_rows(x: Tensor) -> Tensor:
    """[N, B, L] -> [N, B, L, TAPS]: rows t-TAPS..t-1 of each row t, zeros before the window."""
    return torch.nn.functional.pad(x, (TAPS, 0))[..., :-1].unfold(2, TAPS, 1)


class Filtered(NamedTuple):
    """What the signal encoder knows at each row from that sensor's own past."""

    signal: Tensor
    """[N, B, L] after the row's own reading: uses rows <= t."""
    expected: Tensor
    """[N, B, L] before it: uses rows < t."""
    reliability: Tensor
    """[N, B, L] in [0, 1): how much was visible lately."""
    context: Tensor
    """[N, B, L, D] summary of rows < t."""


class SignalEncoder(nn.Module):
    """A learned scalar Kalman filter per sensor.

    expected(t) = f(t) + readout(tanh(W [u, m](t-TAPS..t-1))); signal(t) = expected(t) + m(t) G (u(t) - expected(t)).
    The gain G = P/(P + R) in (0, 1) is the share of an innovation that is signal; it starts at .98, so an observed
    signal starts as the reading itself and messages of a linear system start exact.

    Source: Kalman 1960; steady-state gain, Anderson & Moore 1979, ch. 4.
    """

    def __init__(self, sensors: int, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.filter = MaskedFilter(sensors)
        self.context = SensorLinear(sensors, 2 * TAPS, config.latent, generator)
        self.readout = SensorLinear(sensors, config.latent, 1)
        self.gain_logit = nn.Parameter(torch.full((sensors,), 4.0))

    @property
    def gain(self) -> Tensor:
        """[N, 1, 1] share of an innovation that is signal."""
        return torch.sigmoid(self.gain_logit)[:, None, None]

    def forward(self, reading: Tensor, visible: Tensor) -> Filtered:
        """Filter one batch.

        Args:
            reading: [N, B, L] reading minus bias, 0 where not visible.
            visible: [N, B, L] 1 where visible.
        """
        mean, reliability = self.filter(reading, visible)
        context = torch.tanh(self.context(torch.cat([past_rows(reading), past_rows(visible)], dim=-1)))
        expected = mean + self.readout(context).squeeze(-1)
        return Filtered(self.update(expected, reading, visible), expected, reliability, context)

    def update(self, expected: Tensor, reading: Tensor, visible: Tensor) -> Tensor:
        """Expected signal corrected by the row's own reading where there is one."""
        return expected + visible * self.gain * (reading - expected)


class BiasEncoder(nn.Module):
    """Slow offset: b(t) = a * sum_s g^s m x(t-s) / (sum_s g^s m + period), g = exp(-1/period), own a in (0, 1).

    The ratio is the posterior mean of a constant under a prior worth `period` readings: one number per row that moves
    over `period` rows, so it cannot follow the signal. It starts near zero (a = .05).
    """

    def __init__(self, sensors: int, period: int) -> None:
        super().__init__()
        self.period = period
        self.amount = nn.Parameter(torch.full((sensors,), -3.0))

    def forward(self, reading: Tensor, visible: Tensor) -> Tensor:
        """[N, B, L] bias at row t from visible rows <= t."""
        kernel = causal_kernel(reading.new_tensor(-1.0 / self.period), reading.shape[2], skip=0)
        return torch.sigmoid(self.amount)[:, None, None] * (reading @ kernel) / (visible @ kernel + self.period)


def noise_scale(noise: Tensor, visible: Tensor, gain: Tensor) -> Tensor:
    """[N] standard deviation of measurement noise, sqrt((1 - G) S): S = mean innovation^2, floor 1e-3.

    In a steady-state filter R = (1 - G) S and the residual after the update is n = (1 - G) innovation, so
    R = mean(n^2) / (1 - G).

    Args:
        noise: [N, B, L] reading minus filtered signal and bias.
        visible: [N, B, L] 1 where visible.
        gain: [N, 1, 1].
    """
    mean_square = (visible * noise).square().sum((1, 2)) / visible.sum((1, 2)).clamp(min=1)
    return torch.sqrt(mean_square / (1 - gain[:, 0, 0]).clamp(min=1e-6) + 1e-6)
