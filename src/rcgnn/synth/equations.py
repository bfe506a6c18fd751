"""Equations of a system, one term at a time, and the loop that runs them.

`z_j(t) = memory_j z_j(t-1) + sum_terms weight f(z_i(t-k), ...) + noise_j e_j(t)`, e standard normal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcgnn.series import FloatArray, IntArray
from rcgnn.synth.simulated import Plan

BURN_IN = 200
CHANGED = 0.25
"""Share of the terms that vanish in each regime after the first; as many change sign."""


@dataclass(frozen=True)
class Term:
    """`weight * function(z_i(t-k), z_i'(t-k'), ...)` in the equation of sensor `effect`.

    Attributes:
        effect: j.
        sources: (k, i) of each argument: one true link each.
        function: of as many numbers as there are sources.
        weight: in the first regime.
    """

    effect: int
    sources: tuple[tuple[int, int], ...]
    function: Callable[..., float]
    weight: float


@dataclass(frozen=True, eq=False)
class Equations:
    """All equations of a system of N sensors.

    Attributes:
        terms: what the sensors do to each other; stable when every function is bounded, or every sum of gains small.
        memory: [N] share of a sensor's last value that is kept, below 1.
        noise: [N] sd of its innovation.
        order: [N] sensors such that every source within the step (k = 0) comes before its effect.
        max_lag: K.
    """

    terms: tuple[Term, ...]
    memory: FloatArray
    noise: FloatArray
    order: IntArray
    max_lag: int

    def truth(self, plan: Plan) -> NDArray[np.bool_]:
        """[R, K+1, N, N] links of each regime."""
        n = len(self.memory)
        links = np.zeros((plan.regimes, self.max_lag + 1, n, n), bool)
        for weights, layer in zip(self.weights(plan), links, strict=True):
            for term, weight in zip(self.terms, weights, strict=True):
                for k, i in term.sources:
                    layer[k, i, term.effect] |= weight != 0
        return links

    def weights(self, plan: Plan) -> FloatArray:
        """[R, M] weight of each term in each regime."""
        return in_regimes(np.array([term.weight for term in self.terms]), plan)

    def run(self, plan: Plan) -> tuple[FloatArray, FloatArray]:
        """All recordings, one below the other: z [recordings T, N], and the strength [K+1, N, N] of each link.

        Strength of a link: sd of what its term adds over the sd of the effect, with the sign of the weight. For a linear
        term that is the effect in sd of j of one sd of i.
        """
        runs = [self._recording(plan, recording) for recording in range(plan.recordings)]
        z = np.concatenate([path for path, _ in runs])
        moved = np.mean([sd for _, sd in runs], axis=0)
        n = len(self.memory)
        strength = np.zeros((self.max_lag + 1, n, n))
        for term, sd in zip(self.terms, moved, strict=True):
            for k, i in term.sources:
                strength[k, i, term.effect] = np.sign(term.weight) * sd / z[:, term.effect].std()
        return z, strength

    def _recording(self, plan: Plan, recording: int) -> tuple[FloatArray, FloatArray]:
        lead = self.max_lag + BURN_IN
        regime = np.concatenate([np.zeros(BURN_IN, np.int64), plan.regime()])
        noise = plan.rng("noise", recording).standard_normal((lead + plan.rows, len(self.memory))) * self.noise
        weights = self.weights(plan).tolist()
        of_sensor = [(int(j), [(m, t) for m, t in enumerate(self.terms) if t.effect == j]) for j in self.order]
        # Plain lists: the loop touches one number at a time, where numpy scalars cost ten times as much.
        z = noise.tolist()
        added = np.zeros((len(regime), len(self.terms)))
        for row, r in enumerate(regime.tolist()):
            now = z[row + self.max_lag]
            before = z[row + self.max_lag - 1]
            for j, terms in of_sensor:
                for m, term in terms:
                    gain = weights[r][m] * term.function(*[z[row + self.max_lag - k][i] for k, i in term.sources])
                    added[row, m] = gain
                    now[j] += gain
                now[j] += float(self.memory[j]) * before[j]
        return np.array(z[lead:]), added[BURN_IN:].std(axis=0)


def in_regimes(weights: FloatArray, plan: Plan) -> FloatArray:
    """[R, M] weights of each regime: the first as given; in every other a quarter vanish and a quarter change sign."""
    by_regime = np.tile(weights, (plan.regimes, 1))
    few = max(1, round(CHANGED * len(weights)))
    for r in range(1, plan.regimes):
        pick = plan.rng("regime", r).permutation(len(weights))
        by_regime[r, pick[:few]] = 0.0
        by_regime[r, pick[few : 2 * few]] *= -1.0
    return by_regime
