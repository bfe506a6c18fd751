"""Rules about the process behind the readings: gaps, drift, unit roots, noise, gain, what sensors share.

Shapes: x [T, N] with NaN where not observed (suspect cells already taken out); segment [T] numbers the segment of each row.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from rcgnn.data.quality_rules import MAD_TO_SD, nan_median
from rcgnn.mapped import in_turn
from rcgnn.series import BoolArray, FloatArray, IntArray, slabs

Missing = Literal["none", "mcar", "blocks", "mnar"]

BLOCKS = 10
ORDER = 3
LEAST_PAIRS = 30
RIDGE = 1e-3
"""White noise assumed in autoregressions, as a share of the variance: keeps smooth signals with gaps solvable."""
BARTLETT = 10
GAP_RATIO = 5.0
MNAR_Z = 3.0
DRIFT = 7.0
NOISE = 0.12
CLEAR_NOISE = 1.64
"""Standard errors that what tells noise from memory must have: short tables of sensors without any look noisy otherwise."""
GAIN_SD = 0.3
UNIT_ROOT_T = -2.57
"""10 % point of the Dickey-Fuller distribution with a constant (Fuller 1976): 90 % of random walks lie above it."""
COMMON = 0.15
COMMON_LEAST = 5
ALIAS = 0.999


def block_number(rows: int) -> IntArray:
    """[T] block of each row, ten equal blocks."""
    return np.arange(rows) * BLOCKS // max(rows, 1)


def block_means(x: FloatArray) -> tuple[FloatArray, IntArray]:
    """[BLOCKS, N] mean of the observed cells of each block (NaN when empty), and their number."""
    block = block_number(len(x))
    seen = np.isfinite(x)
    total, count = np.zeros((BLOCKS, x.shape[1])), np.zeros((BLOCKS, x.shape[1]), np.int64)
    present, start = np.unique(block, return_index=True)
    total[present] = np.add.reduceat(np.where(seen, x, 0.0), start, axis=0)
    count[present] = np.add.reduceat(seen.astype(np.int64), start, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def centred(x: FloatArray, means: FloatArray) -> FloatArray:
    """Readings [T, N] less the mean of their block [BLOCKS, N], so that drift does not hide what is quick; a sensor's side by side."""
    return np.subtract(x, means[block_number(len(x))], order="F")


def autocovariance(x: FloatArray, segment: IntArray, lags: int) -> tuple[FloatArray, IntArray]:
    """[lags + 1, N] covariance of x(t) and x(t + k) over observed pairs of one segment, x centred; and the number of pairs."""
    seen = np.isfinite(x)
    filled = np.where(seen, x, 0.0)
    complete = bool(segment[0] == segment[-1] and seen.all())
    gamma, pairs = np.zeros((lags + 1, x.shape[1])), np.zeros((lags + 1, x.shape[1]), np.int64)
    for k in range(min(lags, len(x) - 1) + 1):
        product = filled[k:] * filled[: len(x) - k]
        if complete:
            pairs[k] = len(product)
        else:
            same = (segment[k:] == segment[: len(x) - k])[:, None]
            pairs[k] = (seen[k:] & seen[: len(x) - k] & same).sum(axis=0)
            product *= same
        gamma[k] = product.sum(axis=0) / np.maximum(pairs[k], 1)
    return gamma, pairs


def autoregression(gamma: FloatArray) -> FloatArray:
    """[ORDER, N] Yule-Walker coefficients from autocovariances [ORDER + 1, N]."""
    toeplitz = np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))
    matrix = np.moveaxis(gamma[toeplitz], -1, 0) + RIDGE * np.maximum(gamma[0], 1e-12)[:, None, None] * np.eye(ORDER)
    return np.asarray(np.linalg.solve(matrix, gamma[1 : ORDER + 1].T[:, :, None])[:, :, 0].T)


