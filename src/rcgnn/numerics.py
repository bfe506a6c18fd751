"""Small numerical helpers shared by the network, its losses and its training; torch loads only where it is used.

Randomness has one source: `hash(seed, purpose, epoch)`, so that two uses never share a stream and a resumed run draws
the same numbers as an unbroken one.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ADAM_EPS = 1e-8
"""Added to the root of the second moment."""


def stream(seed: int, purpose: str, epoch: int = 0) -> int:
    """A 63-bit seed for one purpose in one epoch: blake2b(seed, purpose, epoch).

    Example:
        >>> stream(1337, "batches", 1) == stream(1337, "batches", 1) != stream(1337, "batches", 2)
        True
    """
    digest = hashlib.blake2b(f"{seed}|{purpose}|{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def rng(seed: int, purpose: str, epoch: int = 0) -> np.random.Generator:
    """NumPy generator of `stream(seed, purpose, epoch)`; does not load torch.

    Example:
        >>> bool(rng(1337, "null").random() == rng(1337, "null").random())
        True
    """
    return np.random.default_rng(stream(seed, purpose, epoch))


def generator(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """Torch generator (CPU) of `stream(seed, purpose, epoch)`."""
    import torch

    return torch.Generator().manual_seed(stream(seed, purpose, epoch))


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread inside the block, torch too where it is loaded; as before afterwards.

    Matrices of a few dozen sensors are too small to share: two threads gain nothing on an idle machine, and on a busy one they
    wait for each other (air quality, 13 sensors, two busy cores: 315 s with two threads, 41 s with one).
    """
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = 0 if torch is None else torch.get_num_threads()
    with threadpool_limits(limits=1):
        try:
            if torch is not None:
                torch.set_num_threads(1)
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)


@contextmanager
def repeatable(device: torch.device, precision: str = "float32") -> Iterator[None]:
    """Inside the block a CUDA device sums in a fixed order, so that two runs are equal, and multiplies in the precision that is set.

    On a processor nothing changes. Where torch knows no fixed order for an operation it goes on without one.

    Args:
        device: where the block computes.
        precision: `float32`, or `tf32`: products of 32-bit matrices with 10 bits behind the point, sums in 32 bits.
    """
    import torch

    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it before its first product
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    products, memory = torch.get_float32_matmul_precision(), cast("Any", torch.utils.deterministic)
    filled = memory.fill_uninitialized_memory
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deterministic", category=UserWarning)
            torch.use_deterministic_algorithms(True, warn_only=True)
            memory.fill_uninitialized_memory = False  # else every new tensor is filled once more
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled
        torch.set_float32_matmul_precision(products)


@contextmanager
def rounded(device: torch.device, precision: str) -> Iterator[None]:
    """Inside the block products of 32-bit matrices are taken in bfloat16, 8 bits behind the point, where `precision` is `bf16`.

    What is in float64, as losses and all graph algebra are, stays as it is. Pays on devices with units for bfloat16 and large batches.
    """
    import torch

    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def adam_step(x: Tensor, moments: tuple[Tensor, Tensor], gradient: Tensor, *, steps: int, lr: float, betas: tuple[float, float]) -> None:
    """One step of Adam on one row of numbers: x and its moments (m, v) are changed in place, the gradient g is left as it is.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  x = x - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + ADAM_EPS).

    Args:
        x: [P] what moves.
        moments: m and v, [P] each.
        gradient: [P] g.
        steps: t, this one counted.
        lr: learning rate.
        betas: b1 and b2.

    Source: Kingma & Ba 2015, algorithm 1.
    """
    (mean, square), (first, second) = moments, betas
    mean.lerp_(gradient, 1 - first)
    square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
    spread = square.sqrt().div_(math.sqrt(1 - second**steps)).add_(ADAM_EPS)
    x.addcdiv_(mean, spread, value=-lr / (1 - first**steps))


def masked_mean(values: Tensor, mask: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Mean over the cells where `mask` holds, in float64: sum(mask * values) / max(1, sum(mask)).

    Args:
        values: any shape; a cell outside the mask may hold anything, NaN included.
        mask: bool, the same shape.
        dim: axes that are reduced.

    Returns:
        float64; 0 where nothing is observed, with a zero gradient.

    Example:
        >>> import torch
        >>> masked_mean(torch.tensor([1.0, 3.0, float("nan")]), torch.tensor([True, True, False]), 0).item()
        2.0
    """
    inside = values.double().masked_fill(~mask, 0.0)
    return inside.sum(dim) / mask.sum(dim).clamp(min=1)


def pseudo_huber(residual: Tensor, delta: float) -> Tensor:
    """rho(r) = delta^2 (sqrt(1 + (r/delta)^2) - 1): r^2/2 near zero, delta |r| far out, in float64.

    Written as r^2 / (1 + sqrt(1 + (r/delta)^2)), which does not cancel for small r; float64 holds the square of every
    float32. Two facts carry the certificate of `losses.reconstruction`: |rho'| <= min(|r|, delta) and rho'^2 <= 2 rho.

    Source: Charbonnier et al. 1997, "Deterministic edge-preserving regularization", eq. 13.

    Example:
        >>> import torch
        >>> [round(v, 3) for v in pseudo_huber(torch.tensor([0.0, 0.1, 100.0]), 2.0).tolist()]
        [0.0, 0.005, 196.04]
    """
    import torch

    q = residual.double() / delta
    return delta**2 * q.square() / (1 + torch.sqrt(1 + q.square()))


def group_norm(values: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Euclidean norm over `dim` in float64, with gradient 0 (not NaN) where the group is zero."""
    import torch

    return torch.linalg.vector_norm(values.double(), dim=dim)


def spectral_radius(matrix: Tensor) -> float:
    """Largest absolute eigenvalue in float64, of a matrix scaled to unit row sums; exactly 0 for an acyclic graph.

    LAPACK balances before it iterates, which isolates the eigenvalues of every permuted triangular matrix: a directed
    acyclic graph gives 0, not the 1e-16^(1/N) of a naive iteration.

    Example:
        >>> import torch
        >>> round(spectral_radius(torch.tensor([[0.0, 4.0], [1.0, 0.0]])), 6), spectral_radius(torch.tensor([[0.0, 4.0], [0.0, 0.0]]))
        (2.0, 0.0)
    """
    import torch

    scale = row_sum_norm(matrix)
    if scale == 0.0:
        return 0.0
    return scale * float(torch.linalg.eigvals(matrix.detach().double() / scale).abs().max())


def row_sum_norm(matrix: Tensor) -> float:
    """Largest absolute row sum, an upper bound of the spectral radius that does not grow when blocks are repeated."""
    return float(matrix.detach().double().abs().sum(-1).max()) if matrix.numel() else 0.0
