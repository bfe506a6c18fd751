"""Scores of a graph against a known one. Three targets, each by itself: window, summary and instantaneous graph.

Self links are never counted. Beside every score stands what an empty graph and a random graph would get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from rcgnn.errors import InputError
from rcgnn.evaluate.truth import Truth
from rcgnn.graph import LINK, UNDECIDED, CausalGraph
from rcgnn.series import BoolArray, FloatArray

TARGETS = ("window", "summary", "instantaneous")


@dataclass(frozen=True, eq=False)
class Case:
    """One target: arrays [K', N, N] (K' = K+1 for the window graph, else 1).

    Attributes:
        truth: True where there is a link.
        found: True where the verdict is `link`.
        score: evidence, >= 0.
        undecided: True where the verdict is `undecided`; such pairs count as not found.
    """

    truth: BoolArray
    found: BoolArray
    score: FloatArray
    undecided: BoolArray

    @property
    def off_diagonal(self) -> BoolArray:
        """[K', N, N] the pairs that can be links."""
        return np.broadcast_to(~np.eye(self.truth.shape[-1], dtype=bool), self.truth.shape)

    @property
    def counts(self) -> tuple[int, int, int]:
        """(possible links, true links, links found)."""
        return int(self.off_diagonal.sum()), int(self.truth.sum()), int(self.found.sum())

    @property
    def hits(self) -> int:
        """True links that were found."""
        return int((self.truth & self.found).sum())


def links_true(case: Case) -> float:
    """Links that are there."""
    return case.counts[1]


def links_found(case: Case) -> float:
    """Links that were claimed."""
    return case.counts[2]


def undecided(case: Case) -> float:
    """Pairs left open; every other score counts them as not found."""
    return int((case.undecided & ~case.found).sum())


def prevalence(case: Case) -> float | None:
    """True links over possible links; also the AUPRC of a random ranking."""
    possible, true, _ = case.counts
    return true / possible if possible else None


def shd(case: Case) -> float:
    """Structural Hamming distance: missing plus false links; a link found in reverse, at the same lag, counts once."""
    wrong = int((case.truth ^ case.found).sum())
    missed, false = case.truth & ~case.found, case.found & ~case.truth
    return wrong - int((missed & np.swapaxes(false, -1, -2)).sum())


def precision(case: Case) -> float | None:
    """Hits over links found; None when nothing was found."""
    return _ratio(case.hits, case.counts[2])


def recall(case: Case) -> float | None:
    """Hits over true links; None when there are none."""
    return _ratio(case.hits, case.counts[1])


def f1(case: Case) -> float | None:
    """`2 hits / (true + found)`; None when both graphs are empty."""
    _, true, found = case.counts
    return _ratio(2 * case.hits, true + found)


def auroc(case: Case) -> float | None:
    """Chance that a true link scores above a false one, ties half; None without links or without non-links."""
    return _ranking(case, "roc_auc_score")


def auprc(case: Case) -> float | None:
    """Average precision of the ranking by score, ties as one step; None without links or without non-links."""
    return _ranking(case, "average_precision_score")


def empty_shd(case: Case) -> float:
    """SHD of the graph without links: the number of true links."""
    return case.counts[1]


def empty_f1(case: Case) -> float | None:
    """F1 of the graph without links: 0, None when that is the truth."""
    return 0.0 if case.counts[1] else None


def random_shd(case: Case) -> float | None:
    """Expected SHD of as many links as were found, put anywhere with equal chance; a reversal counts once, as in `shd`.

    With P possible, t true, m found: `t + m - 2 t m / P - t' (m/P) (P-m)/(P-1)`, t' = true links without a true reverse.
    """
    possible, true, found = case.counts
    if possible < 2:
        return None
    one_way = int((case.truth & ~np.swapaxes(case.truth, -1, -2)).sum())
    share = found / possible
    return true + found - 2 * true * share - one_way * share * (possible - found) / (possible - 1)


def random_f1(case: Case) -> float | None:
    """Expected F1 of as many links as were found, put anywhere with equal chance: `2 t m / (P (t + m))`."""
    possible, true, found = case.counts
    return _ratio(2 * true * found, possible * (true + found))


METRICS: dict[str, Callable[[Case], float | None]] = {
    "links_true": links_true,
    "links_found": links_found,
    "undecided": undecided,
    "shd": shd,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "auroc": auroc,
    "auprc": auprc,
    "prevalence": prevalence,
    "empty_shd": empty_shd,
    "empty_f1": empty_f1,
    "random_shd": random_shd,
    "random_f1": random_f1,
}
"""Every metric; each is a field of `Scores`."""


@dataclass(frozen=True)
class Scores:
    """What `METRICS` say about one target; None where a metric is not defined."""

    links_true: int
    links_found: int
    undecided: int
    shd: int
    precision: float | None
    recall: float | None
    f1: float | None
    auroc: float | None
    auprc: float | None
    prevalence: float | None
    empty_shd: int
    empty_f1: float | None
    random_shd: float | None
    random_f1: float | None

    @property
    def random_auprc(self) -> float | None:
        """AUPRC of a random ranking: the prevalence."""
        return self.prevalence

    def as_dict(self) -> dict[str, float | None]:
        """Plain values by name, for tables and JSON."""
        return asdict(self)


def score(graph: CausalGraph, truth: Truth) -> dict[str, Scores | None]:
    """Scores by target: `window`, `summary`, `instantaneous`; None where the truth does not know that target.

    A pair's summary score is its largest score over the lags; its summary verdict is `link` when any lag is one,
    otherwise `undecided` when any lag is. Where graph and truth reach differently far back, the missing lags hold no links.

    Raises:
        InputError: graph and truth have different numbers of sensors.

    Example:
        >>> links = np.zeros((2, 3, 3)); links[1, 0, 1] = links[0, 2, 1] = 1
        >>> graph = CausalGraph.of(("a", "b", "c"), links, (links > 0).astype(np.int8))
        >>> {target: s.f1 for target, s in score(graph, Truth.of(links)).items()}
        {'window': 1.0, 'summary': 1.0, 'instantaneous': 1.0}
    """
    n = len(truth.summary)
    if len(graph.names) != n:
        raise InputError(f"score: the graph has {len(graph.names)} sensors, the truth {n}; both must come from the same table.")
    link, open_ = graph.verdict == LINK, graph.verdict == UNDECIDED
    any_link = link.any(axis=0)
    cases: dict[str, Case | None] = dict.fromkeys(TARGETS)
    cases["summary"] = _case(truth.summary, any_link, graph.score.max(axis=0), open_.any(axis=0) & ~any_link)
    if truth.window is not None:
        lags = max(len(truth.window), len(link))
        cases["window"] = Case(*(_deep(array, lags) for array in (truth.window, link, graph.score, open_)))
        cases["instantaneous"] = _case(truth.window[0], link[0], graph.score[0], open_[0])
    return {target: None if case is None else measure(case) for target, case in cases.items()}


def measure(case: Case) -> Scores:
    """All metrics of one target."""
    return Scores(**{name: metric(case) for name, metric in METRICS.items()})  # type: ignore[arg-type]  # counts are whole numbers


def _case(truth: BoolArray, found: BoolArray, evidence: FloatArray, open_: BoolArray) -> Case:
    return Case(truth[None], found[None], evidence[None], open_[None])


def _deep(array: np.ndarray, lags: int) -> np.ndarray:
    return np.pad(array, ((0, lags - len(array)), (0, 0), (0, 0)))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _ranking(case: Case, name: str) -> float | None:
    from sklearn import metrics

    labels, scores = case.truth[case.off_diagonal], case.score[case.off_diagonal]
    if labels.all() or not labels.any():
        return None
    return float(getattr(metrics, name)(labels, scores))
