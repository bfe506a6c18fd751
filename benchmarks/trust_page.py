"""The page of `trust.py`: shares with their intervals, a table a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from trust_systems import CONFIDENT, TOYS

from rcgnn.bench.markdown import number, table
from rcgnn.bench.statistics import BINS, Reliability, reliability

Line = dict[str, Any]
RESAMPLES = 400
FELL = 0.05
"""A confidence that falls by more has fallen."""


def share(hits: int, of: int) -> str:
    """`hits of of (share, 95 % interval of Clopper and Pearson)`.

    Example:
        >>> share(0, 20)
        '0 of 20: .000 (.000 to .168)'
    """
    if not of:
        return "-"
    low, high = stats.binomtest(hits, of).proportion_ci()
    return f"{hits} of {of}: {hits / of:.3f} ({low:.3f} to {high:.3f})".replace(" 0.", " .").replace("(0.", "(.")


def steadiness(lines: Sequence[Line]) -> list[str]:
    """What a change of nothing does to the links."""
    text = [
        "## What must not change the links",
        "",
        f"{len(lines)} tables. Sure: confidence at least {CONFIDENT}; a link is a cause, an effect and a lag.",
        "",
    ]
    rows = []
    for what in lines[0]["found"]:
        for label, some in (
            *((key[0], mine) for key, mine in _by(lines, "system")),
            ("all", lines),
            ("gaps", [x for x in lines if x["gaps"]]),
        ):
            if some:
                rows.append([what, label, *_kept([line["found"][what] for line in some])])
    head = ["change", "system", "tables with the same links", "Jaccard", "sure links lost", "sure links gained",
            "sure links that lost .05 of confidence", "links of the sensor added"]  # fmt: skip
    return [*text, *table(head, rows)]


def _kept(found: Sequence[Line]) -> list[str]:
    total = {name: sum(one[name] for one in found) for name in found[0]}
    shares = share(total["same"], len(found)), number(total["jaccard"] / len(found)), share(total["lost"], total["sure"])
    return [*shares, str(total["gained"]), share(total["fell"], total["sure"]), str(total["drawn"])]


def recordings(lines: Sequence[Line]) -> list[str]:
    """What new recordings of the same system do to the confidence of true links."""
    counts = list(lines[0]["found"])
    rows = []
    for label, some in (*((key[0], mine) for key, mine in _by(lines, "system")), ("all", lines)):
        for count in counts:
            before, now = ([pair for line in some for pair in line["found"][which]] for which in (counts[0], count))
            sure = [(was[0], is_) for was, is_ in zip(before, now, strict=True) if was[0] >= CONFIDENT and was[1]]
            mean = number(float(np.mean([c for c, _ in now])))
            lost = share(sum(not is_[1] for _, is_ in sure), len(sure))
            fell = share(sum(is_[0] < was - FELL for was, is_ in sure), len(sure))
            rows.append(
                [label, count, mean, share(sum(link for _, link in now), len(now)), *([lost, fell] if count != counts[0] else "--")]
            )
    head = ["system", "recordings", "mean confidence of true links", "found", "sure links lost", "sure links that lost .05 of confidence"]
    return [
        "## New recordings of the same system",
        "",
        f"{len(lines)} systems; sure: a link of {CONFIDENT} in one recording.",
        "",
        *table(head, rows),
    ]


def level(lines: Sequence[Line]) -> list[str]:
    """False links where there are none, against the level that was asked for."""
    rows = [[*(str(v) for v in key), *_false(some)] for key, some in _by(lines, "system", "missing")]
    rows += [["all", *(str(v) for v in key), *_false(some)] for key, some in _by(lines, "missing")]
    rows += [[f"all, T = {key[0]}", "both", *_false(some)] for key, some in _by(lines, "rows")]
    rows += [["all", "both", *_false(lines)]]
    return [
        "## Systems without links",
        "",
        f"{lines[0]['pairs']} ordered pairs a table, T = {', '.join(str(k[0]) for k, _ in _by(lines, 'rows'))}. `select.alpha` = .05 is",
        "the level of a whole table: at most one table in twenty may hold a false link.",
        "",
        *table(["system", "missing", "tables with a false link", "false pairs", f"false pairs of confidence {CONFIDENT} or more"], rows),
    ]


def _false(lines: Sequence[Line]) -> list[str]:
    pairs = sum(line["pairs"] for line in lines)
    return [
        share(sum(line["false"] > 0 for line in lines), len(lines)),
        share(sum(line["false"] for line in lines), pairs),
        str(sum(line["sure"] for line in lines)),
    ]


def verdicts(lines: Sequence[Line]) -> list[str]:
    """Small systems: how often the due verdict was given, and how often a confident wrong one."""
    rows = [
        [
            name,
            str(size),
            TOYS[name].promise,
            share(sum(x["due"] for x in some), len(some)),
            share(sum(x["wrong"] for x in some), len(some)),
        ]
        for (name, size), some in _by(lines, "name", "rows")
    ]
    return ["## Small systems and the verdict that is due", "", *table(["system", "T", "due", "got it", "confident and wrong"], rows)]


def calibration(lines: Sequence[Line]) -> list[str]:
    """Confidence and intervals against systems drawn from a prior."""
    clean, gaps = [x for x in lines if not x["missing"]], [x for x in lines if x["missing"]]
    groups = {
        "all": list(lines),
        "T below 400": [x for x in lines if x["rows"] < 400],
        "T 400 to 800": [x for x in lines if 400 <= x["rows"] < 800],
        "T from 800": [x for x in lines if x["rows"] >= 800],
        "complete": clean,
        "up to a fifth missing": [x for x in gaps if x["missing"] < 0.2],
        "a fifth or more missing": [x for x in gaps if x["missing"] >= 0.2],
        **{key[0]: some for key, some in _by(lines, "family")},
    }
    curve = _curve(lines, linked=False)
    bins = [
        [f"{b.low:.1f} to {b.high:.1f}", number(b.confidence, 2), share(round(b.share * b.candidates), b.candidates), _linked(lines, b.low)]
        for b in curve.bins
    ]
    found, true = sum(x["found"] for x in lines), sum(x["true"] for x in lines)
    links = [c for x in lines for c in x["candidates"] if c[2]]
    return [
        "## Calibration over systems drawn from a prior",
        "",
        f"{len(lines)} tables (`trust_tables.from_prior`), {true} linked pairs, {share(found, true)} found;",
        f"of {len(links)} links (with lags) {share(sum(c[1] for c in links), len(links))} are between linked pairs,",
        f"{share(sum(c[3] for c in links), len(links))} at the right lag.",
        "",
        *table(["confidence", "mean", "candidates, true at any lag", "links among them, true"], bins),
        "",
        "Expected calibration error (ECE) with a 95 % interval from tables drawn again with replacement: candidates of one table are not",
        "independent. Too sure by: mean confidence less share true. Rank: p of a chi-square test that the randomised rank of the truth is",
        "uniform; it takes candidates for independent.",
        "",
        *table(
            ["tables", "number", "candidates", "ECE", "interval", "too sure by", "rank"],
            [[name, *_figures(some)] for name, some in groups.items() if some],
        ),
        "",
        "Strengths: share of 95 % intervals that hold the true slope, for links found at their true lag (linear systems); rank of the true",
        "slope in a normal distribution with the interval's centre and width; half width of the standardised strength. Right parents: the",
        "effect's parents, with lags, are the true ones.",
        "",
        *table(
            ["links", "inside", "rank", "median half width"],
            [[name, *_intervals(some)] for name, some in (groups | _by_parents(clean, gaps)).items() if any(x["slopes"] for x in some)],
        ),
    ]


def _by_parents(clean: Sequence[Line], gaps: Sequence[Line]) -> dict[str, list[Line]]:
    def only(lines: Sequence[Line], *, right: bool) -> list[Line]:
        return [line | {"slopes": [s for s in line["slopes"] if s[5] == right]} for line in lines]

    return {
        "right parents": only([*clean, *gaps], right=True),
        "right parents, complete": only(clean, right=True),
        "right parents, gaps": only(gaps, right=True),
        "a parent wrong or missed": only([*clean, *gaps], right=False),
    }


def _by(lines: Sequence[Line], *names: str) -> Iterator[tuple[tuple[Any, ...], list[Line]]]:
    found: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        found.setdefault(tuple(line[name] for name in names), []).append(line)
    yield from found.items()


def _curve(lines: Sequence[Line], *, linked: bool) -> Reliability:
    return reliability([{"confidence": c, "true": t} for x in lines for c, t, link, _ in x["candidates"] if link or not linked])


def _linked(lines: Sequence[Line], low: float) -> str:
    mine = next((b for b in _curve(lines, linked=True).bins if b.low == low), None)
    return share(round(mine.share * mine.candidates), mine.candidates) if mine else "-"


def _figures(lines: Sequence[Line]) -> list[str]:
    """Number of tables and candidates, ECE with interval, bias, and whether ranks are uniform."""
    found = [c for x in lines for c in x["candidates"]]
    if not found:
        return [str(len(lines)), "0", *["-"] * 4]
    sure, true = np.array([c[0] for c in found]), np.array([c[1] for c in found], float)
    low, high = _again(lines, lambda some: _curve(some, linked=False).ece)
    noise = np.random.default_rng(0).random(len(sure))
    rank = np.where(true > 0, 1.0 - sure + sure * noise, (1.0 - sure) * noise)
    ece = number(_curve(lines, linked=False).ece)
    return [str(len(lines)), str(len(found)), ece, f"{number(low)} to {number(high)}", f"{(sure - true).mean():+.3f}", _uniform(rank)]


def _intervals(lines: Sequence[Line]) -> list[str]:
    true, centre, low, high, size, _ = np.array([s for x in lines for s in x["slopes"]]).T
    deviation = np.maximum(high - low, 1e-300) / (2 * stats.norm.ppf(0.975))
    inside = int(((low <= true) & (true <= high)).sum())
    half = number(float(np.median((high - low) / 2 * size)))
    return [share(inside, len(true)), _uniform(stats.norm.cdf((true - centre) / deviation)), half]


def _uniform(rank: NDArray[np.float64]) -> str:
    counts = np.bincount(np.minimum((rank * BINS).astype(int), BINS - 1), minlength=BINS)
    return f"{stats.chisquare(counts).pvalue:.2g}" if len(rank) >= 5 * BINS else "-"


def _again(lines: Sequence[Line], figure: Callable[[Sequence[Line]], float | None]) -> tuple[float, float]:
    """95 % interval of a figure over tables drawn again."""
    rng = np.random.default_rng(0)
    values = [figure([lines[n] for n in rng.integers(len(lines), size=len(lines))]) for _ in range(RESAMPLES)]
    low, high = np.quantile([v for v in values if v is not None], [0.025, 0.975])
    return float(low), float(high)
