"""The networks of `cmlp`: all targets in one tensor, closed group by group by proximal gradient descent. Loads torch.

Weights of all networks: [K m + 2, m, H]. The first K m rows are W, row (k-1) m + i for x_i(t-k); then the biases b; last the output
weights v. The offset is not kept: it is the mean of what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rcgnn.series import FloatArray

HIDDEN = 16
RIDGE = 0.03
SHARE = 0.1
"""a: how much of the penalty is on a sensor as a whole, the rest on its single lags."""
LEAST_PENALTY, RAISE, MOST_RAISES = 0.01, 2.0**0.5, 24
"""The path: its first penalty, the factor between two, and where it ends when a group never closes."""
HELD_OUT = 0.2
STEPS, LAST_STEPS = 100, 200
LOOK, GAIN = 20, 2e-4
"""Descent ends when no target's objective (1/2 with nothing explained) fell by more than GAIN in LOOK steps."""
MEMORY, DECREASE, SLACK = 5, 1e-4, 1e-6
STEP_LEAST, STEP_MOST = 1e-3, 1e3
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Rows:
    """What is foretold and from what.

    Attributes:
        past: [n, K m + 1] x_i(t-k), and a column of ones for the biases.
        now: [n, m].
    """

    past: Tensor
    now: Tensor

    def part(self, rows: slice) -> Rows:
        """Some of the rows."""
        return Rows(self.past[rows], self.now[rows])


@dataclass(frozen=True, eq=False)
class Fitted:
    """What `fit` found.

    Attributes:
        size: [K, m, m] norm over the hidden units of the weights of i at lag k in the network of j; exactly 0 where closed.
        penalty: [m] the lambda of every target.
    """

    size: FloatArray
    penalty: FloatArray


@dataclass(frozen=True, eq=False)
class Path:
    """Networks along rising penalties.

    Attributes:
        penalty: [L] ascending.
        weights: [L, K m + 2, m, H].
        error: [L, n', m] squared errors in the rows held out.
    """

    penalty: Tensor
    weights: Tensor
    error: Tensor

    def chosen(self) -> Tensor:
        """[m] place on the path by the one-standard-error rule, each target for itself.

        Formula:
            the largest lambda with E(lambda) <= min E + sd / sqrt(n'), E the mean error over the rows held out, sd the
            standard deviation of the errors of the best

        Source: Breiman, Friedman, Olshen and Stone 1984, "Classification and regression trees", section 3.4.3.

        Example:
            >>> error = torch.tensor([[1.0, 2.0], [0.9, 2.1], [5.0, 5.0]])[:, :, None]
            >>> Path(torch.tensor([0.1, 0.2, 0.4]), torch.zeros(3, 3, 1, 1), error).chosen().tolist()
            [1]
        """
        mean = self.error.mean(dim=1)
        least, best = mean.min(dim=0)
        errors = self.error[best, :, torch.arange(len(best))]
        margin = errors.std(dim=1, correction=0) / errors.shape[1] ** 0.5
        place = torch.arange(len(mean))[:, None]
        return torch.where(mean <= least + margin, place, -1).amax(dim=0)


def fit(past: FloatArray, now: FloatArray, draw: torch.Generator) -> Fitted:
    """Path of penalties without the last fifth of the rows, choice of one for every target, last fit to all rows.

    Args:
        past: [n, K m] standardised; column (k-1) m + i is x_i(t-k).
        now: [n, m] standardised.
        draw: start of the weights.
    """
    ones = torch.ones(len(past), 1)
    rows = Rows(torch.cat([torch.from_numpy(past).float(), ones], dim=1), torch.from_numpy(now).float())
    width, sensors = past.shape[1], now.shape[1]
    cut = round((1 - HELD_OUT) * len(now))
    path = rising_path(start(width, sensors, draw), rows.part(slice(0, cut)), rows.part(slice(cut, None)))
    place = path.chosen()
    weights = path.weights[place, :, torch.arange(sensors)].transpose(0, 1)
    weights, _ = descend(weights, rows, path.penalty[place], LAST_STEPS)
    return Fitted(groups(weights).norm(dim=-1).double().numpy(), path.penalty[place].double().numpy())


def start(width: int, sensors: int, draw: torch.Generator) -> Tensor:
    """[K m + 2, m, H] random networks: hidden sums and outputs of about unit size for standardised inputs."""
    weights = torch.randn(width + 2, sensors, HIDDEN, generator=draw)
    weights[:width] /= width**0.5
    weights[-1] /= HIDDEN**0.5
    return weights


def groups(weights: Tensor) -> Tensor:
    """W as [K, i, j, H], a view."""
    sensors, hidden = weights.shape[1:]
    return weights[:-2].view(-1, sensors, sensors, hidden)


def rising_path(weights: Tensor, train: Rows, held: Rows) -> Path:
    """Networks for penalties from `LEAST_PENALTY` up to where every group is zero, each started at the one before."""
    penalties, found, errors = [], [], []
    step = torch.ones(weights.shape[1])
    for raised in range(MOST_RAISES):
        penalties.append(LEAST_PENALTY * RAISE**raised)
        weights, step = descend(weights, train, torch.full_like(step, penalties[-1]), STEPS, step)
        found.append(weights)
        errors.append(_errors(weights, train, held))
        if not groups(weights).any():
            break
    return Path(torch.tensor(penalties), torch.stack(found), torch.stack(errors))


