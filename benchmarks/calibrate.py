"""The weights of `select.confidence`: a logistic regression on simulated candidates, and its reliability on systems left out.

    python benchmarks/calibrate.py [--jobs 2]

Seeds are for tuning alone; benchmark reports use others.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

SUITES = Path(__file__).parent / "suites"
TUNING = {"traits": range(6), "families": range(2), "short": range(3), "null": range(4), "wide": range(1)}
BINS = 10


@dataclass(frozen=True)
class Candidates:
    """Candidates of one table: what the screen knows, whether the pair is linked, and whether it was decided to be."""

    system: str
    traits: NDArray
    true: NDArray
    link: NDArray


def candidates(case: Any) -> Candidates:
    """Fit one simulated table and compare its candidates with the truth."""
    from rcgnn.bench.job import table
    from rcgnn.config import Config
    from rcgnn.pipeline import fit_series
    from rcgnn.select.confidence import WEIGHTS, traits

    series, truth, max_lag = table(case)
    done = fit_series(series, Config().override([f"data.max_lag={max_lag}", "select.refine=off"]))
    if done.screened is None or done.decision is None or done.prepared is None:
        return Candidates(case.system, np.zeros((0, len(WEIGHTS))), np.zeros(0, bool), np.zeros(0, bool))
    keys, known = traits(done.screened, done.decision.held, done.decision.chance)
    active = done.prepared.active
    k, i, j = keys.T
    return Candidates(case.system, known, truth.summary[active[i], active[j]], done.decision.verdict[k, i, j] == 1)


def cases() -> list[Any]:
    """Every table of the tuning suites."""
    from rcgnn.bench.conduct import Plan, jobs_of
    from rcgnn.bench.suite import read_suite

    found = []
    for name, seeds in TUNING.items():
        jobs, _ = jobs_of(read_suite(SUITES / f"{name}.yaml"), Plan(methods=("rcgnn",), seeds=tuple(seeds)))
        found += [job.case for job in jobs]
    return found


def regression() -> Pipeline:
    """Traits of unit variance, a little shrunk."""
    return make_pipeline(StandardScaler(), LogisticRegression())


def reliability(sure: NDArray, true: NDArray) -> list[str]:
    """A Markdown row for each bin of confidence."""
    index = np.minimum((sure * BINS).astype(int), BINS - 1)
    rows = []
    for b in np.unique(index):
        mine = index == b
        rows.append(f"| {b / BINS:.1f} to {(b + 1) / BINS:.1f} | {mine.sum()} | {sure[mine].mean():.2f} | {true[mine].mean():.2f} |")
    return ["| confidence | candidates | mean confidence | true |", "|---|---|---|---|", *rows]


def main() -> None:
    """Fit all tables, print the weights, then the reliability of each system by weights that never saw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    jobs = parser.parse_args().jobs
    from rcgnn.select.confidence import WEIGHTS

    with ProcessPoolExecutor(jobs) as pool:
        found = list(pool.map(candidates, cases(), chunksize=4))
    system = np.repeat([one.system for one in found], [len(one.true) for one in found])
    known, true, link = (np.concatenate([getattr(one, name) for one in found]) for name in ("traits", "true", "link"))
    model = regression().fit(known, true)
    scale, logistic = model[0], model[1]
    weights = logistic.coef_[0] / scale.scale_
    print(f"INTERCEPT = {logistic.intercept_[0] - weights @ scale.mean_:.3f}")
    for name, weight in zip(WEIGHTS, weights, strict=True):
        print(f'    "{name}": {weight:.3f},')
    sure = np.zeros(len(true))
    for left_out in np.unique(system):
        mine = system == left_out
        sure[mine] = regression().fit(known[~mine], true[~mine]).predict_proba(known[mine])[:, 1]
    print("\n## All candidates, each by weights that never saw its system\n", *reliability(sure, true), sep="\n")
    print("\n## Links among them\n", *reliability(sure[link], true[link]), sep="\n")
    for one in np.unique(system):
        print(f"\n## {one}\n", *reliability(sure[system == one], true[system == one]), sep="\n")


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    main()
