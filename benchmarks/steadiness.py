"""Do the links stay when nothing about the system changes: other units, another order of columns, another seed?

    python benchmarks/steadiness.py                      # writes benchmarks/results/<date>-steadiness.md

Jaccard index |A and B| / |A or B| of the links (cause, effect and lag) and of the pairs, against the fit with the defaults.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from dated import source, write

from rcgnn.bench.job import Case
from rcgnn.bench.job import table as made
from rcgnn.bench.markdown import number, table, today
from rcgnn.bench.suite import parse_seeds
from rcgnn.config import Config
from rcgnn.graph import Key
from rcgnn.pipeline import fit_series
from rcgnn.series import Series

SYSTEMS = ("linear", "nonlinear", "lorenz96", "seasonal_links", "feedback")
CELLS = ("clean", "mcar40", "outage30", "compound")
CHANGES = ("units", "columns", "seed")


def links(series: Series, max_lag: int, seed: int = 1337) -> set[Key]:
    """The links of one fit; the network changes none."""
    settings = [f"data.max_lag={max_lag}", f"seed={seed}", "select.refine=off"]
    return set(fit_series(series, Config().override(settings)).graph.links())


def overlap(a: set[Key], b: set[Key]) -> float:
    """Jaccard; 1 where both are empty."""
    return len(a & b) / len(a | b) if a | b else 1.0


def pairs(found: set[Key]) -> set[Key]:
    """The same without lags."""
    return {(0, i, j) for _, i, j in found}


def steadiness(case: Case) -> dict[str, tuple[float, float]]:
    """For each change the Jaccard index of the links and of the pairs."""
    series, _, max_lag = made(case)
    rng = np.random.default_rng(case.seed)
    order = rng.permutation(series.shape[1])
    unit, zero = 10.0 ** rng.uniform(-4, 4, series.shape[1]), rng.standard_normal(series.shape[1])
    before = links(series, max_lag)
    turned = links(series.sensors(order.tolist()), max_lag)
    after = {
        "units": links(series.with_values(series.values * unit + zero * unit, series.mask), max_lag),
        "columns": {(k, int(order[i]), int(order[j])) for k, i, j in turned},
        "seed": links(series, max_lag, seed=1),
    }
    return {change: (overlap(before, found), overlap(pairs(before), pairs(found))) for change, found in after.items()}


def report(cases: list[Case], found: list[dict[str, tuple[float, float]]]) -> str:
    """The dated page: a row a table, and the means."""
    rows = [
        [case.system, case.cell, str(case.seed), *(" / ".join(number(v, 2) for v in one[c]) for c in CHANGES)]
        for case, one in zip(cases, found, strict=True)
    ]
    means = [" / ".join(number(float(np.mean([one[c][n] for one in found])), 3) for n in (0, 1)) for c in CHANGES]
    title = [
        f"# Steadiness, {today()}",
        "",
        "Jaccard of links with lags / of pairs, against the same table fitted with the defaults.",
        *source(),
        "",
    ]
    return "\n".join([*title, *table(["system", "cell", "seed", *CHANGES], [*rows, ["mean", "", "", *means]])]) + "\n"


def main() -> int:
    """Fit every table four times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=parse_seeds, default=parse_seeds("14000:14001"), metavar="FIRST:LAST")
    parser.add_argument("--systems", type=lambda text: text.split(","), default=SYSTEMS)
    parser.add_argument("--cells", type=lambda text: text.split(","), default=CELLS)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    cases = [Case(s, c, seed, given.rows, max_lag=None) for s in given.systems for c in given.cells for seed in given.seeds]
    with ProcessPoolExecutor(given.jobs) as pool:
        found = list(pool.map(steadiness, cases))
    write(report(cases, found), given.out, "steadiness")
    return 0


if __name__ == "__main__":
    sys.exit(main())