def smooth(weights: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """The part of the objective that has a gradient, and its gradient.

    Formula:
        |x_j - f_j - mean(x_j - f_j)|^2 / 2n + ridge |v_j|^2 / 2

    Args:
        weights: [K m + 2, m, H].
        rows: n of them.

    Returns:
        [m] value of every target; gradient [K m + 2, m, H].
    """
    out, hidden = weights[-1], _hidden(weights, rows)
    error = (hidden * out).sum(dim=-1) - rows.now
    error = error - error.mean(dim=0)
    value = 0.5 * error.square().mean(dim=0) + 0.5 * RIDGE * out.square().sum(dim=1)
    pull = error / len(error)
    back = (1 - hidden.square()) * pull[:, :, None] * out
    inner = (rows.past.T @ back.flatten(1)).view_as(weights[:-1])
    outer = torch.einsum("nm,nmh->mh", pull, hidden) + RIDGE * out
    return value, torch.cat([inner, outer[None]])


def openness(weights: Tensor) -> Tensor:
    """[m] what the penalty multiplies: sum_i (a |W_.ij.| + (1-a) sum_k |W_kij.|).

    Source: Tank et al. 2021, "Neural Granger causality", eq. 10, the mixed penalty.

    Example:
        >>> weights = torch.tensor([3.0, 4.0, 0.0, 0.0]).view(4, 1, 1)  # one sensor, two lags, one hidden unit
        >>> round(openness(weights).item(), 4) == round(SHARE * 5 + (1 - SHARE) * 7, 4)
        True
    """
    square = groups(weights).square().sum(dim=-1)
    return SHARE * square.sum(dim=0).sqrt().sum(dim=0) + (1 - SHARE) * square.sqrt().sum(dim=(0, 1))


def shrink(weights: Tensor, threshold: Tensor) -> Tensor:
    """The proximal step: arg min_U |U - W|^2 / 2 + threshold_j openness(U)_j; biases and output weights stay.

    Formula:
        U_kij = W_kij max(0, 1 - (1-a) threshold / |W_kij|),  then  U_.ij = U_.ij max(0, 1 - a threshold / |U_.ij|)

    Inner groups first, then the groups around them: groups within groups allow no other order.

    Source: Jenatton, Mairal, Obozinski and Bach 2011, "Proximal methods for hierarchical sparse coding", JMLR, theorem 1.

    Example:
        >>> weights = torch.tensor([2.0, 0.5, 7.0, 7.0]).view(4, 1, 1)
        >>> [round(v, 3) for v in shrink(weights, torch.tensor([1.0])).flatten().tolist()]
        [1.0, 0.0, 7.0, 7.0]
    """
    inner = _toward_zero(groups(weights), (1 - SHARE) * threshold, (-1,))
    outer = _toward_zero(inner, SHARE * threshold, (0, -1))
    return torch.cat([outer.view_as(weights[:-2]), weights[-2:]])


def descend(weights: Tensor, rows: Rows, penalty: Tensor, steps: int, step: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Proximal gradient descent, every target with its own length of step (GISTA).

    A step is taken where the objective is below the highest of the last `MEMORY` by DECREASE / (2 step) |change|^2; elsewhere
    it is tried again with half the length. The next length is |change|^2 / (change . change of the gradient), after Barzilai
    and Borwein.

    Args:
        weights: [K m + 2, m, H] where it starts.
        rows: what is fitted.
        penalty: [m] lambda.
        steps: most of them.
        step: [m] first length of step; 1 where absent.

    Returns:
        weights, and the length of step reached [m].

    Source: Gong, Zhang, Lu, Huang and Ye 2013, "A general iterative shrinkage and thresholding algorithm for non-convex
    regularized optimization problems", ICML, algorithm 1.
    """
    step = torch.ones_like(penalty) if step is None else step
    value, gradient = smooth(weights, rows)
    trail = [value + penalty * openness(weights)]
    for _ in range(steps):
        tried = shrink(weights - step[:, None] * gradient, step * penalty)
        value, slope = smooth(tried, rows)
        objective = value + penalty * openness(tried)
        change = tried - weights
        moved = change.square().sum(dim=(0, 2))
        bar = torch.stack(trail[-MEMORY:]).amax(dim=0)
        taken = objective <= bar * (1 + SLACK) - DECREASE / (2 * step) * moved
        bend = (change * (slope - gradient)).sum(dim=(0, 2))
        longer = torch.where(bend > 0, moved / bend.clamp_min(TINY), 2 * step).clamp(STEP_LEAST, STEP_MOST)
        step = torch.where(taken, torch.where(moved > 0, longer, step), 0.5 * step)
        weights, gradient = (torch.where(taken[:, None], new, old) for new, old in ((tried, weights), (slope, gradient)))
        trail.append(torch.where(taken, objective, trail[-1]))
        if len(trail) > LOOK and (trail[-1 - LOOK] - trail[-1]).max() < GAIN:
            break
    return weights, step


def _hidden(weights: Tensor, rows: Rows) -> Tensor:
    """[n, m, H] the hidden units."""
    return torch.tanh(rows.past @ weights[:-1].flatten(1)).view(-1, *weights.shape[1:])


def _errors(weights: Tensor, train: Rows, held: Rows) -> Tensor:
    """[n', m] squared errors of the rows held out, the offset from the others."""
    left = [part.now - (_hidden(weights, part) * weights[-1]).sum(dim=-1) for part in (train, held)]
    return (left[1] - left[0].mean(dim=0)).square()


def _toward_zero(weights: Tensor, threshold: Tensor, dim: tuple[int, ...]) -> Tensor:
    """Groups [K, i, j, H] over `dim`, each shorter by the threshold of its target j, or zero."""
    length = weights.square().sum(dim=dim, keepdim=True).sqrt()
    return weights * (1 - threshold[:, None] / length.clamp_min(TINY)).clamp_min(0)
