"""How several loss terms become one gradient. A hierarchy, not a vote: the data term leads.

Rules that treat the terms as peers pull towards the empty graph, where sparsity and acyclicity are perfectly satisfied.
Here the auxiliaries can never turn the step away from the data: `cos(combined, data) >= 1 / sqrt(1 + .3^2) = .958`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rcgnn.config import Config
from rcgnn.errors import ConfigError, did_you_mean
from rcgnn.health import AuxHealth

DATA = "recon"
"""The leading term."""
PROXIMAL = "sparse"
"""The term that `hierarchy` handles by a proximal step, not by its gradient."""
EACH_CAP, TOTAL_CAP = 0.1, 0.3
"""Largest norm of one auxiliary, and of all together, as shares of the data gradient's norm."""
REFRESH = 8
"""Steps for which an auxiliary gradient is used before it is computed anew; it is projected and capped at every step."""
TINY = 1e-30
SMALLEST_DATA = 1e-12
"""A data gradient below this counts as this much in shares."""


def combine(data: Tensor, auxiliaries: Tensor) -> Tensor:
    """Data gradient plus projected and capped auxiliaries.

    `a <- a - min(0, <a, g>) / |g|^2 g`, then `a <- a min(1, .1 |g| / |a|)`, then their sum s the same with .3. Every
    projected `a` has `<a, g> >= 0`, hence so has s, and `cos(g + s, g) >= 1 / sqrt(1 + .3^2)`. No branch and no
    synchronisation with the device. Sums run in float64, so that norms up to 1e38 do not overflow.

    Args:
        data: [P] gradient g of the data term.
        auxiliaries: [A, P] gradients of the other terms.

    Returns:
        [P] combined gradient in the dtype of `data`.

    Example:
        >>> g, against = torch.tensor([1.0, 0.0]), torch.tensor([[-50.0, 50.0]])
        >>> combine(g, against)
        tensor([1.0000, 0.1000])
    """
    g, a = data.double(), auxiliaries.double()
    norm = g.norm()
    unit = g / norm.clamp_min(TINY)
    a = a - (a @ unit).clamp(max=0.0)[:, None] * unit
    a = a * (EACH_CAP * norm / a.norm(dim=1, keepdim=True).clamp_min(TINY)).clamp(max=1.0)
    total = a.sum(0)
    total = total * (TOTAL_CAP * norm / total.norm().clamp_min(TINY)).clamp(max=1.0)
    return (g + total).to(data.dtype)


def flat_gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """[P] gradient of one scalar over all parameters; zeros where it does not depend on them. The graph is kept.

    Args:
        loss: scalar.
        parameters: leaves that require gradients.
    """
    if not loss.requires_grad:
        return torch.cat([torch.zeros_like(p).flatten() for p in parameters])
    parts = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, parts, strict=True)])


class Balancer:
    """What both ways share: which terms count, the sparsity threshold, the report of the last step.

    Args:
        config: the run's settings; a weight of 0 in `losses` switches a term off.
    """

    proximal: bool

    def __init__(self, config: Config) -> None:
        self.weights = {name: weight for name, weight in config.losses.weights.items() if weight > 0}
        self.threshold = torch.zeros((), dtype=torch.float64)
        """Lambda of the proximal step: 0-dim or [N, N]."""
        self.at_forecast: Tensor | None = None
        """Gradient of the data term at the forecast in the last step, in the forecast's shape, where the balancer knows it."""
        self.rows: dict[str, Tensor] = {}
        """[P] raw gradient of each term in the last step, data first."""
        self.data_norm: float | None = None
        """Norm of the data term's gradient at the last report."""

    def begin_epoch(self) -> None:
        """The next step wants every term."""

    def wants_all(self) -> bool:
        """Whether the coming step needs every term, or the data term alone."""
        return True

    def gradient(self, terms: Mapping[str, Tensor], parameters: Sequence[Tensor], forecast: Tensor | None = None) -> Tensor:
        """[P] combined gradient of one step; the terms' graph stays usable for `report`.

        Args:
            terms: scalar by name; without auxiliaries where `wants_all` was False.
            parameters: leaves.
            forecast: where `at_forecast` is measured, or None.
        """
        raise NotImplementedError

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The scalar that the record calls the training loss."""
        raise NotImplementedError

    def weighted(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The auxiliaries in use, as they enter before any cap."""
        raise NotImplementedError

    def report(self, terms: Mapping[str, Tensor], parameters: Sequence[Tensor]) -> dict[str, AuxHealth]:
        """Value, size and direction of every auxiliary before any cap. One backward pass a term: asked for once an epoch."""
        data = flat_gradient(self.weights.get(DATA, 1.0) * terms[DATA], parameters)
        self.data_norm = float(data.double().norm())
        return {name: _beside(term, flat_gradient(term, parameters), data) for name, term in self.weighted(terms).items()}

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"threshold": self.threshold.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.threshold = torch.tensor(state["threshold"], dtype=torch.float64)


