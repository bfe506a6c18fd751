"""`CausalGraph`: the one answer. What is printed, returned, stored and drawn is this object.

The index convention, said once: **`[k, i, j]` - sensor i at time t-k drives sensor j at time t**; k = 0 is a link
within one time step. Three targets are read from it: the window graph (all k), the summary graph (any k), and the
instantaneous graph (k = 0). The diagonal (a sensor's own past) is always allowed, never a link, never counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.drawing.card import card
from rcgnn.errors import InputError
from rcgnn.formats import VERSION, GraphFile, NewerError, checked, parsed

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

FloatArray = NDArray[np.float64]

LINK, NONE, UNDECIDED = 1, 0, -1
VERDICT_NAMES = {LINK: "link", NONE: "none", UNDECIDED: "undecided"}
SCHEMA_VERSION = VERSION

Key = tuple[int, int, int]


@dataclass(frozen=True)
class Effect:
    """How strong one link is, with 95 % intervals; see `rcgnn.mechanism`.

    Attributes:
        low: lower end of the interval of the graph's `strength`, sd of the effect for one sd of the cause.
        high: upper end.
        in_units: the same slope in sensor units: units of the effect for one unit of the cause.
        in_units_low: lower end of its interval.
        in_units_high: upper end.
        swing: standard deviation of the movement that the cause makes, curves included, in sd of the effect. Equal to the size
            of `strength` where the response is straight, larger where it is curved.

    Raises:
        InputError: a number is not finite, or an interval ends before it begins.
    """

    low: float
    high: float
    in_units: float
    in_units_low: float
    in_units_high: float
    swing: float

    def __post_init__(self) -> None:
        if not np.isfinite(astuple(self)).all() or self.low > self.high:
            raise InputError(f"graph: an effect must hold finite numbers and low <= high, got {self}.")


EFFECT_COLUMNS = tuple(f.name for f in fields(Effect))


@dataclass(frozen=True)
class Slope:
    """Strength of one link in one operating mode, with its 95 % interval; the units are those of `strength` and `Effect.in_units`.

    Raises:
        InputError: a number is not finite, or the interval ends before it begins.
    """

    strength: float
    low: float
    high: float
    in_units: float

    def __post_init__(self) -> None:
        if not np.isfinite(astuple(self)).all() or self.low > self.high:
            raise InputError(f"graph: a slope must hold finite numbers and low <= high, got {self}.")


@dataclass(frozen=True)
class Contrast:
    """Whether one link is the same in all operating modes; see `rcgnn.mechanism.modes`.

    Attributes:
        p: p-value of "the same in all modes", before Holm; None where fewer than two modes could say anything.
        slopes: by mode, of a link that differs; empty: one strength serves all modes.
    """

    p: float | None
    slopes: Mapping[str, Slope] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether the strength is not the same in all modes."""
        return bool(self.slopes)


REGIME_COLUMNS = ("cause", "effect", "lag", "regime", "strength", "low", "high", "in_units", "p", "differs")