def drift_score(x: FloatArray, segment: IntArray) -> FloatArray:
    """[N] variance of ten block means / what the long-run variance inside the blocks explains.

    `var(m_b) / mean_b(V / B + gamma0 (1 / n_b - 1 / B))`, V the larger of s2 / (1 - sum phi)^2 of an AR(3) and a Bartlett sum of ten
    lags, both on block-centred readings (the AR alone fails on smooth signals with gaps).
    About 1 for stationary sensors; 0 when not estimable. Measured (T = 1500): above 7 in .97 of random-walk drifts of one sd,
    .63 of step biases, 0 of clean systems.
    """
    means, count = block_means(x)
    gamma, pairs = autocovariance(centred(x, means), segment, BARTLETT)
    phi = autoregression(gamma[: ORDER + 1])
    innovation = np.maximum(gamma[0] - (phi * gamma[1 : ORDER + 1]).sum(axis=0), 1e-3 * gamma[0])
    taper = 2 * (1 - np.arange(1, BARTLETT + 1) / (BARTLETT + 1))
    long_run = np.maximum(innovation / np.maximum(1 - phi.sum(axis=0), 0.02) ** 2, gamma[0] + taper @ gamma[1:])
    rows = np.bincount(block_number(len(x)), minlength=BLOCKS)[:, None]
    full = count >= 3
    expected = long_run / np.maximum(rows, 1) + gamma[0] * np.maximum(1 / np.maximum(count, 1) - 1 / np.maximum(rows, 1), 0.0)
    used = np.maximum(full.sum(axis=0), 1)
    level = np.where(full, means, 0.0).sum(axis=0) / used
    variance = (np.where(full, means - level, 0.0) ** 2).sum(axis=0) / np.maximum(used - 1, 1)
    expected = np.where(full, expected, 0.0).sum(axis=0) / used
    usable = (full.sum(axis=0) >= 5) & (pairs[: ORDER + 1].min(axis=0) >= LEAST_PAIRS) & (expected > 0)
    return np.where(usable, variance / np.where(expected > 0, expected, 1.0), 0.0)


def noise_share(x: FloatArray, segment: IntArray, *, clear: float = CLEAR_NOISE) -> FloatArray:
    """[N] share of white measurement noise, 1 - gamma1^2 / (|gamma2| gamma0), clipped to [0, 1]; 0 when not estimable or not clear.

    Exact for an AR(1) signal plus white noise; block-centred, so that drift does not hide the noise. Without noise the partial
    autocorrelation at lag 2, phi = (r2 - r1^2) / (1 - r1^2), is 0 with variance kappa / n (Quenouille 1947; kappa is 1 for normal
    innovations and more where they come in bursts): the noise is clear where phi exceeds `clear` standard errors.

    Args:
        x: readings [T, N].
        segment: [T] segment of each row.
        clear: standard errors; -inf: every estimate.
    """
    quick = centred(x, block_means(x)[0])
    gamma, pairs = autocovariance(quick, segment, 2)
    power, error = np.where(gamma[0] > 0, gamma[0], 1.0), 1.0 / np.sqrt(np.maximum(pairs[2], 1))
    first, second = gamma[1] / power, np.abs(gamma[2]) / power
    usable = (pairs.min(axis=0) >= LEAST_PAIRS) & (second > 2.0 * error) & (gamma[0] > 0) & (gamma[1] > 0)
    told = (second - first**2) / np.maximum(1.0 - first**2, RIDGE)
    usable &= told > clear * error * np.sqrt(_bursts(quick, first, segment))
    share = 1 - first**2 / np.where(usable, second, 1.0)
    return np.where(usable, np.clip(share, 0.0, 1.0), 0.0)


