"""The table of loss terms and the one function that computes them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from rcgnn.losses.acyclicity import acyclicity
from rcgnn.losses.disentanglement import disentanglement
from rcgnn.losses.invariance import invariance
from rcgnn.losses.reconstruction import reconstruction
from rcgnn.losses.sparsity import group_sparsity
from rcgnn.model.network import CausalNet
from rcgnn.model.output import ModelOutput, NetworkInput


@dataclass(frozen=True)
class Term:
    """One loss term.

    Attributes:
        value: (output, batch, network) -> 0-dim float64, reduced by mean, before any weight.
        of_data: True where it depends on readings, False where on the network's weights alone.
        meaning: one line for reports.
    """

    value: Callable[[ModelOutput, NetworkInput, CausalNet], Tensor]
    of_data: bool
    meaning: str


def _sparse(_output: ModelOutput, _batch: NetworkInput, network: CausalNet) -> Tensor:
    return group_sparsity(network.structure.weights(), network.structure.pairs)


def _acyclic(_output: ModelOutput, _batch: NetworkInput, network: CausalNet) -> Tensor:
    structure = network.structure
    return acyclicity(structure.weights()[:, 0], "exp" if structure.instantaneous else "none")


def _disen(output: ModelOutput, batch: NetworkInput, _network: CausalNet) -> Tensor:
    return disentanglement(output.signal, output.bias, output.latents["noise"], batch.visible)


def _invariance(_output: ModelOutput, _batch: NetworkInput, network: CausalNet) -> Tensor:
    return invariance(network.structure.deltas, network.structure.pairs)


TERMS: dict[str, Term] = {
    "recon": Term(lambda output, batch, _: reconstruction(output, batch), True, "forecast and reconstruction of readings"),
    "sparse": Term(_sparse, False, "size of the links, by pair"),
    "acyclic": Term(_acyclic, False, "cycles among links within one step"),
    "disen": Term(_disen, True, "overlap of signal, bias and noise"),
    "invariance": Term(_invariance, False, "change of links between regimes"),
}
"""Every loss term, by the name it has in the config (`losses.<name>`) and in the health log."""


def compute(output: ModelOutput, batch: NetworkInput, network: CausalNet) -> dict[str, Tensor]:
    """Every term of `TERMS` for one batch: name -> 0-dim float64, before weighting."""
    return {name: term.value(output, batch, network) for name, term in TERMS.items()}
