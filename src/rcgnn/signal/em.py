"""EM for the joint state space: shrunken autoregression, full process noise, fixed measurement noise.

The measurement noise is not learnt (learning it overfits: it drinks the signal of weakly driven sensors); it comes
from the quality report. Coefficients are shrunk by automatic relevance (Neal 1996; Tipping 2001): each coefficient has
its own prior variance, re-estimated from the fit, so that absent links fall to zero and present ones stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rcgnn.health import Progress, silent
from rcgnn.series import BoolArray, FloatArray
from rcgnn.signal.interpolate import interpolate
from rcgnn.signal.selection import Hidden, begin, completed, renewed
from rcgnn.signal.statespace import LinearModel, Posterior, Readings, Selection, smooth

FIRST_TAU = 0.1
LEAST_TAU = 1e-5
JITTER = 1e-3
LEAST_PROCESS_NOISE = 5e-3
LARGEST_RADIUS = 0.995
WIDE_GATE, NARROW_GATE, NARROW_FROM = 6.0, 4.0, 4
SELECTION_FROM, DOUBT_AFTER = 1, 4
"""First a round in which the missing cells say nothing: whether missing depends on the signal is judged on it. A threshold that is not
believed after a few rounds is not believed later: nothing is gained by the others."""

Support = Callable[[FloatArray, FloatArray], BoolArray]
"""(moment [D, D], rows that count [N]) -> [N, N L] True where a coefficient may differ from zero."""


@dataclass(frozen=True, eq=False)
class Blind:
    """Where the rounds stood when missing cells had not yet said anything: the same whichever cells are under suspicion.

    Attributes:
        model: after these rounds.
        tau: prior variance of every coefficient.
        posterior: of the last of them.
    """

    model: LinearModel
    tau: FloatArray
    posterior: Posterior


@dataclass(frozen=True, eq=False)
class Learnt:
    """The fitted model.

    Attributes:
        model: its parameters.
        moment: [D, D] what the readings said about the signal under the last dense model, see `Posterior.moment`.
        blind: for another look at the same readings with other suspects; None where there were none, or too few rounds.
    """

    model: LinearModel
    moment: FloatArray
    blind: Blind | None


def fit(  # noqa: PLR0913 - what it works on, then how it reports
    readings: Readings,
    noise: FloatArray,
    *,
    lags: int = 3,
    iterations: int = 8,
    support: Support | None = None,
    progress: Progress = silent,
    enough: Callable[[], bool] = lambda: False,
    doubt: Callable[[Selection], bool] = lambda _: False,
    blind: Blind | None = None,
) -> Learnt:
    """Parameters of the state space by EM from linear interpolation.

    The M-step for target j, with S the smoothed second moments of the past z and n_j observed readings:

        A_j = (S_zz + diag(q_j / (n_j tau_j)) + JITTER diag S_zz)^-1 S_zx,     tau_j <- mean over lags of A^2 + q_j C

    Where cells are under suspicion, every round from the second on also learns how readings vanish (`selection`).

    Args:
        readings: the data.
        noise: [N] measurement-noise variance of each sensor, in scaled units.
        lags: L, order of the autoregression.
        iterations: of EM.
        support: chooses the coefficients that may differ from zero after the last dense iteration; then one more
            iteration pair refits them alone. A dense autoregression confirms its own links in the draws it makes
            (F1 .86 -> .26); a sparse one does not.
        progress: told of every iteration.
        enough: asked after every iteration but the last; True ends them, as where time is short.
        doubt: asked once, after `DOUBT_AFTER` iterations, of what was learnt about how readings vanish; True ends everything.
        blind: of an earlier fit to these readings, whose first rounds need not be gone through again.

    Returns:
        The fitted model; its spectral radius is at most .995, and `selection` is None where no cell is under suspicion.
    """
    observed = readings.mask.sum(axis=0).astype(float)
    hidden = begin(readings)
    if blind is None:
        moment = _first_moment(readings, lags)
        model, tau = _maximise(moment, np.full((len(noise), len(noise) * lags), FIRST_TAU), observed, noise)
    else:
        model, tau, moment = blind.model, blind.tau, blind.posterior.moment
        hidden = renewed(readings, hidden, blind.posterior)
    for iteration in range(0 if blind is None else SELECTION_FROM + 1, iterations):
        gate = WIDE_GATE if iteration < NARROW_FROM else NARROW_GATE
        posterior = _expect(model, readings, hidden, gate)
        moment = posterior.moment
        model, tau = _maximise(moment, tau, observed, noise)
        if iteration == SELECTION_FROM and hidden is not None:
            blind = Blind(model, tau, posterior)
        if iteration >= SELECTION_FROM:
            hidden = renewed(readings, hidden, posterior)
        progress("smooth", {"done": iteration + 1, "total": iterations + 2})
        if iteration + 1 == DOUBT_AFTER and hidden is not None and doubt(hidden.selection):
            return Learnt(replace(model, selection=hidden.selection), moment, blind)
        if iteration + 1 < iterations and enough():
            break
    for extra in range(2):
        if support is None:
            break
        posterior = _expect(model, readings, hidden, NARROW_GATE)
        model = _restricted(posterior.moment, support(posterior.moment, observed), noise)
        hidden = renewed(readings, hidden, posterior)
        progress("smooth", {"done": iterations + extra + 1, "total": iterations + 2})
    return Learnt(model if hidden is None else replace(model, selection=hidden.selection), moment, blind)


def _expect(model: LinearModel, readings: Readings, hidden: Hidden | None, gate: float) -> Posterior:
    return smooth(model, completed(readings, hidden), gate=gate)


def _first_moment(readings: Readings, lags: int) -> FloatArray:
    sensors = readings.values.shape[1]
    filled = interpolate(readings.values, readings.mask, readings.segments)
    total, count = np.zeros((sensors * (lags + 1),) * 2), 0
    for part in readings.segments:
        run = filled[part]
        rows = len(run) - lags
        if rows > 0:
            stacked = np.concatenate([run[lags - k : lags - k + rows] for k in range(lags + 1)], axis=1)
            total += stacked.T @ stacked
            count += rows
    return total / max(count, 1)


def _maximise(moment: FloatArray, tau: FloatArray, observed: FloatArray, noise: FloatArray) -> tuple[LinearModel, FloatArray]:
    sensors = len(noise)
    lags = tau.shape[1] // sensors
    past, cross = moment[sensors:, sensors:], moment[sensors:, :sensors]
    jitter = JITTER * np.diag(past)
    unexplained = np.maximum(np.diag(moment)[:sensors] * 0.5, LEAST_PROCESS_NOISE)
    A, spread = np.zeros((sensors, sensors * lags)), np.zeros((sensors, sensors * lags))
    for j in range(sensors):
        count = max(observed[j], 1.0)
        for _ in range(2):
            precision = past + np.diag(unexplained[j] / (count * tau[j]) + jitter)
            inverse = np.linalg.inv(precision)
            A[j] = inverse @ cross[:, j]
            residual = moment[j, j] - 2 * A[j] @ cross[:, j] + A[j] @ past @ A[j]
            unexplained[j] = max(residual, LEAST_PROCESS_NOISE)
        spread[j] = unexplained[j] * np.diag(inverse) / count
    power = (A**2 + spread).reshape(sensors, lags, sensors).mean(axis=1)
    return _with_noise(A, moment, noise), np.maximum(np.tile(power, (1, lags)), LEAST_TAU)


def _restricted(moment: FloatArray, support: BoolArray, noise: FloatArray) -> LinearModel:
    sensors = len(noise)
    past, cross = moment[sensors:, sensors:], moment[sensors:, :sensors]
    A = np.zeros(support.shape)
    for j in range(sensors):
        keep = np.flatnonzero(support[j])
        block = past[np.ix_(keep, keep)]
        A[j, keep] = np.linalg.solve(block + JITTER * np.diag(np.diag(block)) + 1e-9 * np.eye(len(keep)), cross[keep, j])
    return _with_noise(A, moment, noise)


def _with_noise(A: FloatArray, moment: FloatArray, noise: FloatArray) -> LinearModel:
    sensors = len(noise)
    A = _stable(A)
    past, cross = moment[sensors:, sensors:], moment[sensors:, :sensors]
    Q = moment[:sensors, :sensors] - A @ cross - cross.T @ A.T + A @ past @ A.T
    values, vectors = np.linalg.eigh(0.5 * (Q + Q.T))
    return LinearModel(A, (vectors * np.maximum(values, LEAST_PROCESS_NOISE)) @ vectors.T, noise)


def _stable(A: FloatArray) -> FloatArray:
    """Coefficients of lag l scaled by c^l, which scales every eigenvalue of the companion matrix by c."""
    sensors, width = A.shape
    companion = np.eye(width, k=-sensors)
    companion[:sensors] = A
    radius = float(np.abs(np.linalg.eigvals(companion)).max())
    if radius <= LARGEST_RADIUS:
        return A
    factor = LARGEST_RADIUS / radius
    return A * np.repeat(factor ** np.arange(1, width // sensors + 1), sensors)
