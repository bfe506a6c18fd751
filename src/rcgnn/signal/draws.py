"""From readings to signal draws: what every later stage takes for the data.

A test that takes smoothed values for readings manufactures links (false-positive rate .135 on long outages); draws from
the joint posterior carry the uncertainty of the smoothing along (.016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.config import SignalConfig
from rcgnn.health import Progress, silent
from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray, IntArray, nothing, slabs
from rcgnn.signal.em import Blind, Learnt, Support, fit
from rcgnn.signal.interpolate import interpolate
from rcgnn.signal.selection import begin, completed, doubtful, renewed
from rcgnn.signal.statespace import LinearModel, Readings, Selection, smooth

MOST_READINGS = 5_000_000
"""Rows times sensors; beyond, draws of the signal take gigabytes and the smoother many minutes."""
COMPLETE = 0.98
"""With at least this share observed and no noisy sensor, interpolation does as well as the state space."""
NOISY = 0.12
LEAST_NOISE, MOST_NOISE, NOISE_TRUST = 0.01, 0.5, 0.7
MOST_ROWS = 4000
"""EM looks at no more rows than this, in blocks spread over the table; the draws cover all rows."""
BLOCK = 500
DRAWN, LEAST_DRAWS, MOST_DRAWS = 640_000, 4, 32
"""Posterior samples fill about so many cells in all: the fewer rows there are to average over, the more samples."""
SWEEPS = 3
"""Rounds in which the pseudo-readings of hidden cells settle before draws are taken."""
MOST_STATES = 200
"""Beyond this state size the order of the autoregression is lowered, then smoothing is left out (cost ~ states^3)."""


@dataclass(frozen=True, eq=False)
class Signal:
    """Signal draws and where they come from.

    Attributes:
        draws: [S, T, N] scaled signal.
        mean: [T, N] posterior mean.
        variance: [T, N] posterior variance; 0 where nothing was inferred.
        rows: [N] readings behind each sensor, the sample size that its tests may claim.
        smoothed: whether the state space ran.
        gated: [T, N] readings refused as impossible.
        noise: [N] measurement-noise variance used.
        selection: how readings vanish; None where no selection model was asked for.
        bridged: gaps or noise asked for the state space, and it was left out: too many sensors or readings.
        moment: [D, D] mean over rows of E[s_t s_t' | readings] under the last dense model, D = N (L + 1); None where nothing was inferred.
    """

    draws: FloatArray
    mean: FloatArray
    variance: FloatArray
    rows: FloatArray
    smoothed: bool
    gated: BoolArray
    noise: FloatArray
    selection: Selection | None = None
    moment: FloatArray | None = None
    bridged: bool = False


def infer(  # noqa: PLR0913 - what it works on, then how it reports
    readings: Readings,
    noise_share: FloatArray,
    *,
    config: SignalConfig,
    support: Support | None,
    rng: np.random.Generator,
    progress: Progress = silent,
    enough: Callable[[], bool] = lambda: False,
) -> Signal:
    """The signal behind the readings. The order of the sensors changes nothing, not even what chance draws for one of them.

    Args:
        readings: in any unit; draws, mean and noise come out in units of each sensor's standard deviation.
        noise_share: [N] share of each sensor's variance that is white measurement noise, from the quality report.
        config: when and how to smooth.
        support: see `em.fit`.
        rng: for the draws.
        progress: told of every EM iteration.
        enough: see `em.fit`.
    """
    if not smoothing(readings, noise_share, config):
        return _bridged(readings)
    order = _by_reading(readings)
    back = np.argsort(order)
    suspects = None if readings.suspects is None else readings.suspects[:, order]
    turned = Readings(readings.values[:, order], readings.mask[:, order], readings.segments, suspects)
    asked = None if support is None else _turned(support, order)
    found = _inferred(turned, noise_share[order], config, partial(fit, support=asked, progress=progress, enough=enough), rng)
    return Signal(
        _reordered(found.draws, back),
        _reordered(found.mean, back),
        _reordered(found.variance, back),
        found.rows[back],
        found.smoothed,
        _reordered(found.gated, back),
        found.noise[back],
        None if found.selection is None else found.selection.of(back),
        None if found.moment is None else found.moment[np.ix_(*[_blockwise(back, len(found.moment))] * 2)],
    )


def _reordered(cells: NDArray[Any], order: IntArray) -> NDArray[Any]:
    """[..., T, N] with the sensors in another order."""
    found = spacious(cells.shape, cells.dtype, order="C")
    for part in in_turn(slabs(cells.shape[-2], cells.size // cells.shape[-2]), cells, found):
        found[..., part, :] = cells[..., part, :][..., order]
    return found


def smoothing(readings: Readings, noise_share: FloatArray, config: SignalConfig) -> bool:
    """Whether the state space runs: it is wanted, and not too many sensors; `auto` leaves it out where there are too many readings."""
    wanted = config.smooth == "on" or (config.smooth == "auto" and needed(readings, noise_share) and readings.values.size <= MOST_READINGS)
    return wanted and _lags(readings, config) >= 1


def needed(readings: Readings, noise_share: FloatArray) -> bool:
    """Are there gaps or noise that straight lines over the gaps do not allow for?"""
    return bool(readings.mask.mean() < COMPLETE or (noise_share > NOISY).any())


def _lags(readings: Readings, config: SignalConfig) -> int:
    return min(config.lags, MOST_STATES // readings.values.shape[1] - 1)


def _bridged(readings: Readings) -> Signal:
    """Gaps bridged by straight lines, every sensor at mean 0 and standard deviation 1 over its readings; one sensor at a time."""
    rows, sensors = readings.values.shape
    filled = spacious((rows, sensors))
    for j in in_turn(range(sensors), filled, readings.values, readings.mask):
        one = slice(j, j + 1)
        mask = readings.mask[:, one]
        filled[:, one] = interpolate(_unit(Readings(readings.values[:, one], mask, readings.segments)).values, mask, readings.segments)
    read = np.array([column.sum() for column in in_turn(readings.mask.T, readings.mask)], float)
    return Signal(filled[None], filled, nothing(filled.shape), read, False, nothing(filled.shape, bool), np.zeros(sensors))


def _by_reading(readings: Readings) -> IntArray:
    """The sensors in an order that no unit and no place in the table changes: by when their large readings came."""
    late = np.arange(len(readings.values), dtype=float)
    centre = np.zeros(readings.values.shape[1])
    for j, seen in in_turn(enumerate(readings.mask.T), readings.mask, readings.values):
        x = readings.values[seen, j]
        size = np.abs(x - np.median(x)) if x.size else x
        if size.any():
            share = size / size.max()
            centre[j] = share @ late[seen] / share.sum()
    return np.argsort(centre, kind="stable")


def _blockwise(order: IntArray, states: int) -> IntArray:
    """The order of the sensors repeated for every lag of the stacked states."""
    return (len(order) * np.arange(states // len(order))[:, None] + order).ravel()


def _turned(support: Support, order: IntArray) -> Support:
    """A support that is asked about sensors in another order than its own."""
    sensors, back = len(order), np.argsort(order)

    def asked(moment: FloatArray, observed: FloatArray) -> BoolArray:
        place = _blockwise(back, len(moment))
        keep = support(moment[np.ix_(place, place)], observed[back])
        return np.asarray(keep[order][:, _blockwise(order, len(moment) - sensors)])

    return asked


def _inferred(
    readings: Readings,
    noise_share: FloatArray,
    config: SignalConfig,
    em: Callable[..., Learnt],
    rng: np.random.Generator,
) -> Signal:
    readings = _unit(readings)
    values, mask = readings.values, readings.mask
    noise = np.where(noise_share > NOISY, np.clip(NOISE_TRUST * noise_share, LEAST_NOISE, MOST_NOISE), LEAST_NOISE)
    learnt = _fit(readings, noise, partial(em, lags=_lags(readings, config), iterations=config.iterations))
    model = learnt.model
    seen = _with_hidden(model, readings)
    draws = config.draws or number_of_draws(*values.shape)
    done = smooth(model, seen, gate=4.0, draws=draws, rng=rng)
    gated = mask & done.gated
    drawn, mean = done.draws, done.mean
    if model.selection is not None:
        drawn, mean = drawn + model.selection.level, mean + model.selection.level
    rows = (mask & ~gated).sum(axis=0).astype(float)
    return Signal(drawn, mean, done.variance, rows, True, gated, noise, model.selection, learnt.moment)


def number_of_draws(rows: int, sensors: int) -> int:
    """An even number, for mirrored pairs, between `LEAST_DRAWS` and `MOST_DRAWS`.

    Example:
        >>> number_of_draws(1500, 13), number_of_draws(2000, 40), number_of_draws(9357, 13)
        (32, 8, 4)
    """
    return int(np.clip(2 * (DRAWN // (2 * rows * sensors)), LEAST_DRAWS, MOST_DRAWS))


def _with_hidden(model: LinearModel, readings: Readings) -> Readings:
    """The readings, and what hidden cells say under the fitted selection model, where there is one."""
    hidden = None if model.selection is None else begin(readings, model.selection)
    for _ in range(0 if hidden is None else SWEEPS):
        hidden = renewed(readings, hidden, smooth(model, completed(readings, hidden), gate=4.0), learn=False)
    return completed(readings, hidden)


def _unit(readings: Readings) -> Readings:
    """Every sensor at mean 0 and standard deviation 1 over its readings."""
    count = np.maximum(readings.mask.sum(axis=0), 1)
    seen = np.where(readings.mask, readings.values, 0.0)
    centred = np.where(readings.mask, seen - seen.sum(axis=0) / count, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    return replace(readings, values=centred / np.where(spread > 0, spread, 1.0))


def _fit(readings: Readings, noise: FloatArray, em: Callable[..., Learnt]) -> Learnt:
    """EM on a part of the rows, without the suspects whose threshold is not believed."""
    part = replace(readings, segments=spread(readings.segments, MOST_ROWS, BLOCK))
    blind: Blind | None = None
    while True:
        learnt = em(part, noise, doubt=partial(_any_doubt, part), blind=blind)
        blind = learnt.blind
        how = learnt.model.selection
        if part.suspects is None or how is None or not _any_doubt(part, how):
            return replace(learnt, blind=None)
        left = part.suspects & ~doubtful(how, part)  # every round takes a sensor out
        part = replace(part, suspects=left if left.any() else None)


def _any_doubt(readings: Readings, how: Selection) -> bool:
    return bool(doubtful(how, readings).any())


def spread(segments: Sequence[slice], most: int, block: int) -> list[slice]:
    """Blocks of rows, at most `most` rows in all, spread evenly over the segments; all of them when they fit.

    Example:
        >>> spread([slice(0, 100)], 40, 10)
        [slice(0, 10, None), slice(30, 40, None), slice(60, 70, None), slice(90, 100, None)]
    """
    total = sum(s.stop - s.start for s in segments)
    if total <= most:
        return list(segments)
    blocks = [slice(a, min(a + block, s.stop)) for s in segments for a in range(s.start, s.stop, block)]
    pick = np.unique(np.linspace(0, len(blocks) - 1, max(most // block, 1)).round().astype(int))
    return [blocks[i] for i in pick]
