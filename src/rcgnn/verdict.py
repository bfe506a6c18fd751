"""From evidence to decided links. Never sees truth, never a threshold tuned on truth.

A pair is a link when (1) the search chose it, (2) its chi-square tail, scaled by the pairs that were not chosen, stays
below alpha after Bonferroni over everything that competed, (3) its evidence beats the best of the median circularly shifted copy of
the table shows (shared seasons, trends and unit roots link sensors that have nothing to do with each other), (4) it holds in
at least half of the pieces of a long table, and (5) it is not negligible beside the accepted links' median: deterministic
systems make the smallest misfit significant, and such crumbs are not links. Rules (2), (3) and (5) are strict; a pair that they turn
away is a link all the same when its calibrated probability is high, or above one half and every further opinion finds it too. A pair that
passes them all with a low probability is left open: its tail alone is not worth a link; so is one that does not hold row by row, where
noise that comes in bursts, heavy tails and slow waves count for nothing (`screen.rowwise`). Of a pair's lags the best is named, and others
only with a tenth of the pair's evidence: second lags otherwise mop up what the best one leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from rcgnn.graph import LINK, NONE, UNDECIDED, Key
from rcgnn.series import BoolArray, FloatArray

CRUMB = 0.05
"""Share of the accepted links' median evidence below which a pair is a crumb."""
CHANCE_MARGIN = 2.8
"""Times the best evidence on a shifted copy that a link must have: shifting also takes a shared season out of step."""
HALF_OF_THE_PIECES = 0.5
SURE = 0.75
"""A pair with this probability is a link even where its tail, the shifted copies or its size are against it."""
AGREED = 0.5
"""So is one with this probability that every further opinion finds too."""
DOUBTFUL = 0.2
"""A pair with less than this probability stays open, however small its tail."""
MINOR_LAG = 0.1
"""Share of a pair's evidence that a second lag needs to be named beside the best one."""
UNCLEAR = 0.75
"""A lag-0 link whose direction has less than this share of the evidence is reported as undirected, and so is one that chance may direct."""

DIRECTION = "direction unclear: both ways fit the data alike"
DOUBT = f"confidence below {DOUBTFUL}: significant, but such evidence was rarely a link on tables with a known graph"
HIDDEN = "one hidden signal, read by both within the row, explains the pair alike"
UNEVEN = "does not hold row by row: a few rows, or a slow wave that the sensors share, carry the evidence"


@dataclass(frozen=True, eq=False)
class PairEvidence:
    """What a decision may look at.

    Attributes:
        surplus: [N, N] evidence above its penalty.
        log_p: [N, N] log p-value of the pair.
        chosen: [K+1, N, N] lags at which the search chose the pair.
        direction: [N, N] share of the evidence for i -> j against j -> i at lag 0; 1 where no lag-0 link.
        tests: number of features that competed for one sensor.
        profile: [K+1, N, N] evidence above its penalty of each lag by itself.
        chance: largest surplus of a pair on a circularly shifted copy, where nothing drives anything; see `null.Chance`.
        confidence: [K+1, N, N] probability of each chosen link; None where nobody computed it.
        share: [N, N] share of the pieces of a long table in which the pair earned its penalty; None where it was not cut.
        agreed: [N, N] True where every further opinion finds the pair too; None where nobody else was asked.
        rowwise: [N, N] log p-value of the pair with every row for itself, see `screen.rowwise`; None where nobody asked.
        exchangeable: [N, N] True for pairs that one hidden signal, read twice within the row, explains as well; None where nobody asked.
        told: [N, N] False where a same-step direction is no more than chance, see `screen.turning`; None where nobody asked.
    """

    surplus: FloatArray
    log_p: FloatArray
    chosen: BoolArray
    direction: FloatArray
    tests: int
    profile: FloatArray
    chance: float = 0.0
    share: FloatArray | None = None
    confidence: FloatArray | None = None
    agreed: BoolArray | None = None
    told: BoolArray | None = None
    rowwise: FloatArray | None = None
    exchangeable: BoolArray | None = None


