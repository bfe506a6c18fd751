"""Pictures of a benchmark report as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rcgnn.bench.statistics import Ranks, Reliability
from rcgnn.report.picture import WIDTH, picture

Lines = Mapping[str, Sequence[tuple[float, float | None]]]
"""Points (severity, score) by method."""


def draw_ranks(path: Path, ranks: Ranks) -> None:
    """Mean ranks on a line, best left; methods under one bar do not differ at .05. Source: Demsar 2006, figure 1."""
    names, values = list(ranks.mean), list(ranks.mean.values())
    half = (len(names) + 1) // 2
    bars = cliques(values, ranks.critical or 0.0)
    top = 0.6 + 0.25 * len(bars)
    with picture(path, (WIDTH, 1.2 + 0.25 * (half + len(bars)))) as (axes,):
        axes.set(xlim=(0.5, len(names) + 0.5), ylim=(top + 0.5 * half + 0.3, -1.2))
        axes.axis("off")
        axes.hlines(0, 1, len(names), color="black")
        for tick in range(1, len(names) + 1):
            axes.vlines(tick, -0.1, 0.1, color="black")
            axes.text(tick, -0.2, str(tick), ha="center", va="bottom")
        for place, (name, value) in enumerate(zip(names, values, strict=True)):
            left = place < half
            end, depth = (0.95, top + 0.5 * place) if left else (len(names) + 0.05, top + 0.5 * (len(names) - 1 - place))
            axes.plot([value, value, end], [0, depth, depth], color="0.3", linewidth=0.8)
            text = f"{name}  {value:.2f}" if left else f"{value:.2f}  {name}"
            axes.text(end, depth, f"{text} " if left else f" {text}", ha="right" if left else "left", va="center", clip_on=False)
        for number, (first, last) in enumerate(bars):
            axes.hlines(0.3 + 0.25 * number, first - 0.04, last + 0.04, color="tab:blue", linewidth=3)
        if ranks.critical is not None:
            axes.hlines(-0.9, 1, 1 + ranks.critical, color="tab:blue", linewidth=2)
            axes.text(1 + ranks.critical, -0.9, f"  critical difference {ranks.critical:.2f}", va="center")


def cliques(values: Sequence[float], critical: float) -> list[tuple[float, float]]:
    """The widest stretches of sorted mean ranks that are no further apart than the critical difference.

    Example:
        >>> cliques([1.0, 1.5, 2.2, 4.0], 1.0)
        [(1.0, 1.5), (1.5, 2.2)]
    """
    found: list[tuple[float, float]] = []
    for first in values:
        last = max(value for value in values if value - first <= critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def draw_severity(path: Path, panels: Mapping[str, Lines], score: str) -> None:
    """One panel a fault: score against severity, one line a method."""
    with picture(path, (WIDTH, 2.6 * -(-len(panels) // 3)), len(panels)) as all_axes:
        for axes, (fault, lines) in zip(all_axes, panels.items(), strict=True):
            for method, points in lines.items():
                there = [(x, y) for x, y in points if y is not None]
                axes.plot([x for x, _ in there], [y for _, y in there], marker="o", markersize=3, linewidth=1.2, label=method)
            axes.set(title=fault, ylim=(0, 1.03), xlabel="severity", ylabel=score)
        all_axes[0].legend(fontsize=7)


def draw_reliability(path: Path, curves: Mapping[str, Reliability]) -> None:
    """Observed share of true links against confidence, with two standard errors; the diagonal is a probability one can take at its word."""
    with picture(path, (4.2, 4.0)) as (axes,):
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
        for name, curve in curves.items():
            x, y = [b.confidence for b in curve.bins], [b.share for b in curve.bins]
            axes.errorbar(x, y, yerr=[2 * b.error for b in curve.bins], marker="o", markersize=4, linewidth=1.2, capsize=2, label=name)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share of true links")
        axes.legend(loc="upper left", fontsize=8)
