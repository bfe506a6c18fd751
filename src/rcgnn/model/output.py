"""What goes into the network and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class NetworkInput:
    """One batch of windows.

    Attributes:
        values: [B, L, N] float32, scaled readings, 0 where not observed.
        mask: [B, L, N] True where observed.
        regime: [B] long, operating mode of each window.
        hidden: [B, L, N] observed cells that the encoders must not see and the reconstruction is scored on; None for none.
    """

    values: Tensor
    mask: Tensor
    regime: Tensor
    hidden: Tensor | None = None

    @property
    def visible(self) -> Tensor:
        """[B, L, N] cells the encoders may read: observed and not hidden."""
        return self.mask if self.hidden is None else self.mask & ~self.hidden


@dataclass(frozen=True)
class ModelOutput:
    """What the network says about one batch; everything in scaled units.

    Attributes:
        prediction: [B, L-K, N] forecast of rows K..L-1: signal from the past (and same-step links), plus own bias.
        self_prediction: [B, L-K, N] the same network with every link closed.
        signal: [B, L, N] reading of what evolves through the graph, smoothed over the window.
        bias: [B, L, N] slow offset of the sensor itself, from its rows <= t.
        noise_scale: [N] > 0, standard deviation of the white measurement noise.
        imputed: [B, L, N] the reading where the encoders saw one, the reconstruction elsewhere.
        reconstruction: [B, L, N] signal + bias.
        latents: `filtered` [B, L, N] signal from rows <= t only (what messages read), `noise` [B, L, N] reading minus
            reconstruction (0 where not visible), `context` [B, L, N, D] each sensor's summary of its own rows < t.
    """

    prediction: Tensor
    self_prediction: Tensor
    signal: Tensor
    bias: Tensor
    noise_scale: Tensor
    imputed: Tensor
    reconstruction: Tensor
    latents: dict[str, Tensor] = field(default_factory=dict)