class Hierarchy(Balancer):
    """The data term leads; the others enter in their natural size, projected and capped; sparsity is a proximal step.

    Auxiliary gradients are computed at the first step of an epoch and at every `REFRESH`-th after it, and reused in between: a
    backward pass each is what they cost. Projection and caps are against the data gradient of the step at hand, so the
    bound on the angle holds at every step.
    """

    proximal = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._age = 0
        self._values: dict[str, Tensor] = {}

    def begin_epoch(self) -> None:
        """Fresh auxiliaries first; so a state taken between two epochs needs no gradients in it."""
        self._age = 0

    def wants_all(self) -> bool:
        """True at the first step of an epoch and at every `REFRESH`-th after it."""
        return self._age % REFRESH == 0

    def gradient(self, terms: Mapping[str, Tensor], parameters: Sequence[Tensor], forecast: Tensor | None = None) -> Tensor:
        """See `combine`."""
        watched = [] if forecast is None else [forecast]
        both = flat_gradient(terms[DATA], [*parameters, *watched])
        data, at_forecast = torch.split(both, [both.numel() - sum(w.numel() for w in watched), sum(w.numel() for w in watched)])
        self.at_forecast = None if forecast is None else at_forecast.view_as(forecast)
        if self.wants_all():
            auxiliaries = {name: term for name, term in self.weighted(terms).items() if term.requires_grad}
            self._values = {name: term.detach() for name, term in auxiliaries.items()}
            self.rows = {DATA: data, **{name: flat_gradient(term, parameters) for name, term in auxiliaries.items()}}
        self.rows[DATA] = data
        self._age += 1
        others = [self.rows[name] for name in self._values]
        return combine(data, torch.stack(others)) if others else data

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The data term alone."""
        return terms[DATA]

    def weighted(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every term but data and sparsity, unweighted."""
        return {name: term for name, term in terms.items() if name not in (DATA, PROXIMAL) and name in self.weights}

    def report(self, terms: Mapping[str, Tensor], parameters: Sequence[Tensor]) -> dict[str, AuxHealth]:
        """As in `Balancer`, from the gradients of the last step where there was one."""
        if not self.rows:
            self.gradient(terms, parameters)
        self.data_norm = float(self.rows[DATA].double().norm())
        return {name: _beside(value, self.rows[name], self.rows[DATA]) for name, value in self._values.items()}


class Fixed(Balancer):
    """The origin's way: `sum of weight x term`, sparsity among them; no projection, no cap, no proximal step."""

    proximal = False

    def gradient(self, terms: Mapping[str, Tensor], parameters: Sequence[Tensor], forecast: Tensor | None = None) -> Tensor:
        """Gradient of the weighted sum; there is no certificate to watch."""
        del forecast
        self.rows = {DATA: flat_gradient(self.total(terms), parameters)}
        return self.rows[DATA]

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Weighted sum."""
        return torch.stack([self.weights[name] * term for name, term in terms.items() if name in self.weights]).sum()

    def weighted(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every term but the data term, weighted."""
        return {name: self.weights[name] * term for name, term in terms.items() if name != DATA and name in self.weights}


class Peers(Fixed):
    """The weighted terms as equals: their gradients go through one of torchjd's aggregators (MGDA, PCGrad, ConFIG, ...).

    For comparison. UPGrad and DualProj need `torchjd[quadprog_projector]` as well, which is under the GPL. Rules among equals
    pull towards the empty graph, which satisfies sparsity and acyclicity perfectly, and have no certificate.
    Source: Quinton & Rey 2024, "Jacobian Descent for Multi-Objective Optimization".

    Raises:
        ConfigError: torchjd is not installed, or has no aggregator of that name that works without arguments.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.aggregate = _aggregator(config.losses.balance.removeprefix(TORCHJD))

    def gradient(self, terms: Mapping[str, Tensor], parameters: Sequence[Tensor], forecast: Tensor | None = None) -> Tensor:
        """The aggregate of all terms' weighted gradients, those that are zero left out."""
        del forecast
        weighted = {name: self.weights[name] * term for name, term in terms.items() if name in self.weights}
        self.rows = {name: flat_gradient(term, parameters) for name, term in weighted.items()}
        moving = [row for row in self.rows.values() if bool(row.count_nonzero())]
        if not moving or not all(bool(torch.isfinite(row).all()) for row in moving):
            return torch.stack(list(self.rows.values())).sum(0)  # nothing to weigh up, or for the guard to refuse
        return self.aggregate(torch.stack(moving))


BALANCERS: dict[str, type[Balancer]] = {"hierarchy": Hierarchy, "fixed": Fixed}
"""`losses.balance` -> class; beside them `torchjd:<aggregator>`, see `Peers`."""
TORCHJD = "torchjd:"


def make_balancer(config: Config) -> Balancer:
    """The balancer the config names."""
    return BALANCERS.get(config.losses.balance, Peers)(config)


def _aggregator(name: str) -> Callable[[Tensor], Tensor]:
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise ConfigError(f"losses.balance: {TORCHJD}{name} needs torchjd; pip install 'rcgnn[balance]'.") from error
    kind = getattr(aggregation, name, None)
    known = [one for one in aggregation.__all__ if not one.endswith(("Weighting", "Aggregator"))]
    if name not in known or kind is None:
        raise ConfigError(f"losses.balance: torchjd has no aggregator {name!r}.{did_you_mean(name, known)}")
    try:
        return kind()
    except (TypeError, ImportError) as error:
        raise ConfigError(
            f"losses.balance: torchjd's {name} cannot be made without arguments or further packages ({str(error).rstrip('.')})."
        ) from error


def _beside(term: Tensor, row: Tensor, data: Tensor) -> AuxHealth:
    size, norm = float(row.double().norm()), max(float(data.double().norm()), SMALLEST_DATA)
    cosine = float(row.double() @ data.double()) / max(norm * size, TINY)
    return AuxHealth(value=float(term.detach()), grad_norm=size, cos_data=max(-1.0, min(1.0, cosine)), share=size / norm)
