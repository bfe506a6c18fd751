"""The forecast: a sensor's own past, plus messages along links. There is no other way from one sensor to another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot, pad

from rcgnn.config import ModelConfig
from rcgnn.model.encoders import SensorLinear

CHANNELS = 2
"""Linear messages that meet at the target, so that products of two sources can be learnt."""
KNOTS = 33
"""Points at which a message is tabulated."""
SPAN = 4.0
"""Knots reach from -SPAN to SPAN robust standard deviations; beyond, a message goes on straight."""
DENSE = 64
"""Going along a link costs as much as so many entries of a matrix product (measured: 13 to 1,000 sensors)."""


def lagged(x: Tensor, max_lag: int) -> Tensor:
    """[N, B, L] -> [N, B, L-K, K+1]: entry k of row t (t = K..L-1) is x at t-k."""
    return x.unfold(2, max_lag + 1, 1).flip(-1)


class SelfHistory(nn.Module):
    """Own past, always allowed: linear part plus MLP(s(t-1..t-K), own context), own parameters per sensor.

    The linear part is sum_k a_k s(t-k), held as coefficients of s(t-1) and of the steps s(t-k) - s(t-k-1): a smooth signal has
    nearly equal lags, whose coefficients (2.5, -2.3, .8) an optimiser reaches slowly, while these stay near one.
    """

    def __init__(self, sensors: int, max_lag: int, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = SensorLinear(sensors, max_lag, 1)
        self.inner = SensorLinear(sensors, max_lag + config.latent, config.hidden, generator)
        self.outer = SensorLinear(sensors, config.hidden, 1, offset=False)
        self.load(torch.tensor([0.5] + [0.0] * (max_lag - 1)).expand(sensors, -1))

    def load(self, coefficients: Tensor) -> None:
        """Set the linear part to sum_k a_k s(t-k).

        Args:
            coefficients: [N, K], a_1..a_K of each sensor.
        """
        rest = coefficients.cpu().flip(1).cumsum(1).flip(1)  # on the processor: a CUDA device sums in an order of its own
        start = torch.cat([rest[:, :1], -rest[:, 1:]], dim=1)
        with torch.no_grad():
            self.linear.weight.copy_(start[:, :, None])

    def forward(self, past: Tensor, context: Tensor) -> Tensor:
        """[N, B, M, K] own lags and [N, B, M, D] context -> [N, B, M]."""
        steps = torch.cat([past[..., :1], past[..., :-1] - past[..., 1:]], dim=-1)
        bent = self.outer(torch.relu(self.inner(torch.cat([past, context], dim=-1))))
        return (self.linear(steps) + bent).squeeze(-1)


class MessageFunction(nn.Module):
    """f_e(s), one scalar function per link from one shared network, centred and of unit size.

    f_e(s) = (g_e(s) - E g_e) / sd(g_e), g_e(s) = alpha_e s + sum_h v_h tanh(z_eh(s)), where z is a layer conditioned on
    c_e = [embedding of i, embedding of j, embedding of k]: z_e(s) = tanh(s A c_e + B c_e) W. The network is evaluated at
    KNOTS points of s and drawn linearly between and beyond them, so a message costs a table look-up however wide the
    network. Mean and sd are taken under s ~ N(0, 1), exactly for the drawn line: functions of the parameters alone, so
    normalising opens no path between sensors nor between rows, and the weight that multiplies f_e is identified. v starts
    at zero: f_e(s) = s.
    """

    knots: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, sensors: int, edges: Tensor, config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        lags = int(edges[0].max()) + 1 if edges.shape[1] else 1
        width, wide = config.hidden, 3 * config.embed
        self.sensor = nn.Parameter(torch.randn(sensors, config.embed, generator=generator))
        self.lag = nn.Parameter(torch.randn(lags, config.embed, generator=generator))
        self.slope = nn.Parameter(torch.randn(wide, width, generator=generator) / wide**0.5)
        self.shift = nn.Parameter(torch.randn(wide, width, generator=generator) / wide**0.5)
        self.mix = nn.Parameter(torch.randn(width, width, generator=generator) / width**0.5)
        self.height = nn.Parameter(torch.zeros(width))
        self.straight = nn.Parameter(torch.ones(edges.shape[1]))
        first, second = normal_moments()
        self.register_buffer("knots", torch.linspace(-SPAN, SPAN, KNOTS), persistent=False)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)

    def table(self, edges: Tensor) -> Tensor:
        """[E, KNOTS] every message at the knots."""
        lag, i, j = edges
        condition = torch.cat([self.sensor[i], self.sensor[j], self.lag[lag]], dim=-1)
        slope, shift = condition @ self.slope, condition @ self.shift
        first = torch.tanh(self.knots[None, :, None] * slope[:, None, :] + shift[:, None, :])
        raw = self.straight[:, None] * self.knots + torch.tanh(first @ self.mix) @ self.height
        centred = raw - (raw @ self.first)[:, None]
        variance = ((centred @ self.second) * centred).sum(-1)
        return centred / torch.sqrt(variance + 1e-12)[:, None]

    def forward(self, signal: Tensor, row: Tensor, weights: Tensor, regime: Tensor, edges: Tensor) -> Tensor:
        """w_e f_e(s): the weight goes into the table, so that it costs nothing for each row.

        Args:
            signal: [S, B, M] what the sources say, each at its delay.
            row: [E] source of each link.
            weights: [R, E] weight of each link in each regime.
            regime: [B] regime of each window.
            edges: [3, E] the links (k, i, j).

        Returns:
            [E, B, M].
        """
        table = self.table(edges)
        sizes = weights.T[:, :, None]
        height = (sizes * table[:, None]).flatten(1)
        slope = (sizes * pad(torch.diff(table), (0, 1))[:, None]).flatten(1)
        left, along = cell_of(signal)
        at = (left + KNOTS * regime[:, None]).flatten(1).index_select(0, row)
        along = along.flatten(1).index_select(0, row)
        return torch.addcmul(height.gather(1, at), slope.gather(1, at), along).view(len(row), *signal.shape[1:])


def cell_of(s: Tensor) -> tuple[Tensor, Tensor]:
    """Knot to the left of s, and how far along the cell s lies: in [0, 1] inside the span, outside it beyond."""
    place = (s + SPAN) * ((KNOTS - 1) / (2 * SPAN))
    left = torch.nan_to_num(place.detach()).floor().clamp(0, KNOTS - 2)
    return left.long(), place - left


def normal_moments() -> tuple[Tensor, Tensor]:
    """First and second moments of a drawn line under N(0, 1): E f = f @ first, E f^2 = f @ second @ f.

    Returns:
        [KNOTS] and [KNOTS, KNOTS], from the midpoint rule on 20,000 points of [-8, 8].
    """
    points = (torch.arange(20_000, dtype=torch.float64) + 0.5) * (16 / 20_000) - 8
    mass = torch.exp(-0.5 * points.square())
    left, along = cell_of(points)
    row = torch.arange(len(points))
    share = torch.zeros(len(points), KNOTS, dtype=torch.float64)
    share[row, left], share[row, left + 1] = 1 - along, along
    weighted = share * (mass / mass.sum())[:, None]
    return weighted.sum(0).float(), (weighted.T @ share).float()


class Interaction(nn.Module):
    """Second-order meeting of what arrived with itself and with the own past, own coefficients per target.

    change_j = sum_{c, d} q_jcd a_c b_d, a = arrived channels, b = [a, own lags], all read within +-SPAN, |q_j| <= 1. There is no
    first-order term and a = 0 gives exactly 0: it cannot take over a message's linear part, so weights stay identified
    (a free update network halved the weights of linear systems and their ranking fell from AUPRC 1.00 to .72).
    """

    def __init__(self, sensors: int, max_lag: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.zeros(sensors, CHANNELS * (CHANNELS + max_lag), 1))

    def forward(self, arrived: Tensor, own: Tensor) -> Tensor:
        """[N, B, M, CHANNELS] and [N, B, M, K] -> [N, B, M]."""
        partner = torch.cat([arrived, own], dim=-1).clamp(-SPAN, SPAN)
        bent = torch.bmm(partner.flatten(1, 2), self._per_channel()).view_as(arrived)
        return (arrived.clamp(-SPAN, SPAN) * bent).sum(-1)

    def slope(self, own: Tensor) -> Tensor:
        """[N, B, M, CHANNELS] gradient of `forward` at the arrived channels where nothing arrives, for own lags [N, B, M, K]."""
        return torch.bmm(own.clamp(-SPAN, SPAN).flatten(1, 2), self._per_channel()[:, CHANNELS:]).view(*own.shape[:-1], CHANNELS)

    def _per_channel(self) -> Tensor:
        """[N, CHANNELS + K, CHANNELS] q."""
        size = torch.linalg.vector_norm(self.coefficient, dim=1, keepdim=True).clamp(min=1.0)
        return (self.coefficient / size).view(len(self.coefficient), CHANNELS, -1).transpose(1, 2)


class MessagePassing(nn.Module):
    """sum_e w_e f_e(s_i(t-k)) into each target j, plus the interaction of what arrived.

    What arrives is m = sum_e w_e p_e s_i(t-k) in CHANNELS channels with |p_e| = 1. With every link of j closed both parts
    are exactly zero. The interaction starts at zero, so the first forecast is linear in the sources.

    Attributes:
        edges: [3, E] the links (k, i, j).
        sources: [S] the pairs k N + i that any link starts from.
        row: [E] where the source of each link stands among them.
        entries: of the matrix [N, S] that would say everything that arrives in one product.
    """

    edges: Tensor
    sources: Tensor
    row: Tensor

    def __init__(self, edges: Tensor, sizes: tuple[int, int], config: ModelConfig, generator: torch.Generator) -> None:
        super().__init__()
        sensors, max_lag = sizes
        self.message = MessageFunction(sensors, edges, config, generator)
        self.channel = nn.Parameter(torch.randn(edges.shape[1], CHANNELS, generator=generator))
        self.interaction = Interaction(sensors, max_lag)
        sources, row = torch.unique(edges[0] * sensors + edges[1], return_inverse=True)
        self.register_buffer("edges", edges, persistent=False)
        self.register_buffer("sources", sources, persistent=False)
        self.register_buffer("row", row, persistent=False)
        self.entries = sensors * len(sources)

    def forward(self, lags: Tensor, weights: Tensor, regime: Tensor) -> Tensor:
        """Influence of the other sensors.

        Args:
            lags: [N, B, M, K+1] signal at t-k.
            weights: [R, E] weight of each link in each regime.
            regime: [B] regime of each window.

        Returns:
            [N, B, M], exactly zero for a target whose links all weigh zero.
        """
        signal = self._sources(lags)
        message = self.message(signal, self.row, weights, regime, self.edges)
        direct = lags.new_zeros(lags.shape[:3]).index_add(0, self.edges[2], message)
        pull = weights[:, :, None] * normalize(self.channel, dim=-1)
        arrive = self._through_products if len(weights) * self.entries <= DENSE * len(self.row) else self._along_links
        return direct + self.interaction(arrive(signal, pull, regime).movedim(0, -1), lags[..., 1:])

    def slopes(self, lags: Tensor) -> Tensor:
        """[E, B, M] what each link would add to its target per unit of weight where all links are closed, for lags [N, B, M, K+1]."""
        signal, target = self._sources(lags), self.edges[2]
        ones, regime = signal.new_ones(1, len(target)), torch.zeros(signal.shape[1], dtype=torch.long, device=signal.device)
        met = torch.einsum("ebmc,ec->ebm", self.interaction.slope(lags[..., 1:])[target], normalize(self.channel, dim=-1))
        return self.message(signal, self.row, ones, regime, self.edges) + met * signal.index_select(0, self.row)

    def _sources(self, lags: Tensor) -> Tensor:
        """[S, B, M] what the sources say, each at its delay."""
        return lags.permute(3, 0, 1, 2).flatten(0, 1).index_select(0, self.sources)

    def _through_products(self, signal: Tensor, pull: Tensor, regime: Tensor) -> Tensor:
        """[S, B, M] signals and [R, E, CHANNELS] strengths -> [CHANNELS, N, B, M], by one product a regime with zeros where no link is.

        What is not finite counts as 0 here, since zero times it would reach every target; along its links it goes with the messages.
        """
        sensors, regimes = len(self.interaction.coefficient), len(pull)
        place = self.edges[2] * len(signal) + self.row
        spread = pull.new_zeros(sensors * len(signal), regimes * CHANNELS).index_put((place,), pull.transpose(0, 1).flatten(1))
        matrix = spread.view(sensors, len(signal), regimes * CHANNELS).permute(2, 0, 1).flatten(0, 1)
        products = matrix @ signal.flatten(1).nan_to_num(0.0, 0.0, 0.0)
        found = products.view(regimes, CHANNELS, sensors, *signal.shape[1:]).to(signal.dtype)
        if regimes == 1:
            return found[0]
        mine = one_hot(regime, regimes).T.bool()[:, None, None, :, None]
        return torch.where(mine, found, 0.0).sum(0)

    def _along_links(self, signal: Tensor, pull: Tensor, regime: Tensor) -> Tensor:
        """The same, link by link: what is left to do where links are few among many sensors."""
        said, nothing = signal.index_select(0, self.row), signal.new_zeros(len(self.interaction.coefficient), *signal.shape[1:])
        by_window = pull.index_select(0, regime).permute(2, 1, 0)[..., None]
        return torch.stack([nothing.index_add(0, self.edges[2], said * strength) for strength in by_window])
