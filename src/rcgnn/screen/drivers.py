"""Paths of hidden drivers: a linear dynamic factor model of what the sensors' own past leaves unexplained.

    x(t) = sum_l A_l x(t-l) + L f(t) + u(t),    f(t) = M f(t-1) + w(t),    cov f = I,    cov u = diag(psi)

by EM (Shumway & Stoffer 1982; Forni et al. 2000) with the coefficients A shrunk by automatic relevance as in `signal.em` and
a steady-state smoother. The screen gets draws of f from its posterior, so that it knows how unsure they are.
Assumes drivers that act linearly, within the step, with a memory of one step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rcgnn.screen.features import Offer, Tables, linear_columns, rows_of
from rcgnn.screen.hidden import LEAST_UNIQUE, factors
from rcgnn.series import BoolArray, FloatArray

EM_STEPS = 20
LARGEST_RADIUS = 0.98
FIRST_MEMORY = 0.8
FIRST_TAU, LEAST_TAU = 1e-2, 1e-6
MOST_ROWS = 20_000
"""EM sees at most this many rows; the paths are inferred on all."""
RICCATI_STEPS = 500
TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Drivers:
    """Hidden drivers of one table.

    Attributes:
        paths: for each draw of the tables [rows, k], a draw of the drivers, unit variance.
        loadings: [N, k] effect of each driver on each sensor within the step, in sd of the sensor.
        reach: [N] share of each sensor's innovation that the drivers explain.
        margin: BIC by which they beat same-step links.
    """

    paths: list[FloatArray]
    loadings: FloatArray
    reach: FloatArray
    margin: float

    @property
    def count(self) -> int:
        """K."""
        return self.loadings.shape[1]


@dataclass(frozen=True, eq=False)
class _Model:
    """x(t) = A z(t) + L f(t) + u, f(t) = M f(t-1) + w: coefficients [N, N K], loadings [N, k], unique variances [N], memory [k, k]."""

    coefficients: FloatArray
    loadings: FloatArray
    unique: FloatArray
    memory: FloatArray


@dataclass(frozen=True, eq=False)
class _Paths:
    """Posterior of the drivers: mean [T, k], covariance [k, k] and that of f(t+1), f(t); `sample` draws a path."""

    mean: FloatArray
    cov: FloatArray
    lag_cov: FloatArray
    filtered: FloatArray
    gain: FloatArray
    left: FloatArray
    joined: BoolArray
    memory: FloatArray

    def sample(self, rng: np.random.Generator) -> FloatArray:
        """Forward filtering, backward sampling (Carter & Kohn 1994)."""
        count = len(self.cov)
        noise = rng.standard_normal((len(self.mean), count)) @ _root(self.left).T
        path = np.empty_like(self.mean)
        path[-1] = self.filtered[-1] + noise[-1]
        for t in range(len(path) - 2, -1, -1):
            ahead = self.gain @ (path[t + 1] - self.memory @ self.filtered[t]) if self.joined[t + 1] else 0.0
            path[t] = self.filtered[t] + ahead + noise[t]
        return path


def infer(tables: Tables, count: int, margin: float, rng: np.random.Generator) -> Drivers:
    """The drivers of a table.

    Args:
        tables: features; their plain values are what the drivers drive.
        count: k.
        margin: by which drivers won over same-step links; kept for the record.
        rng: for the draws of the paths.
    """
    sensors = tables.sensors
    values = rows_of(tables, np.ones(len(tables.at), bool), Offer(columns=linear_columns(tables)))
    values = [one - one.mean(axis=0) for one in values]
    joined = np.concatenate([[False], np.diff(tables.time) == 1])
    some = slice(0, MOST_ROWS)
    model = _learn(values[0][some, :sensors], values[0][some, sensors:], joined[some], count)
    drawn = [_infer(model, one[:, :sensors] - one[:, sensors:] @ model.coefficients.T, joined).sample(rng) for one in values]
    common = (model.loadings**2).sum(axis=1)
    return Drivers(drawn, model.loadings, common / (common + model.unique), margin)


def _learn(x: FloatArray, past: FloatArray, joined: BoolArray, count: int) -> _Model:
    """EM from the sensors' own memory and the factors of what it leaves."""
    sensors = x.shape[1]
    own = [np.arange(j, past.shape[1], sensors) for j in range(sensors)]
    coefficients = np.zeros((sensors, past.shape[1]))
    for j, mine in enumerate(own):
        coefficients[j, mine] = np.linalg.lstsq(past[:, mine], x[:, j], rcond=None)[0]
    innovation = x - past @ coefficients.T
    scale = np.maximum(innovation.std(axis=0), TINY)
    loadings, unique, _ = factors(np.corrcoef(innovation / scale, rowvar=False), count)
    model = _Model(coefficients, loadings * scale[:, None], unique * scale**2, FIRST_MEMORY * np.eye(count))
    tau = np.full((sensors, sensors), FIRST_TAU)
    second = past.T @ past
    for _ in range(EM_STEPS):
        posterior = _infer(model, x - past @ model.coefficients.T, joined)
        model, tau = _maximise(model, posterior, (x, past, second), tau)
    return model