def _bursts(x: FloatArray, first: FloatArray, segment: IntArray) -> FloatArray:
    """[N] kappa = E e^2 f^2 / (E e^2 E f^2) >= 1, e and f what x(t - 1) leaves of x(t) and of x(t - 2)."""
    ahead, back = x[2:] - first * x[1:-1], x[:-2] - first * x[1:-1]
    seen = np.isfinite(ahead) & np.isfinite(back) & (segment[2:] == segment[:-2])[:, None]
    e, f = np.where(seen, ahead, 0.0) ** 2, np.where(seen, back, 0.0) ** 2
    both = e.sum(axis=0) * f.sum(axis=0)
    return np.maximum(seen.sum(axis=0) * (e * f).sum(axis=0) / np.where(both > 0, both, 1.0), 1.0)


def gain_change(x: FloatArray, segment: IntArray) -> FloatArray:
    """[N] standard deviation of the log standard deviation of row-to-row changes over ten blocks; 0 when not estimable."""
    step = np.where((segment[1:] == segment[:-1])[:, None], np.diff(x, axis=0), np.nan)
    power, count = block_means(step**2)
    usable = (count >= 10) & (power > 0)
    logs = np.where(usable, 0.5 * np.log(np.where(usable, power, 1.0)), 0.0)
    used = np.maximum(usable.sum(axis=0), 1)
    spread = np.sqrt((np.where(usable, logs - logs.sum(axis=0) / used, 0.0) ** 2).sum(axis=0) / used)
    return np.where(usable.sum(axis=0) >= 5, spread, 0.0)


def unit_root(x: FloatArray, segment: IntArray) -> BoolArray:
    """[N] True where an augmented Dickey-Fuller regression cannot tell the sensor from a random walk.

    `dx(t) = a + rho x(t-1) + sum_k c_k dx(t-k)`, three lags, over rows whose past is observed; t(rho) above the 10 % point.
    """
    out = np.zeros(x.shape[1], bool)
    for j, column in enumerate(x.T):
        step = np.diff(column)
        lagged = [step[ORDER - k : len(step) - k] for k in range(1, ORDER + 1)] if len(step) > ORDER else []
        design = np.column_stack([np.ones(max(len(step) - ORDER, 0)), column[ORDER:-1], *lagged])
        answer = step[ORDER:]
        good = np.isfinite(design).all(axis=1) & np.isfinite(answer) & (segment[ORDER + 1 :] == segment[: -ORDER - 1])
        if good.sum() >= 50:
            out[j] = _dickey_fuller(design[good], answer[good]) > UNIT_ROOT_T
    return out


def _dickey_fuller(design: FloatArray, answer: FloatArray) -> float:
    size = np.maximum(np.abs(design).max(axis=0), 1e-300)
    design = design / size
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ (design.T @ answer)
    residual = answer - design @ beta
    variance = float(residual @ residual) / max(len(answer) - design.shape[1], 1)
    return float(beta[1] / np.sqrt(max(variance * inverse[1, 1], 1e-300)))


def gaps(lost: BoolArray) -> IntArray:
    """[G, 2] first row of every run of lost cells [T], and the row after its last.

    Example:
        >>> gaps(np.array([False, True, True, False, True])).tolist()
        [[1, 3], [4, 5]]
    """
    return np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8))).reshape(-1, 2)


def missing_pattern(x: FloatArray, segment: IntArray) -> tuple[Missing, float, float]:
    """Pattern of one column's gaps, the gap ratio and the z of the values beside them.

    blocks: length-weighted mean gap above five times (1 + q) / (1 - q), what single cells lost at rate q would give.
    mnar: readings beside gaps differ from those beside the same gaps shifted in time, root mean square z of their mean and
    square above 3 (fresh simulated cases with T = 1500: .98 of self-masked gaps at 30 % missing, .77 at 10 %, 0 of random gaps
    and outages; T = 400: .63, .11 and 0). mcar: no sign of either.
    """
    lost = ~np.isfinite(x)
    if not lost.any() or lost.all():
        return ("none" if not lost.any() else "blocks"), 0.0, 0.0
    sizes = np.diff(gaps(lost)).ravel().astype(float)
    rate = float(lost.mean())
    ratio = float((sizes**2).sum() / sizes.sum() / ((1 + rate) / (1 - rate)))
    z = _beside_gaps(x, lost, segment)
    pattern: Missing = "mnar" if z > MNAR_Z else "blocks" if ratio > GAP_RATIO else "mcar"
    return pattern, ratio, z


