#!/usr/bin/env python3
"""The picture of the README: the graph that `fit_series` finds on the built-in station, coloured by the truth, and its losses.

    python3 scripts/readme_picture.py                        # writes docs/assets/station.png
    python3 scripts/readme_picture.py --out elsewhere.png

The truth is used for the colours alone; the fit has no parameter for it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import networkx as nx
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch

from rcgnn.config import Config
from rcgnn.evaluate.comparison import compare
from rcgnn.evaluate.truth import Truth
from rcgnn.graph import CausalGraph
from rcgnn.health import HealthRecord
from rcgnn.pipeline import fit_series
from rcgnn.synth import STATION_CORRUPTION, STATION_SEED, corrupt, simulate

OUTCOMES = {
    "found": ("#1f6f8b", "-", "true link, found"),
    "missed": ("#e07b00", (0, (4, 3)), "true link, missed"),
    "undecided": ("#e07b00", (0, (1, 2)), "true link, undecided"),
    "false": ("#c0392b", "-", "false link"),
}
"""Colour, line and label of each kind of link."""
SWEEPS = 8
"""Passes in which sensors of a column are put beside their causes and effects."""
TAG = (0.5, 0.5)
"""Where on a link its lag stands: half way."""
NODE, EDGE_OF_NODE = "#eef3f5", "#5b6b73"


def columns(links: nx.DiGraph) -> list[list[str]]:
    """Sensors from causes (left) to effects (right), each column ordered so that few links cross."""
    acyclic = nx.condensation(links)
    found = [[name for part in layer for name in sorted(acyclic.nodes[part]["members"])] for layer in nx.topological_generations(acyclic)]
    near = links.to_undirected()
    place: dict[str, float] = {}
    for column in found * SWEEPS:
        column.sort(key=lambda name: (np.mean([place.get(other, 0.5) for other in near[name]] or [0.5]), name))
        place |= _heights(column)
    return found


def _heights(column: list[str]) -> dict[str, float]:
    return {name: (row + 0.5) / len(column) for row, name in enumerate(column)}


def positions(links: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Column and height of every sensor."""
    found = columns(links)
    return {name: (x, -height) for x, column in enumerate(found) for name, height in _heights(column).items()}


def draw_graph(axes: Any, graph: CausalGraph, truth: Truth) -> None:
    """Every link that is true or was found, in the colour of its outcome, with its lag."""
    links = compare(graph, truth)
    drawn = nx.DiGraph()
    drawn.add_nodes_from(graph.names)
    for link in links:
        drawn.add_edge(link.cause, link.effect)
    place = positions(drawn)
    node = {"boxstyle": "round,pad=0.35", "fc": NODE, "ec": EDGE_OF_NODE}
    boxes = {
        name: axes.text(*at, name.replace("_", " "), fontsize=9, ha="center", va="center", bbox=node).get_bbox_patch()
        for name, at in place.items()
    }
    for link in links:
        colour, line, _ = OUTCOMES[link.outcome]
        start, end = place[link.cause], place[link.effect]
        look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 12, "color": colour, "lw": 1.6, "linestyle": line, "zorder": 4}
        axes.add_patch(FancyArrowPatch(start, end, patchA=boxes[link.cause], patchB=boxes[link.effect], **look))
        tag = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"}
        text = "now" if link.lag == 0 else str(link.lag)
        axes.text(
            *np.average([start, end], axis=0, weights=TAG), text, color=colour, fontsize=8, ha="center", va="center", bbox=tag, zorder=5
        )
    for outcome, (colour, line, label) in OUTCOMES.items():
        count = sum(link.outcome == outcome for link in links)
        axes.plot([], [], color=colour, linestyle=line, label=f"{label}: {count}")
    axes.set(xlim=(-0.45, max(x for x, _ in place.values()) + 0.45), ylim=(-1.06, 0.02))
    axes.axis("off")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(OUTCOMES), frameon=False, fontsize=8)
    axes.set_title("Which sensor drives which, after how many rows (now = within one row)", fontsize=10)


def draw_losses(axes: Any, records: list[HealthRecord]) -> None:
    """Training and held-out loss of the network by epoch, and what own history alone reaches."""
    held_out = [(r.epoch, r.loss.val, r.loss.self_baseline) for r in records if r.loss.val is not None]
    epochs, losses, alone = zip(*held_out, strict=True)
    axes.plot([r.epoch for r in records], [r.loss.train for r in records], color="#9aa8ae", lw=1.2, label="training rows")
    axes.plot(epochs, losses, color="#1f6f8b", lw=1.8, label="held-out blocks")
    axes.plot(epochs, alone, color="#e07b00", lw=1.2, linestyle="--", label="held-out, own past only")
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel("log forecast error (lower is better)", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("The network on the screen's candidate links", fontsize=10)


def picture(out: Path) -> None:
    """Simulate, fit, draw."""
    station = simulate("station", seed=STATION_SEED)
    readings = corrupt(station.series, STATION_CORRUPTION, seed=STATION_SEED)
    fit = fit_series(readings, Config())
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=(2.3, 1), layout="constrained")
    draw_graph(left, fit.graph, Truth.of(station.truth))
    draw_losses(right, fit.records)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110, metadata={"Software": None})
    plt.close(figure)
    print(f"wrote {out} ({out.stat().st_size / 1000:.0f} kB): {fit.graph.conclusion}")


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description="Draw the picture of the README.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "assets" / "station.png")
    picture(parser.parse_args().out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