def _infer(model: _Model, innovation: FloatArray, joined: BoolArray) -> _Paths:
    """Steady-state Kalman filter and smoother of the drivers; a gap in time starts them anew."""
    count = len(model.memory)
    weight = model.loadings / model.unique[:, None]
    precision = model.loadings.T @ weight
    drive = _positive(np.eye(count) - model.memory @ model.memory.T)
    ahead, cov = _steady(model.memory, drive, precision)
    step = (np.eye(count) - cov @ precision) @ model.memory
    pull = innovation @ weight @ cov
    filtered = np.empty_like(pull)
    before = np.zeros(count)
    for t, here in enumerate(pull):
        before = step @ before + here if joined[t] else here
        filtered[t] = before
    gain = cov @ model.memory.T @ np.linalg.inv(ahead)
    mean = filtered.copy()
    for t in range(len(mean) - 2, -1, -1):
        if joined[t + 1]:
            mean[t] += gain @ (mean[t + 1] - model.memory @ filtered[t])
    smoothed = cov
    for _ in range(RICCATI_STEPS):
        smoothed, last = cov + gain @ (smoothed - ahead) @ gain.T, smoothed
        if np.abs(smoothed - last).max() < TINY:
            break
    return _Paths(mean, smoothed, smoothed @ gain.T, filtered, gain, cov - gain @ ahead @ gain.T, joined, model.memory)


def _steady(memory: FloatArray, drive: FloatArray, precision: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Predicted and filtered covariance of the drivers, by iterating the Riccati equation."""
    cov = np.eye(len(memory))
    ahead = cov
    for _ in range(RICCATI_STEPS):
        ahead = memory @ cov @ memory.T + drive
        now = np.linalg.inv(np.linalg.inv(ahead) + precision)
        still = bool(np.abs(now - cov).max() < TINY)
        cov = 0.5 * (now + now.T)
        if still:
            break
    return ahead, cov


def _maximise(
    model: _Model, posterior: _Paths, data: tuple[FloatArray, FloatArray, FloatArray], tau: FloatArray
) -> tuple[_Model, FloatArray]:
    """New coefficients, loadings, unique variances and memory; cov f = I by scaling."""
    x, past, second = data
    f, (rows, sensors), count = posterior.mean, x.shape, len(model.memory)
    max_lag = past.shape[1] // sensors
    power = f.T @ f + rows * posterior.cov
    pairs = posterior.joined[1:]
    crossed = f[1:][pairs].T @ f[:-1][pairs] + pairs.sum() * posterior.lag_cov
    memory = crossed @ np.linalg.inv(power)
    memory *= min(1.0, LARGEST_RADIUS / float(np.abs(np.linalg.eigvals(memory)).max()))
    moment = np.block([[second, past.T @ f], [f.T @ past, power]])
    own = np.arange(sensors)
    coefficients, loadings, unique = np.zeros_like(model.coefficients), np.zeros_like(model.loadings), np.zeros(sensors)
    relevance = np.zeros_like(tau)
    for j in range(sensors):
        shrink = np.tile(model.unique[j] / tau[:, j], max_lag)
        shrink[np.tile(own == j, max_lag)] = LEAST_TAU
        inverse = np.linalg.inv(moment + np.diag(np.append(shrink, np.full(count, LEAST_TAU))))
        cross = np.concatenate([past.T @ x[:, j], f.T @ x[:, j]])
        b = inverse @ cross
        coefficients[j], loadings[j] = b[:-count], b[-count:]
        unique[j] = max((x[:, j] @ x[:, j] - b @ cross) / rows, LEAST_UNIQUE * x[:, j].var(), TINY)
        spread = unique[j] * np.diag(inverse)[:-count]
        relevance[:, j] = (coefficients[j] ** 2 + spread).reshape(max_lag, sensors).mean(axis=0)
    size = np.sqrt(np.diag(power) / rows)
    return _Model(coefficients, loadings * size, unique, memory / size[:, None] * size), np.maximum(relevance, LEAST_TAU)


def _positive(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return np.asarray((vectors * np.maximum(values, LEAST_UNIQUE)) @ vectors.T)


def _root(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