def _beside_gaps(x: FloatArray, lost: BoolArray, segment: IntArray) -> float:
    same = segment[1:] == segment[:-1]
    near = np.zeros(len(x), bool)
    near[1:] |= lost[:-1] & same
    near[:-1] |= lost[1:] & same
    near = near[~lost]
    values = x[~lost]
    n = len(values)
    if near.sum() < 5 or n < LEAST_PAIRS:
        return 0.0
    rank = (np.argsort(np.argsort(values)) + 0.5) / n - 0.5
    beside = np.conj(np.fft.rfft(near / near.sum()))
    squares = []
    for score in (rank * np.sqrt(12), (rank**2 - 1 / 12) * np.sqrt(180)):
        shifted = np.fft.irfft(np.fft.rfft(score) * beside, n)
        null = shifted[min(10, n // 10) : n - min(10, n // 10)]
        squares.append(((shifted[0] - null.mean()) / max(float(null.std()), 0.5 / np.sqrt(near.sum()))) ** 2)
    return float(np.sqrt(np.mean(squares)))


def innovations(x: FloatArray, segment: IntArray) -> FloatArray:
    """[T, N] what an AR(3) of each sensor does not explain, in robust units, clipped at 4; block-centred."""
    quick = centred(x, block_means(x)[0])
    phi = autoregression(autocovariance(quick, segment, ORDER)[0])
    residual = quick.copy(order="K")
    for k in range(1, ORDER + 1):
        residual[k:] -= phi[k - 1] * np.where((segment[k:] == segment[:-k])[:, None], quick[:-k], np.nan)
    residual[:ORDER] = np.nan
    unit = MAD_TO_SD * nan_median(np.abs(residual))
    return np.clip(residual / np.where(unit > 0, unit, np.inf), -4, 4)


def common_mode(residual: FloatArray, own: BoolArray) -> float:
    """Share of the innovations that all sensors have in common: (top eigenvalue of their correlation - 1) / (N - 1).

    0 for independent sensors, 1 for copies; the mean correlation where all are equally correlated.

    Args:
        residual: [T, N] from `innovations`.
        own: [N] sensors that take part.
    """
    correlation, joint = (both[np.ix_(own, own)] for both in correlations(residual))
    sensors = len(correlation)
    correlation = np.where((joint >= LEAST_PAIRS) | np.eye(sensors, dtype=bool), correlation, 0.0)
    return float(np.clip((np.linalg.eigvalsh(correlation)[-1] - 1) / max(sensors - 1, 1), 0.0, 1.0))


def correlations(x: FloatArray) -> tuple[FloatArray, IntArray]:
    """[N, N] correlation over jointly observed rows, and the number of those rows; the diagonal is 1, unusable pairs 0."""
    joint, total, square, cross = np.zeros((4, x.shape[1], x.shape[1]))
    for part in in_turn(slabs(*x.shape), x):
        seen = np.isfinite(x[part]).astype(np.float64)
        z = np.where(seen > 0, x[part], 0.0)
        joint += seen.T @ seen
        total += z.T @ seen
        square += (z**2).T @ seen
        cross += z.T @ z
    rows = np.maximum(joint, 1)
    variance = square / rows - (total / rows) ** 2
    covariance = cross / rows - (total / rows) * (total.T / rows)
    product = np.sqrt(np.maximum(variance * variance.T, 0.0))
    real = (product > 1e-12) & (joint >= 3)
    out = np.where(real, covariance / np.where(real, product, 1.0), 0.0)
    np.fill_diagonal(out, 1.0)
    return np.clip(out, -1.0, 1.0), joint.astype(np.int64)
