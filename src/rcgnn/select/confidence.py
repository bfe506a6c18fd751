"""Confidence: the probability that i drives j, from what the screen knows about a link.

    confidence = 1 / (1 + exp(-(INTERCEPT + sum_f WEIGHTS[f] x_f)))

with x_f the traits below. The weights are a logistic regression (Platt 1999) of "the link is there" on the traits of 10,000
candidates in simulated tables - families and traits, clean and spoilt, 200 to 1,500 rows - and systems without links; they are
constants, and no fit sees a truth. `benchmarks/calibrate.py` computes them and shows how they do on systems left out.

A likelihood ratio alone is far too sure of itself: on real tables no model is true, and with enough rows every misfit is
significant. What tells true from false is evidence per row, how dense the graph found is, what shifted copies show, and how
often the link holds on half of the blocks.
"""

from __future__ import annotations

import numpy as np

from rcgnn.config import Config
from rcgnn.numerics import rng
from rcgnn.screen.search import extended_bic
from rcgnn.screen.structural import Screened
from rcgnn.select.stability import held_in_halves
from rcgnn.series import BoolArray, FloatArray, IntArray

INTERCEPT = -11.985
WEIGHTS = {
    "evidence": 1.867,
    "rows": -2.179,
    "density": -3.573,
    "same_step": -0.662,
    "price": 8.824,
    "direction": 0.435,
    "chance": -0.704,
    "halves": 1.124,
}
"""Weight of each trait; see `traits`."""
LEAST_DIRECTION = 0.01
LEAST_ROWS = 200
"""Fewer rows than the simulated tables had make no link more probable."""


def traits(screened: Screened, held: FloatArray, chance: float) -> tuple[IntArray, FloatArray]:
    """Candidates (k, i, j) [n, 3] and their traits [n, 8], in the order of `WEIGHTS`.

        evidence   ln(1 - ln p) of the pair's likelihood ratio, scaled by the pairs without a link
        rows       ln of the rows that count for j, at least `LEAST_ROWS`
        density    share of pairs that the search chose
        same_step  1 at lag 0
        price      ln of the penalty of one feature of j
        direction  ln of the share of the evidence that the direction has, at lag 0
        chance     ln(1 + largest evidence on the median shifted copy)
        halves     share of block halves in which the link holds

    Args:
        screened: the screen's models.
        held: [K+1, N, N] share of halves, see `stability`.
        chance: largest evidence on the median shifted copy.
    """
    found = screened.evidence
    sensors = found.chosen.shape[1]
    off: BoolArray = ~np.eye(sensors, dtype=bool)
    keys = np.argwhere(found.chosen & off)
    k, i, j = keys.T
    rows = np.array([float(max(own.rows, LEAST_ROWS)) for own in screened.features])
    price = np.array([extended_bic(n, screened.tests, screened.gamma) for n in rows])
    density = (found.chosen.any(axis=0) & off).sum() / max(off.sum(), 1)
    columns = {
        "evidence": np.log1p(-screened.log_p[i, j]),
        "rows": np.log(rows[j]),
        "density": np.full(len(keys), density),
        "same_step": (k == 0).astype(float),
        "price": np.log(price[j]),
        "direction": np.where(k == 0, np.log(found.direction[i, j] + LEAST_DIRECTION), 0.0),
        "chance": np.full(len(keys), np.log1p(chance)),
        "halves": held[k, i, j],
    }
    return keys, np.stack([columns[name] for name in WEIGHTS], axis=1).reshape(len(keys), len(WEIGHTS))


def confidence(screened: Screened, held: FloatArray, chance: float) -> FloatArray:
    """[K+1, N, N] probability that i drives j, for each lag the search chose; 0 where it chose nothing.

    Args:
        screened: the screen's models.
        held: [K+1, N, N] share of halves, see `stability`.
        chance: largest evidence on the median shifted copy.
    """
    keys, known = traits(screened, held, chance)
    sure = np.zeros(held.shape)
    sure[tuple(keys.T)] = 1.0 / (1.0 + np.exp(-np.clip(INTERCEPT + known @ np.array(list(WEIGHTS.values())), -50.0, 50.0)))
    return sure


def held_and_sure(screened: Screened, chance: float, config: Config) -> tuple[FloatArray, FloatArray]:
    """[K+1, N, N] share of block halves in which each link holds, and its confidence; both 0 where halves are switched off."""
    halves = config.select.halves
    held = held_in_halves(screened, halves=halves, rng=rng(config.seed, "halves"))
    return held, confidence(screened, held, chance) if halves else np.zeros(held.shape)
