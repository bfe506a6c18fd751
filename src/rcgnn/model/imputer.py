"""Cells without a reading: own past, own future and the forecast through the graph, weighed per sensor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rcgnn.model.encoders import MaskedFilter


class Imputer(nn.Module):
    """expected(t) = weighted mean of three estimates of a signal that was not read.

    forward: the filter's expectation from own rows < t; backward: the same filter run from the end of the window;
    forecast: the decoder's one-step forecast, the only one that knows other sensors. Weights are own positive numbers,
    times how much was visible on that side; a row without a forecast (t < K) gives that estimate no weight.

    The result is what `signal` and `imputed` show. It looks ahead, so the forecast never reads it.
    """

    def __init__(self, sensors: int) -> None:
        super().__init__()
        self.backward_filter = MaskedFilter(sensors)
        self.trust = nn.Parameter(torch.zeros(3, sensors))

    def forward(self, reading: Tensor, visible: Tensor, ahead: tuple[Tensor, Tensor], forecast: Tensor) -> Tensor:
        """Expected signal at every row.

        Args:
            reading: [N, B, L] reading minus bias, 0 where not visible.
            visible: [N, B, L] 1 where visible.
            ahead: expectation from own past and its reliability, both [N, B, L].
            forecast: [N, B, L-K] decoder forecast of rows K..L-1.

        Returns:
            [N, B, L].
        """
        back, back_reliability = self.backward_filter(reading.flip(2), visible.flip(2))
        skip = reading.shape[2] - forecast.shape[2]
        known = torch.nn.functional.pad(torch.ones_like(forecast), (skip, 0))
        estimates = torch.stack([ahead[0], back.flip(2), torch.nn.functional.pad(forecast, (skip, 0))])
        reliability = torch.stack([ahead[1] + 1e-3, back_reliability.flip(2), known])
        weight = torch.nn.functional.softplus(self.trust)[:, :, None, None] * reliability
        return (weight * estimates).sum(0) / weight.sum(0)