@dataclass(frozen=True, eq=False)
class CausalGraph:
    """Which sensor drives which, after how many steps, how strongly, how sure.

    Attributes:
        names: N sensor names; quarantined sensors keep their place.
        score: [K+1, N, N] evidence for each link, >= 0, finite; only its order has a meaning across methods.
        verdict: [K+1, N, N] int8: 1 link, 0 none, -1 undecided.
        strength: [K+1, N, N] standardised effect (sd of j at t for one sd of i at t-k), 0 where there is no link. The
            diagonal of k >= 1 holds the sensor's own memory. With `effects` it is the slope of the refitted linear equation.
        confidence: [K+1, N, N] in [0, 1].
        reasons: why a pair is undecided, or why it is a link that the data did not decide alone, by (k, i, j).
        quarantined: sensors that could not take part, with the reason.
        aliases: near-copies, by name of the sensor that stands for them.
        conclusion: one sentence: what was found, or why nothing could be.
        effects: intervals of the strength and the strength in sensor units, by (k, i, j); links without one are absent.
        regimes: operating modes that were compared; empty where there is one.
        contrasts: the comparison of each link over the modes, by (k, i, j).

    Raises:
        InputError: shapes disagree, a number is not finite, or a contrast belongs to no link or names no mode.

    Example:
        >>> score = np.zeros((2, 2, 2)); score[1, 0, 1] = 9.0
        >>> g = CausalGraph.of(("pump", "flow"), score, (score > 1).astype(np.int8))
        >>> g.links()
        [(1, 0, 1)]
    """

    names: tuple[str, ...]
    score: FloatArray
    verdict: NDArray[np.int8]
    strength: FloatArray
    confidence: FloatArray
    reasons: Mapping[Key, str] = field(default_factory=dict)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    conclusion: str = ""
    effects: Mapping[Key, Effect] = field(default_factory=dict)
    regimes: tuple[str, ...] = ()
    contrasts: Mapping[Key, Contrast] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.names)
        arrays: dict[str, NDArray[Any]] = {
            "score": self.score,
            "verdict": self.verdict,
            "strength": self.strength,
            "confidence": self.confidence,
        }
        for what, array in arrays.items():
            if array.ndim != 3 or array.shape[1:] != (n, n) or array.shape != self.score.shape:
                raise InputError(f"graph: {what} must be [K+1, {n}, {n}] for {n} sensors, got {array.shape}.")
            if not np.isfinite(array).all():
                raise InputError(f"graph: {what} holds a number that is not finite.")
            frozen: NDArray[Any] = np.array(array, dtype=np.int8 if what == "verdict" else np.float64)
            if what in ("score", "verdict"):
                frozen[:, np.arange(n), np.arange(n)] = 0
            frozen.flags.writeable = False
            object.__setattr__(self, what, frozen)
        if any(self.verdict[key] != LINK for key in [*self.effects, *self.contrasts]):
            raise InputError("graph: effects and contrasts belong to decided links alone.")
        if any(not contrast.slopes.keys() <= set(self.regimes) for contrast in self.contrasts.values()):
            raise InputError(f"graph: a contrast names an operating mode that is not among {list(self.regimes)}.")

    @classmethod
    def of(cls, names: tuple[str, ...], score: FloatArray, verdict: NDArray[np.int8], **more: Any) -> CausalGraph:
        """A graph from scores and verdicts alone; strength and confidence default to zero."""
        zeros = np.zeros_like(score, dtype=np.float64)
        return cls(names, score, verdict, more.pop("strength", zeros), more.pop("confidence", zeros), **more)

    @classmethod
    def empty(cls, names: tuple[str, ...], max_lag: int, **more: Any) -> CausalGraph:
        """No link anywhere."""
        shape = (max_lag + 1, len(names), len(names))
        return cls.of(names, np.zeros(shape), np.zeros(shape, np.int8), **more)

    @property
    def max_lag(self) -> int:
        """K: the longest delay looked at, in steps."""
        return self.score.shape[0] - 1

    @property
    def adjacency(self) -> NDArray[np.bool_]:
        """Window graph: [K+1, N, N], True where the verdict is `link`."""
        return self.verdict == LINK

    @property
    def summary(self) -> NDArray[np.bool_]:
        """Summary graph: [N, N], True where i drives j at any lag."""
        return np.asarray(self.adjacency.any(axis=0))

    @property
    def instantaneous(self) -> NDArray[np.bool_]:
        """Instantaneous graph: [N, N], True where i drives j within one step."""
        return self.adjacency[0]

    def links(self) -> list[Key]:
        """Every decided link as (k, i, j), strongest evidence first."""
        return self._ordered(LINK)

    def undecided(self) -> list[Key]:
        """Every open question as (k, i, j), strongest evidence first."""
        return self._ordered(UNDECIDED)

    def _ordered(self, verdict: int) -> list[Key]:
        keys = [(int(k), int(i), int(j)) for k, i, j in np.argwhere(self.verdict == verdict)]
        return sorted(keys, key=lambda key: (-self.score[key], key))

    def rows(self) -> list[dict[str, Any]]:
        """Links, then undecided pairs, one plain dict each: the rows of edges.csv, of the tables and the pictures."""
        return [
            {
                "cause": self.names[i],
                "effect": self.names[j],
                "lag": k,
                "strength": float(self.strength[k, i, j]),
                "confidence": float(self.confidence[k, i, j]),
                "verdict": VERDICT_NAMES[int(self.verdict[k, i, j])],
                "score": float(self.score[k, i, j]),
                "reason": self.reasons.get((k, i, j), ""),
                **{name: getattr(self.effects.get((k, i, j)), name, None) for name in EFFECT_COLUMNS},
            }
            for k, i, j in [*self.links(), *self.undecided()]
        ]

    @property
    def by_regime(self) -> dict[str, FloatArray]:
        """[K+1, N, N] `strength` in each operating mode; what does not differ, and own memory, is the same in all. Empty for one mode."""
        found = {name: np.array(self.strength) for name in self.regimes}
        for key, contrast in self.contrasts.items():
            for name, slope in contrast.slopes.items():
                found[name][key] = slope.strength
        return found

    def regime_rows(self) -> list[dict[str, Any]]:
        """One plain dict a link and operating mode, links in the order of `rows()`: the rows of regimes.csv; none for one mode."""
        rows = []
        for key in self.links() if self.regimes else []:
            k, i, j = key
            common, contrast = self.effects.get(key), self.contrasts.get(key, Contrast(None))
            whole = {"strength": float(self.strength[key])} | {name: getattr(common, name, None) for name in ("low", "high", "in_units")}
            unknown = {"low": None, "high": None, "in_units": None} if contrast.differs else {}
            told = {"p": contrast.p, "differs": contrast.differs}
            for name in self.regimes:
                slope = contrast.slopes.get(name)
                own = whole | unknown if slope is None else dict(zip(("strength", "low", "high", "in_units"), astuple(slope), strict=True))
                rows.append({"cause": self.names[i], "effect": self.names[j], "lag": k, "regime": name, **own, **told})
        return rows

    def edges(self) -> pd.DataFrame:
        """`rows()` as a pandas frame: cause, effect, lag, strength, confidence, verdict, score, reason, and those of `Effect`."""
        import pandas as pd

        columns = ["cause", "effect", "lag", "strength", "confidence", "verdict", "score", "reason", *EFFECT_COLUMNS]
        return pd.DataFrame(self.rows(), columns=columns).astype(dict.fromkeys(EFFECT_COLUMNS, np.float64))

    def to_networkx(self) -> nx.MultiDiGraph:
        """Nodes are sensors, one edge per link with key = lag and attributes lag, strength, confidence, score and those of `Effect`."""
        import networkx as nx

        graph = nx.MultiDiGraph()
        graph.add_nodes_from(self.names)
        attributes = ("lag", "strength", "confidence", "score", *EFFECT_COLUMNS)
        for row in self.rows():
            if row["verdict"] == VERDICT_NAMES[LINK]:
                graph.add_edge(
                    row["cause"], row["effect"], key=row["lag"], **{name: row[name] for name in attributes if row[name] is not None}
                )
        return graph

    def _repr_html_(self) -> str:
        """What a notebook shows: the conclusion, a picture, the links by strength."""
        return card(self.conclusion, self.names, self.rows())

    def to_json(self) -> str:
        """The graph as JSON text; `from_json` gives it back exactly."""
        return json.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "index": "[k, i, j]: sensor i at t-k drives sensor j at t",
                "names": list(self.names),
                "max_lag": self.max_lag,
                "conclusion": self.conclusion,
                "edges": self.rows(),
                "quarantined": dict(self.quarantined),
                "aliases": dict(self.aliases),
                "score": self.score.tolist(),
                "verdict": self.verdict.tolist(),
                "strength": self.strength.tolist(),
                "confidence": self.confidence.tolist(),
                "reasons": [[*key, why] for key, why in sorted(self.reasons.items())],
                "effects": [[*key, *astuple(effect)] for key, effect in sorted(self.effects.items())],
            }
            | ({"regimes": list(self.regimes), "contrasts": _told(self.contrasts)} if self.regimes else {}),
            ensure_ascii=False,
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> CausalGraph:
        """Inverse of `to_json`; a text without effects or operating modes, as older versions wrote it, gives a graph without them.

        Raises:
            InputError: not such a text.
        """
        try:
            raw = checked(parsed(text), GraphFile)
            if len(set(raw.names)) < len(raw.names):
                raise ValueError("two sensors have one name")
            verdict = np.array(raw.verdict, np.float64)
            if not np.isin(verdict, list(VERDICT_NAMES)).all():
                raise ValueError(f"a verdict is none of {sorted(VERDICT_NAMES)}")
            return cls(
                raw.names,
                np.array(raw.score, np.float64),
                verdict.astype(np.int8),
                np.array(raw.strength, np.float64),
                np.array(raw.confidence, np.float64),
                {(k, i, j): why for k, i, j, why in raw.reasons},
                raw.quarantined,
                raw.aliases,
                raw.conclusion,
                {(k, i, j): Effect(*numbers) for k, i, j, *numbers in raw.effects},
                raw.regimes,
                {
                    (k, i, j): Contrast(p, {name: Slope(*numbers) for name, numbers in slopes.items()})
                    for k, i, j, p, slopes in raw.contrasts
                },
            )
        except NewerError as error:
            raise InputError(f"graph.json: {error}.") from error
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"graph.json: not a graph that rcgnn wrote ({error}).") from error


def _told(contrasts: Mapping[Key, Contrast]) -> list[list[Any]]:
    """[k, i, j, p, {mode: [strength, low, high, in_units]}] of every contrast."""
    return [[*key, c.p, {name: list(astuple(slope)) for name, slope in c.slopes.items()}] for key, c in sorted(contrasts.items())]
