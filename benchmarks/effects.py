"""Strengths and forecasts through the whole pipeline: do the intervals hold the true slopes, and do forecasts hold on new rows?

    python benchmarks/effects.py                   # writes benchmarks/results/<date>-effects.md

Linear systems, whose slopes in sensor units are known exactly. Only links found at their true lag count: a wrong link has no true slope.
The last quarter of the rows is left out of the fit and forecast one step ahead.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dated import source, write

from rcgnn.bench.markdown import number, table, today
from rcgnn.bench.suite import parse_seeds
from rcgnn.config import Config
from rcgnn.mechanism.forecast import forecast
from rcgnn.pipeline import fit_series
from rcgnn.synth import corrupt, parse_corruption, simulate

CELLS = ("clean", "missing=0.3", "outage=0.3", "noise=0.3", "outliers=0.01", "drift=1", "compound")
SEEDS = "8800:8810"
HEAD = ("cell", "true links", "inside", "median error", "median half width", "R2", "R2 of the last reading", "readings inside")


def one(cell: str, seed: int, given: argparse.Namespace) -> tuple[list[tuple[bool, float, float]], list[tuple[float, float, float]]]:
    """(inside, error, half width) of every true link found, in strengths; (R2, of the last reading, inside) of every sensor."""
    plant = simulate("linear", seed=seed, rows=given.rows * 4 // 3, sensors=given.sensors)
    faults = {} if cell == "clean" else parse_corruption(cell)
    readings = corrupt(plant.series, faults, seed=seed, truth=plant.truth) if faults else plant.series
    done = fit_series(readings.rows(slice(0, given.rows)), Config().override(["select.refine=off", f"seed={seed}"]))
    sd, links = plant.series.values.std(axis=0), []
    for (k, i, j), effect in done.graph.effects.items():
        if k < len(plant.truth) and plant.truth[k, i, j]:
            true = plant.strength[k, i, j] * sd[j] / sd[i]
            unit = done.graph.strength[k, i, j] / effect.in_units
            half = (effect.in_units_high - effect.in_units_low) / 2
            inside = effect.in_units_low <= true <= effect.in_units_high
            links.append((inside, abs((effect.in_units - true) * unit), abs(half * unit)))
    scores = forecast(done.mechanism, readings.rows(slice(given.rows, None)), set_aside=True).scores()
    return links, [(s.r2, s.persistence, s.inside) for s in scores if s.r2 is not None and s.persistence is not None]


def report(given: argparse.Namespace) -> str:
    """The dated file."""
    rows = []
    for cell in given.cells:
        links, scores = [], []
        for seed in given.seeds:
            more = one(cell, seed, given)
            links += more[0]
            scores += more[1]
        hits, error, half = (np.array(column) for column in zip(*links, strict=True))
        means = np.mean(scores, axis=0)
        figures = (hits.mean(), np.median(error), np.median(half), *means)
        rows.append([cell, str(len(links)), *(number(float(x)) for x in figures)])
    lines = [
        f"# Strengths, intervals and forecasts, {today()}",
        "",
        f"linear, {len(given.seeds)} seeds ({given.seeds[0]} to {given.seeds[-1]}), T = {given.rows}, {given.sensors} sensors,",
        "raw units; rcgnn: select.refine=off.",
        *source(),
        "",
        "`inside`: share of true links found whose 95 % interval holds the true slope in sensor units. Errors and widths are of the",
        "standardised strength. R2: one-step forecasts of rows that the fit has not seen, mean over sensors; `readings inside`: in the",
        "95 % interval of the forecast.",
        "",
        *table(HEAD, rows),
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--seeds", type=parse_seeds, default=parse_seeds(SEEDS))
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--sensors", type=int, default=8)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(argv)
    write(report(given), given.out, "effects")


if __name__ == "__main__":
    main()
