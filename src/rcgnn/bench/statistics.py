"""What is read from the rows: means, distance to the best peer, mean ranks with their critical difference, reliability."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rcgnn.bench.job import OURS
from rcgnn.bench.rows import Row, counted, grouped

COLUMNS: dict[str, tuple[str, int]] = {
    "AUPRC": ("auprc", 3),
    "chance": ("prevalence", 3),
    "AUROC": ("auroc", 3),
    "F1": ("f1", 3),
    "random F1": ("random_f1", 3),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "FDR": ("fdr", 3),
    "SHD": ("shd", 2),
    "empty SHD": ("true", 2),
    "random SHD": ("random_shd", 2),
    "found": ("found", 2),
    "undecided": ("undecided", 2),
    "s": ("seconds", 2),
}
"""Means of a table: heading, column of the rows, decimals."""
CASE = ("block", "system", "cell", "rows", "sensors", "max_lag")
"""What makes two rows tables of one cell."""
BINS = 10
LEVEL = 0.05


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there; None when there are none."""
    there = [v for v in values if v is not None and math.isfinite(v)]
    return sum(there) / len(there) if there else None


def average(rows: Iterable[Row], column: str) -> float | None:
    """Mean of a column, failed runs counted as the empty graph; chance only over tables that have an AUPRC."""
    chance = column == "prevalence"
    return mean(counted(row)[column] for row in rows if not chance or 0 < (row[column] or 0) < 1)


def means(rows: Sequence[Row]) -> dict[str, float | None]:
    """`runs`, `failed`, and the means of `COLUMNS`.

    Precision is the mean over runs that found something; FDR counts the others as 0.
    """
    failed = sum(row["error"] is not None for row in rows)
    return {"runs": len(rows), "failed": failed, **{name: average(rows, column) for name, (column, _) in COLUMNS.items()}}


class Distance(NamedTuple):
    """How far rcgnn is from the best other method of a cell; above 0 it leads."""

    case: tuple[object, ...]
    peer: str
    ours: float
    theirs: float

    @property
    def ahead(self) -> float:
        """Ours less theirs."""
        return self.ours - self.theirs


def distances(rows: Sequence[Row], column: str) -> list[Distance]:
    """Our default against the best peer of each cell (mean over seeds), the widest gap behind first."""
    found = []
    for case, some in grouped(rows, *CASE).items():
        by_method = {m: average(of, column) for (m,), of in grouped(some, "method").items()}
        ours = by_method.pop(OURS, None)
        theirs = {m: value for m, value in by_method.items() if value is not None}
        if ours is not None and theirs:
            best = max(theirs, key=lambda m: theirs[m])
            found.append(Distance(case, best, ours, theirs[best]))
    return sorted(found, key=lambda d: d.ahead)


class Ranks(NamedTuple):
    """Mean ranks of methods over tables.

    Attributes:
        mean: by method, 1 is best; ties share.
        tables: over how many tables: those that every method finished and on which the score is defined.
        critical: two mean ranks further apart than this differ at the level .05 (Nemenyi); None with one method or no table.
        p: of the hypothesis that all methods are alike (Friedman); None with fewer than three methods.
    """

    mean: dict[str, float]
    tables: int
    critical: float | None
    p: float | None


def ranks(rows: Sequence[Row], column: str) -> Ranks:
    """Mean ranks, Friedman's p and Nemenyi's critical difference.

    Formula:
        CD = q sqrt(k (k+1) / (6 n)),  q = studentized range of k groups at .95, infinite degrees of freedom, over sqrt(2)

    k methods, n tables. The tables of one system and seed are not independent, so the CD is too small rather than too large.

    Source: Demsar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, section 3.2.2.

    Example:
        >>> base = {**dict.fromkeys(("block", "system", "cell", "rows", "sensors", "max_lag", "error", "true")), "target": "summary"}
        >>> some = [{**base, "seed": s, "method": m, "f1": v} for s in range(3) for m, v in (("a", 0.9), ("b", 0.2))]
        >>> ranks(some, "f1").mean
        {'a': 1.0, 'b': 2.0}
    """
    from scipy import stats

    methods = list(dict.fromkeys(row["method"] for row in rows))
    scores = []
    for some in grouped(rows, *CASE, "seed").values():
        by_method = {row["method"]: row[column] for row in some if row["error"] is None and row[column] is not None}
        if len(by_method) == len(methods):
            scores.append([by_method[m] for m in methods])
    k, n = len(methods), len(scores)
    if k < 2 or n == 0:
        return Ranks({}, n, None, None)
    rank = np.mean([stats.rankdata([-value for value in row]) for row in scores], axis=0)
    critical = float(stats.studentized_range.ppf(1 - LEVEL, k, np.inf)) / math.sqrt(2) * math.sqrt(k * (k + 1) / (6 * n))
    p = None
    if k > 2 and n > 1:
        with np.errstate(all="ignore"):
            p = float(stats.friedmanchisquare(*np.transpose(scores)).pvalue)
    order = np.argsort(rank, kind="stable")
    return Ranks({methods[m]: float(rank[m]) for m in order}, n, critical, None if p is None or math.isnan(p) else p)


class Bin(NamedTuple):
    """Candidates of like confidence.

    Attributes:
        low, high: edges; the upper one belongs to the last bin alone.
        candidates: how many.
        confidence: their mean confidence.
        share: how many of them are true.
        error: standard error of the share, never 0: (share n + 1) / (n + 2) is put in.
    """

    low: float
    high: float
    candidates: int
    confidence: float
    share: float
    error: float


class Reliability(NamedTuple):
    """Does a confidence of .8 mean true in eight of ten cases?

    Attributes:
        bins: those with candidates in them.
        ece: expected calibration error: mean |share - confidence| over bins, weighted by candidates.
        worst: largest |share - confidence| of a bin with at least 20 candidates; None when there is no such bin.
    """

    bins: list[Bin]
    ece: float | None
    worst: float | None


LEAST_IN_BIN = 20


def reliability(links: Sequence[Row], true: str = "true") -> Reliability:
    """Observed share of true links by confidence, in ten bins of equal width.

    Formula:
        ECE = sum_b (n_b / n) |share_b - confidence_b|

    Source: Naeini, Cooper and Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI.

    Args:
        links: rows with `confidence` in (0, 1].
        true: column that says whether the link is there: `true` at its lag, `pair_true` at any lag; rows in which it is None
            do not count.

    Example:
        >>> found = reliability([{"confidence": 0.9, "true": True}, {"confidence": 0.9, "true": False}])
        >>> round(found.ece, 3), found.worst, found.bins[0].share
        (0.4, None, 0.5)
    """
    links = [row for row in links if row[true] is not None]
    sure = np.array([row["confidence"] for row in links], np.float64)
    hit = np.array([row[true] for row in links], bool)
    index = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = []
    for b in np.unique(index).tolist():
        inside = index == b
        count, hits = int(inside.sum()), int(hit[inside].sum())
        guess = (hits + 1) / (count + 2)
        error = math.sqrt(guess * (1 - guess) / count)
        bins.append(Bin(b / BINS, (b + 1) / BINS, count, float(sure[inside].mean()), hits / count, error))
    off = [(b.candidates, abs(b.share - b.confidence)) for b in bins]
    return Reliability(
        bins,
        sum(n * gap for n, gap in off) / len(links) if links else None,
        max((gap for n, gap in off if n >= LEAST_IN_BIN), default=None),
    )
