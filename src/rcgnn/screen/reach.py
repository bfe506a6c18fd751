"""How far back links reach: the longest delay K, chosen by what it is worth on the table.

Every candidate K gets the same rows (those that have the longest candidate's past) and, for each sensor, the same free own past
up to the longest candidate; so neither memory nor a season of a sensor's own asks for a longer K, only other sensors do. With
m_j(K) the sparse linear model of sensor j from the others' lags 1..K, and n_j the rows in which j was read,

    gain(K) = sum over j of  n_j ln(unexplained by own past / unexplained by m_j(K)) - price(K) |m_j(K)|
    value(K) = gain(K) - 2 mean over shifted copies of gain(K)
    price(K) = ln n_j + 2 gamma ln(N (K + 1))

and the shortest K is chosen whose value is within one price of the best. On the copies every sensor is rolled round its own
circle of time (`screen.null`): what a longer K gains there is a shared season, no link, and it must gain twice that. Links within
the row are left out: solved for the present, they change which lagged links there are, not how far back those reach.

Sources: Chen & Chen 2008, eq. 1.2 (price); Luetkepohl 2005, section 4.3 (order of an autoregression, all orders on the same rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rcgnn.config import ScreenConfig
from rcgnn.data.rolling import detrended
from rcgnn.health import Finding
from rcgnn.prior import known_to
from rcgnn.screen.features import Features, Sample, build
from rcgnn.screen.known import hide
from rcgnn.screen.moments import Moments
from rcgnn.screen.null import shifted
from rcgnn.screen.search import extended_bic, grow, start
from rcgnn.series import FloatArray, taken

CHANCE_MARGIN = 2.0
"""Times the mean gain on shifted copies that a longer reach must have."""
LEAST = 3
"""A shorter K than this is never chosen: it also cuts the sensors' own past, and curved links may be longer than straight ones show."""
LONGER = (4, 6, 8, 12, 16, 24, 32, 48, 64)
ROWS_PER_LAG = 10
"""Rows for each own lag; a sensor that was read in fewer has no say."""
ROWS_PER_FEATURE = 3
"""Rows for each sensor and lag; so two sensors of a shifted copy are at least three longest delays apart."""
MOST_FEATURES = 400
"""Sensors times lags: bounds memory and time."""


@dataclass(frozen=True)
class Reach:
    """The longest delay that was chosen, and why.

    Attributes:
        max_lag: K.
        value: what each candidate is worth beyond the sensors' own past, in twice the log-likelihood; larger is better. Empty
            where there was nothing to choose from.
    """

    max_lag: int
    value: dict[int, float]

    def facts(self) -> dict[str, Any]:
        """K and what each candidate was worth, for the summary of a run."""
        return {"max_lag": self.max_lag, "evidence_by_max_lag": {str(k): v for k, v in self.value.items()}}

    def findings(self) -> list[Finding]:
        """A warning when no longer candidate was there to compare with."""
        if self.max_lag < max(self.value, default=0):
            return []
        message = f"the longest delay chosen, {self.max_lag} rows, is also the longest tried: links may be slower than that."
        if not self.value:
            message = f"delays beyond {self.max_lag} rows were not tried: too few rows for so many sensors; links may be slower than that."
        return [
            Finding(
                code="INPUT",
                severity="warn",
                message=message,
                remedy="Give more rows, average every few rows into one, or set data.max_lag to a number.",
                evidence={"kind": "longest_delay", "max_lag": self.max_lag, "value": {str(k): round(v, 1) for k, v in self.value.items()}},
            )
        ]


def reach(sample: Sample, config: ScreenConfig, rngs: Sequence[np.random.Generator]) -> Reach:
    """The longest delay that the table asks for.

    Args:
        sample: plainly filled, scaled readings, one draw; which were read; segments; the shortest K that may be chosen.
        config: settings of the screen; what prior knowledge forbids asks for no delay.
        rngs: one for each shifted copy.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((600, 2))
        >>> x[5:, 1] += x[:-5, 0]
        >>> sample = Sample(x[None], np.ones(x.shape, bool), [slice(0, 600)], max_lag=3)
        >>> reach(sample, ScreenConfig(), [np.random.default_rng(1)]).max_lag
        6
    """
    tried = candidates(sample)
    if len(tried) == 1:
        return Reach(tried[0], {})
    filled = sample.signal[0]
    steady = replace(sample, signal=detrended(filled, sample.segments)[None])
    copies = [copy for rng in rngs if (copy := shifted(replace(steady, max_lag=1), rng)) is not None]
    by_chance = [_gains(copy, tried, config) for copy in copies] or [np.zeros(len(tried))]
    value = _gains(steady, tried, config) - CHANCE_MARGIN * np.mean(by_chance, axis=0)
    price = extended_bic(_rows(sample.segments, tried[-1]), sample.keep.shape[1] * (tried[-1] + 1), config.gamma)
    chosen = tried[int(np.argmax(value >= value.max() - price))]
    return Reach(chosen, dict(zip(tried, value.tolist(), strict=True)))


def candidates(sample: Sample) -> tuple[int, ...]:
    """Delays worth comparing, rising: the shortest allowed, and every longer one that rows and memory bear.

    Example:
        >>> table = Sample(np.zeros((1, 1500, 13)), np.ones((1500, 13), bool), [slice(0, 1500)], max_lag=3)
        >>> candidates(table)
        (3, 4, 6, 8, 12, 16, 24)
    """
    least, sensors = sample.max_lag, sample.keep.shape[1]
    all_rows, each = _rows(sample.segments, least), max(ROWS_PER_LAG, ROWS_PER_FEATURE * sensors)
    longer = [k for k in LONGER if k > least and sensors * (k + 1) <= MOST_FEATURES]
    return (least, *(k for k in longer if _rows(sample.segments, k) >= max(each * k, all_rows / 2)))


def _rows(segments: Sequence[slice], lag: int) -> int:
    """Rows that have a past of `lag` rows."""
    return sum(max(part.stop - part.start - lag, 0) for part in segments)


def _gains(sample: Sample, tried: Sequence[int], config: ScreenConfig) -> FloatArray:
    """[C] gain of each candidate."""
    tables = build(sample.signal, sample.segments, max_lag=tried[-1], basis="linear")
    rows = taken(sample.keep, tables.time)
    bank = Moments.of(tables)
    found, known = np.zeros(len(tried)), dict[bytes, Features]()
    for j in range(tables.sensors):
        if rows[:, j].sum() < ROWS_PER_LAG * tried[-1]:
            continue
        key = np.packbits(rows[:, j]).tobytes()
        if key not in known:
            known[key] = bank.features(rows[:, j])
        found += _gains_of(hide(known[key], j, known_to(config)), j, tried, config)
    return found


def _gains_of(features: Features, target: int, tried: Sequence[int], config: ScreenConfig) -> FloatArray:
    """[C] what each candidate gains for one sensor."""
    n = float(features.rows)
    own = start(features, target)
    found = []
    for k in tried:
        allowed = (features.lag > 0) & (features.lag <= k)
        price = extended_bic(n, features.sensors * (k + 1), config.gamma)
        found.append(grow(own, allowed, rows=n, penalty=price, most=config.max_features).value(n) - own.value(n))
    return np.array(found)
