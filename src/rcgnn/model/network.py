"""`CausalNet`: tri-latent encoders, a graph, and a decoder in which every influence of another sensor is a message."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rcgnn.config import ModelConfig
from rcgnn.errors import InputError
from rcgnn.model.decoder import MessagePassing, SelfHistory, lagged
from rcgnn.model.encoders import READING_LIMIT, BiasEncoder, SignalEncoder, noise_scale
from rcgnn.model.imputer import Imputer
from rcgnn.model.output import ModelOutput, NetworkInput
from rcgnn.model.structure import Structure

__all__ = ["CausalNet", "ModelOutput", "NetworkInput"]


class CausalNet(nn.Module):
    """x_j(t) = self_j(own past) + sum over links (k, i, j) of w_kij f_kij(s_i(t-k)) + bias_j + noise_j.

    Args:
        sensors: N.
        config: widths and the period of the bias.
        candidates: [K+1, N, N] bool, `[k, i, j]`; the links that exist at all. Cost follows their number.
        order: [N] sensors from first to last, for links within one step; None leaves those candidates as given.
        regimes: R operating modes.
        generator: the only source of randomness.
        init_weights: [K+1, N, N] first link weights; None draws small ones.

    Raises:
        InputError: shapes disagree.

    Example:
        >>> candidates = torch.zeros(2, 3, 3, dtype=torch.bool); candidates[1, 0, 1] = True
        >>> net = CausalNet(3, ModelConfig(), candidates, generator=torch.Generator().manual_seed(0))
        >>> batch = NetworkInput(torch.randn(4, 10, 3), torch.ones(4, 10, 3, dtype=torch.bool), torch.zeros(4, dtype=torch.long))
        >>> net(batch).prediction.shape
        torch.Size([4, 9, 3])
    """

    def __init__(  # noqa: PLR0913 - one required config object and four named options
        self,
        sensors: int,
        config: ModelConfig,
        candidates: Tensor,
        *,
        order: Tensor | None = None,
        regimes: int = 1,
        generator: torch.Generator,
        init_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        if candidates.ndim != 3 or candidates.shape[1] != sensors:
            raise InputError(f"network: candidates must be [K+1, {sensors}, {sensors}], got {list(candidates.shape)}.")
        self.max_lag = candidates.shape[0] - 1
        if self.max_lag < 1:
            raise InputError("network: candidates need at least one lag (K >= 1); the own past is always read.")
        self.structure = Structure(candidates, order, regimes, init_weights, generator)
        self.bias = BiasEncoder(sensors, config.bias_period)
        self.signal = SignalEncoder(sensors, config, generator)
        self.imputer = Imputer(sensors)
        self.history = SelfHistory(sensors, self.max_lag, config, generator)
        self.messages = MessagePassing(self.structure.edges, (sensors, self.max_lag), config, generator)

    def forward(self, batch: NetworkInput, weights: Tensor | None = None, *, closed: bool = False) -> ModelOutput:
        """Forecast, latents and imputation of one batch.

        Args:
            batch: windows of L > K rows.
            weights: [R, K+1, N, N] or [K+1, N, N] link weights instead of the network's own; zeros close every link.
            closed: close every link, whatever the weights, and spend nothing on messages: what zeros give, bit for bit.

        Raises:
            InputError: windows are not longer than K rows.
        """
        rows = batch.values.shape[1]
        if rows <= self.max_lag:
            raise InputError(f"network: windows of {rows} rows cannot hold lags up to {self.max_lag}; use at least {self.max_lag + 1}.")
        visible = batch.visible.permute(2, 0, 1)
        values = batch.values.permute(2, 0, 1).clamp(-READING_LIMIT, READING_LIMIT).masked_fill(~visible, 0.0)
        visible = visible.to(values.dtype)
        bias = self.bias(values, visible)
        reading = values - bias * visible
        own = self.signal(reading, visible)
        past = lagged(own.signal, self.max_lag)
        alone = self.history(past[..., 1:], own.context[:, :, self.max_lag :])
        forecast = alone if closed else alone + self.messages(past, self._of_links(weights), batch.regime)
        expected = self.imputer(reading, visible, (own.expected, own.reliability), forecast)
        signal = self.signal.update(expected, reading, visible)
        offset = bias[:, :, self.max_lag - 1 : -1]
        whole = signal + bias
        seen = visible.bool()
        noise = (values - bias - own.signal) * visible
        outer = {"filtered": own.signal, "noise": (values - whole) * visible}
        return ModelOutput(
            prediction=_batch_first(forecast + offset),
            self_prediction=_batch_first(alone + offset),
            signal=_batch_first(signal),
            bias=_batch_first(bias),
            noise_scale=noise_scale(noise, visible, self.signal.gain),
            imputed=_batch_first(torch.where(seen, values, whole)),
            reconstruction=_batch_first(whole),
            latents={name: _batch_first(x) for name, x in outer.items()} | {"context": own.context.permute(1, 2, 0, 3)},
        )

    def _of_links(self, weights: Tensor | None) -> Tensor:
        """[R, E] weight of each link in each regime."""
        given = self.structure.weights() if weights is None else weights
        given = given.expand(len(self.structure.deltas), -1, -1, -1) if given.ndim == 3 else given
        lag, source, target = self.structure.edges
        return given[:, lag, source, target]

    def load_linear(self, own: Tensor, weights: Tensor) -> None:
        """Start from a linear system: own [N, K] coefficients and [K+1, N, N] link weights (see `model.start`).

        Raises:
            InputError: shapes disagree.
        """
        shapes = [list(own.shape), list(weights.shape)]
        expected = [[len(weights[0]), self.max_lag], list(self.structure.base.shape)]
        if shapes != expected:
            raise InputError(f"network: a linear start needs shapes {expected}, got {shapes}.")
        self.history.load(own)
        with torch.no_grad():
            self.structure.base.copy_(weights * self.structure.allowed)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by the part they belong to."""
        parts: dict[str, list[nn.Module]] = {
            "encoder": [self.bias, self.signal, self.imputer],
            "self": [self.history],
            "message": [self.messages],
            "structure": [self.structure],
        }
        return {name: [p for m in modules for p in m.parameters() if p.requires_grad] for name, modules in parts.items()}

    def self_parameters(self) -> list[nn.Parameter]:
        """Parameters the forecast uses when every link is closed."""
        return self.groups()["encoder"] + self.groups()["self"]

    def link_parameters(self) -> list[nn.Parameter]:
        """Parameters that only matter when a link is open."""
        return self.groups()["message"] + self.groups()["structure"]


def _batch_first(x: Tensor) -> Tensor:
    return x.permute(1, 2, 0)
