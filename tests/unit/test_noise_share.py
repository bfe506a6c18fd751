"""White measurement noise is told from a memory that merely looks like it: short tables, bursts, gaps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from rcgnn.data.process_rules import NOISE, noise_share

SENSORS = 400


def memory(rows, share, seed=0):
    return lfilter([1.0], [1.0, -share], np.random.default_rng(seed).standard_normal((rows + 100, SENSORS)), axis=0)[100:]


def bursts(rows):
    rng = np.random.default_rng(1)
    return np.exp(lfilter([0.3], [1.0, -0.95], rng.standard_normal((rows, SENSORS)), axis=0)) * rng.standard_normal((rows, SENSORS))


def found(x, **how):
    return float((noise_share(x, np.zeros(len(x), np.int64), **how) > NOISE).mean())


@pytest.mark.parametrize(("x", "most"), [(memory(200, 0.5), 0.02), (bursts(500), 0.07)], ids=["memory", "bursts"])
def test_sensors_without_noise_rarely_look_noisy(x, most):
    """Where nobody asks whether the noise is clear, .08 of those with a memory do, and .14 of those with bursts."""
    assert found(x) <= most
    assert found(x, clear=-np.inf) > most


@pytest.mark.parametrize(("rows", "least"), [(1500, 0.9), (500, 0.5)])
def test_noise_is_found_all_the_same(rows, least):
    x = memory(rows, 0.8)
    noisy = x + 0.6 * x.std(axis=0) * np.random.default_rng(2).standard_normal(x.shape)
    assert found(noisy) >= least


def test_every_estimate_is_the_formula():
    x = memory(800, 0.7)[:, :3] + np.random.default_rng(3).standard_normal((800, 3))
    centred = x - np.repeat(x.reshape(10, 80, 3).mean(axis=1), 80, axis=0)
    gamma = [(centred[k:] * centred[: 800 - k]).mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(noise_share(x, np.zeros(800, np.int64), clear=-np.inf), 1 - gamma[1] ** 2 / (gamma[2] * gamma[0]))


def test_rows_of_another_segment_say_nothing_of_noise():
    """Every second row from another recording: no three rows follow each other."""
    x = memory(300, 0.8)
    assert (noise_share(x, np.arange(300) // 2) == 0).all()
