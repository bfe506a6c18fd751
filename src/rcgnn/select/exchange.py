"""Could one hidden signal, read by two sensors within the same row, stand behind a same-step link?

Where x(t) = s(t) + noise and y(t) = s(t) / c + other noise, both noises white, nothing tells x from y, whatever s is. Two things follow.

*Symmetry.* cov(x(t), y(t - k)) = cov(y(t), x(t - k)) at every k: the cross-spectrum is real. With I(w) the cross-periodogram,

    d_k = sum over w of sin(k w) Im I(w),   k = 1..6,        W = d' V^-1 d,   V_kl = sum of sin(k w) sin(l w) Im I(w)^2

is about chi-square with 6 degrees of freedom: terms of different frequencies are nearly independent, and each stands for its own variance.
A cause with a memory of its own breaks the symmetry.

*White difference.* Where x and y have a memory, z = x - c y holds the two noises alone, c^2 = cov(x(t), x(t - 1)) / cov(y(t), y(t - 1)): it
is white. Where an end has moves of its own, which the other does not know, z remembers them.

Where neither is rejected the direction is open. Without measurement noise the question does not arise: a sensor that is read without error
is its own cause. So it is asked where one end looks noisy, and of the readings as they came: draws of the state space follow a model that
has already chosen a side.

Sources: Brillinger 1981, "Time Series", theorem 7.2.1 (cross-periodograms); Efron 1969 (self-normalised sums).
"""

from __future__ import annotations

import numpy as np

from rcgnn.data.marks import segment_number
from rcgnn.data.process_rules import LEAST_PAIRS, NOISE, block_means, centred, noise_share
from rcgnn.mapped import in_turn
from rcgnn.screen.rowwise import slow_waves
from rcgnn.screen.score import log_chi2_tail
from rcgnn.screen.structural import Screened
from rcgnn.series import BoolArray, FloatArray, IntArray, Series
from rcgnn.signal.interpolate import interpolate

LAGS = 6
LEVEL = 0.05
"""A symmetry that is rejected less clearly than this may be there."""
REMEMBERED = 2.33
"""Standard errors of a difference's autocorrelation above which it is not white: once in a hundred tables by chance."""


def exchangeable(screened: Screened, scaled: Series) -> BoolArray:
    """[N, N] True, both ways, for pairs with a same-step link that one hidden signal explains as well.

    Args:
        screened: the screen.
        scaled: the readings behind it.
    """
    alike = np.zeros((len(screened.features),) * 2, bool)
    links = np.argwhere(screened.evidence.chosen[0])
    if not links.size:
        return alike
    number = segment_number(scaled)
    shares = {j: noise_share(scaled.values[:, [j]], number, clear=-np.inf)[0] for j in in_turn(np.unique(links).tolist(), scaled.values)}
    for i, j in in_turn(links.tolist(), scaled.values, scaled.mask):
        if max(shares[i], shares[j]) > NOISE:
            alike[i, j] = alike[j, i] = _as_well(scaled.sensors([i, j]), number)
    return alike


def _as_well(pair: Series, segment: IntArray) -> bool:
    own = memory(pair.values, segment)
    white = own is not None and own <= REMEMBERED
    return white and asymmetry(*interpolate(pair.values, pair.mask, pair.segments()).T) >= np.log(LEVEL)


def asymmetry(x: FloatArray, y: FloatArray) -> float:
    """Natural log of the p-value of W for two sensors [T], slow waves taken off; 0 where there are too few rows.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> s = np.convolve(rng.standard_normal(1002), [1.0, 0.8, 0.6], "valid")
        >>> x, y, late = s + rng.standard_normal(1000), s + rng.standard_normal(1000), np.roll(s, 1)
        >>> asymmetry(x, y) > -3 > -20 > asymmetry(x, late)
        True
    """
    rows = len(x)
    if rows < 8 * LAGS:
        return 0.0
    waves = slow_waves((np.arange(rows) + 0.5) / rows)
    pair = np.stack([x, y], axis=1)
    left = pair - waves @ np.linalg.lstsq(waves, pair, rcond=None)[0]
    left = left / np.maximum(left.std(axis=0), np.finfo(float).tiny)
    one, other = np.fft.rfft(left, axis=0).T
    turns = np.outer(np.arange(1, LAGS + 1), 2.0 * np.pi * np.arange(len(one)) / rows)
    g = np.sin(turns) * (one * np.conj(other)).imag / rows
    d = g.sum(axis=1)
    return float(log_chi2_tail(np.array([d @ np.linalg.pinv(g @ g.T, hermitian=True) @ d]), np.array([LAGS]))[0])


def memory(pair: FloatArray, segment: IntArray) -> float | None:
    """Autocovariance of z = x - c y at lag 1, in standard errors: sum z(t) z(t-1) / sqrt(sum z(t)^2 z(t-1)^2).

    None where either sensor has no clear memory itself: a signal without one cannot be told from noise, and only the shape of the noise
    tells a direction. 0 where hardly any rows in which both were read follow each other.

    Args:
        pair: readings [T, 2], NaN where not observed.
        segment: [T] segment of each row.
    """
    joint = np.where(np.isfinite(pair).all(axis=1, keepdims=True), pair, np.nan)
    x = centred(joint, block_means(joint)[0])
    follow = np.isfinite(x[1:]).all(axis=1) & np.isfinite(x[:-1]).all(axis=1) & (segment[1:] == segment[:-1])
    now, past = x[1:][follow], x[:-1][follow]
    own, cross = (now * past).sum(axis=0), (now * past[:, ::-1]).sum()
    if len(now) < LEAST_PAIRS:
        return 0.0
    if (own <= REMEMBERED * np.sqrt(((now * past) ** 2).sum(axis=0))).any():
        return None
    c = np.array([1.0, -np.sign(cross) * np.sqrt(own[0] / own[1])])
    product = (now @ c) * (past @ c)
    return float(product.sum() / max(np.sqrt((product**2).sum()), np.finfo(float).tiny))