def decide(found: PairEvidence, *, alpha: float) -> tuple[NDArray[np.int8], dict[Key, str]]:
    """Verdicts [K+1, N, N] and the reasons of the undecided ones.

    Args:
        found: evidence of every pair.
        alpha: family-wise error level.
    """
    picked, own = found.chosen.any(axis=0), _own_lags(found)
    sensors = found.chosen.shape[1]
    level, pairs = np.log(alpha / (found.tests * sensors)), max(sensors * (sensors - 1), 1)
    strict = _strict(found, level)
    linked, doubtful = strict, np.zeros_like(strict)
    if found.confidence is not None:
        probability = found.confidence.max(axis=0)
        doubtful = strict & (np.where(own, found.confidence, 0.0).max(axis=0) < DOUBTFUL)
        sure = picked & (probability >= (SURE if found.agreed is None else np.where(found.agreed, AGREED, SURE)))
        linked = strict | (sure if found.share is None else sure & (found.share >= HALF_OF_THE_PIECES))
    uneven = np.zeros_like(strict) if found.rowwise is None else found.rowwise >= np.where(strict, level, np.log(alpha / pairs))
    verdict = np.where(own & linked, LINK, NONE).astype(np.int8)
    reasons = dict[Key, str]()
    _open(verdict, reasons, np.broadcast_to(doubtful, own.shape), DOUBT)
    _open(verdict, reasons, np.broadcast_to(uneven, own.shape), UNEVEN)
    _undirected(found, verdict, reasons)
    return verdict, reasons


def _strict(found: PairEvidence, level: float) -> BoolArray:
    """[N, N] pairs that pass every rule; `level` is the logarithm of the p-value they need."""
    passed = np.asarray(found.chosen.any(axis=0) & (found.log_p < level) & (found.surplus > CHANCE_MARGIN * found.chance))
    if found.share is not None:
        passed &= found.share >= HALF_OF_THE_PIECES
    if passed.any():
        passed &= found.surplus >= CRUMB * np.median(found.surplus[passed])
    return passed


def _open(verdict: NDArray[np.int8], reasons: dict[Key, str], where: BoolArray, why: str) -> None:
    """Links that are open questions after all, in place; `where` [K+1, N, N]."""
    for k, i, j in np.argwhere((verdict == LINK) & where):
        verdict[k, i, j] = UNDECIDED
        reasons[(int(k), int(i), int(j))] = why


def _undirected(found: PairEvidence, verdict: NDArray[np.int8], reasons: dict[Key, str]) -> None:
    """Open both directions of a same-step link that nothing directs, and what goes with a hidden signal that two sensors read, in place."""
    alike = np.zeros(found.surplus.shape, bool) if found.exchangeable is None else found.exchangeable
    late = np.arange(len(verdict)) > 0
    _open(verdict, reasons, late[:, None, None] & alike, HIDDEN)
    unclear = (verdict[0] == LINK) & ((found.direction < UNCLEAR) | alike | (False if found.told is None else ~found.told))
    for i, j in np.argwhere(unclear):
        for a, b in ((i, j), (j, i)):
            if verdict[0, a, b] != LINK or unclear[a, b]:
                verdict[0, a, b] = UNDECIDED
                reasons[(0, int(a), int(b))] = DIRECTION


def _own_lags(found: PairEvidence) -> BoolArray:
    """[K+1, N, N] chosen lags worth naming: the pair's best, and those with at least `MINOR_LAG` of the pair's evidence."""
    profile = np.where(found.chosen, found.profile, -np.inf)
    return found.chosen & ((profile >= MINOR_LAG * found.surplus) | (profile == profile.max(axis=0)))


def set_aside(verdict: NDArray[np.int8], reasons: dict[Key, str], pairs: BoolArray, why: str) -> None:
    """Turn pairs into open questions, in place, whatever was decided: `pairs` [N, N] True where nothing can be said."""
    for i, j in np.argwhere(pairs):
        for k in range(len(verdict)):
            verdict[k, i, j] = UNDECIDED
            reasons[(k, int(i), int(j))] = why


def detectable_share(rows: float, penalty: float, power: float = 0.9) -> float:
    """Share of a sensor's variance that a link must explain to be found with the given power.

        r^2 = 1 - exp(-(sqrt(penalty) + z_power)^2 / n)

    from the likelihood-ratio statistic -n ln(1 - r^2), whose root is about normal with unit variance.

    Example:
        >>> round(detectable_share(1500, 15.0), 3)
        0.018
    """
    return float(1.0 - np.exp(-((np.sqrt(penalty) + ndtri(power)) ** 2) / max(rows, 1.0)))
