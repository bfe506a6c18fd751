"""What later stages need of a screen, small enough to be kept, and the whole of it again from the sample.

The tables of features are made anew, which takes moments and gives the same numbers. The moments of each target are left out: beside
prior knowledge, where a screen is not kept, only strengths, the p-values of curves and the doubts about directions ask for them, and they
are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rcgnn.pack import kinds
from rcgnn.screen.drivers import Drivers
from rcgnn.screen.features import BASES, Features, Offer, Sample, build
from rcgnn.screen.gram import Dense
from rcgnn.screen.order import Ordered
from rcgnn.screen.partial import Partial
from rcgnn.screen.score import Evidence
from rcgnn.screen.search import Local
from rcgnn.screen.structural import Screened, repeated
from rcgnn.screen.turning import told
from rcgnn.series import BoolArray, FloatArray, taken

NO_GRAM = Dense(np.zeros((0, 0)))


@dataclass(frozen=True, eq=False)
class Stored:
    """A `Screened` without tables and moments; for the fields see there.

    Attributes:
        labels: of each target lag [P], owner [P, 2], value [N], rows and required features.
        models: of each target chosen and forced features, and their cost.
        width: features per sensor and lag.
    """

    score: FloatArray
    log_p: FloatArray
    evidence: Evidence
    parents: tuple[frozenset[int], ...]
    reversal: FloatArray
    models: list[tuple[np.ndarray, np.ndarray, float]]
    labels: list[tuple[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray]]
    bases: tuple[str, ...]
    value: dict[str, float]
    tests: int
    offers: list[Offer]
    gamma: float
    drivers: Drivers | None
    strength: FloatArray
    luck: FloatArray
    told: BoolArray
    width: int

    @classmethod
    def of(cls, screened: Screened, strength: FloatArray) -> Stored:
        """What is kept of a screen that was made without prior knowledge.

        Args:
            screened: the screen.
            strength: its strengths, see `select.effects`.
        """
        order = screened.ordered
        return cls(
            screened.score,
            screened.log_p,
            screened.evidence,
            order.parents,
            order.reversal,
            [(one.chosen, one.forced, one.cost) for one in order.locals],
            [(one.lag, one.owner, one.value, one.rows, one.required) for one in screened.features],
            screened.bases,
            screened.value,
            screened.tests,
            screened.offers,
            screened.gamma,
            screened.drivers,
            strength,
            screened.by_luck(),
            told(screened),
            screened.tables.width,
        )

    def again(self, sample: Sample) -> Screened:
        """The screen of the sample it was made from."""
        basis = next(name for name, width in BASES.items() if width == self.width)
        tables = build(sample.signal, sample.segments, max_lag=sample.max_lag, basis=basis)
        nothing = Partial(NO_GRAM, 0, np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0), np.zeros(0))
        models = tuple(Local(chosen, forced, cost, nothing) for chosen, forced, cost in self.models)
        return Screened(
            self.score,
            self.log_p,
            self.evidence,
            Ordered(self.parents, models, self.reversal),
            self.bases,
            self.value,
            self.tests,
            [Features(NO_GRAM, lag, owner, value, rows, np.zeros(len(lag)), required) for lag, owner, value, rows, required in self.labels],
            tables if self.drivers is None else repeated(tables),
            taken(sample.keep, tables.time),
            self.offers,
            self.gamma,
            self.drivers,
            rows=sample.rows,
            strength=self.strength,
            luck=self.luck,
            told=self.told,
        )


KINDS = kinds(Stored, Evidence, Offer, Drivers)
