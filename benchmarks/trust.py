"""How far an answer can be trusted: what must not change it, false links where there are none, small systems, calibration.

    python benchmarks/trust.py                          # writes benchmarks/results/<date>-trust.md; about 20 minutes of one core
    python benchmarks/trust.py --parts toys --tables 5  # a first look
    python benchmarks/trust.py --keep trust.json        # interrupted? the same command goes on with the next part

Seeds from 21000 on, never tuned on. The tables are made in `trust_tables.py`, the small systems in `trust_systems.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from dated import source, write
from trust_page import FELL, calibration, level, recordings, steadiness, verdicts
from trust_systems import CONFIDENT, TOYS
from trust_tables import (
    CHANGES,
    NULLS,
    STEADY_LAG,
    STEADY_ROWS,
    STEADY_SENSORS,
    change,
    fitted,
    from_prior,
    kept,
    null_table,
    steady_system,
    steady_table,
)

from rcgnn.bench.job import source_digest
from rcgnn.bench.markdown import today
from rcgnn.synth import simulate

Line = dict[str, Any]
FIRST = 21000
TOY_ROWS = (300, 1000)
RECORDINGS = (1, 2, 4)
NULL_ROWS = (200, 500, 1500)
NULL_GAPS = 0.3


class Part(NamedTuple):
    """One question.

    Attributes:
        tables: how many.
        cases: how many tables, and the first seed -> what to run.
        run: one case -> one line.
        page: the lines -> Markdown.
    """

    tables: int
    cases: Callable[[int, int], list[tuple[Any, ...]]]
    run: Callable[..., Line]
    page: Callable[[Sequence[Line]], list[str]]


def steady(seed: int) -> Line:
    """One table fitted again after each change."""
    series = steady_table(seed)
    before = fitted(series, STEADY_LAG).graph
    found = {}
    for what in CHANGES:
        other, place = change(series, what, seed)
        now = kept(before, fitted(other, STEADY_LAG).graph, place)
        union = len(now.before | now.after)
        found[what] = {
            "same": now.before == now.after,
            "jaccard": len(now.before & now.after) / union if union else 1.0,
            "sure": now.sure_before(CONFIDENT),
            "lost": now.lost(CONFIDENT),
            "gained": now.gained(CONFIDENT),
            "fell": now.fell(CONFIDENT, FELL),
            "drawn": now.drawn,
        }
    return {"system": steady_system(seed), "gaps": not series.mask.all(), "found": found}


def null(system: str, rows: int, missing: float, seed: int) -> Line:
    """One table without links."""
    graph = fitted(null_table(system, seed, rows, missing), 3).graph
    pairs = graph.summary.size - len(graph.names)
    false = graph.adjacency.any(axis=0)
    sure = (graph.adjacency & (graph.confidence >= CONFIDENT)).any(axis=0)
    return {"system": system, "rows": rows, "missing": missing, "pairs": pairs, "false": int(false.sum()), "sure": int(sure.sum())}


def toy(name: str, rows: int, seed: int) -> Line:
    """One table of a small system."""
    graph = TOYS[name].answer(seed, rows)
    return {"name": name, "rows": rows, "due": TOYS[name].due(graph), "wrong": TOYS[name].wrong(graph)}


def prior(seed: int) -> Line:
    """One table from the prior: every candidate with its confidence, and every interval of a link that is there."""
    drawn = from_prior(seed)
    done = fitted(drawn.series, drawn.made.max_lag)
    graph, truth = done.graph, drawn.made.truth
    pair = truth.any(axis=0)
    own = np.eye(len(graph.names), dtype=bool)
    candidates = [
        (float(graph.confidence[k, i, j]), bool(pair[i, j]), bool(graph.adjacency[k, i, j]), bool(truth[k, i, j]))
        for k, i, j in np.argwhere((graph.confidence > 0) & ~own)
    ]
    sd = drawn.made.series.values.std(axis=0)
    size = sd[:, None] / sd[None, :]
    right = [np.array_equal(graph.adjacency[:, :, j] & ~own[:, j], truth[:, :, j]) for j in range(len(own))]
    slopes = [
        (drawn.made.strength[k, i, j] / size[i, j], e.in_units, e.in_units_low, e.in_units_high, float(size[i, j]), right[j])
        for (k, i, j), e in graph.effects.items()
        if drawn.family.startswith("linear") and truth[k, i, j]
    ]
    true = {"rows": len(drawn.series.values), "sensors": len(graph.names), "missing": drawn.missing, "family": drawn.family}
    return true | {"candidates": candidates, "slopes": slopes, "true": int(pair.sum()), "found": int((graph.summary & pair).sum())}


def again(seed: int) -> Line:
    """One system recorded once, twice and four times: the confidence of every true link."""
    made = simulate(steady_system(seed), seed=seed, rows=STEADY_ROWS, sensors=STEADY_SENSORS, recordings=RECORDINGS[-1])
    true = np.argwhere(made.truth)
    found = {}
    for count in RECORDINGS:
        graph = fitted(made.series.rows(slice(0, count * STEADY_ROWS)), STEADY_LAG).graph
        found[str(count)] = [(float(graph.confidence[k, i, j]), bool(graph.adjacency[k, i, j])) for k, i, j in true]
    return {"system": steady_system(seed), "found": found}


def _seeds(count: int, first: int) -> range:
    return range(first, first + count)


def _tables(count: int, first: int) -> list[tuple[Any, ...]]:
    return [(seed,) for seed in _seeds(count, first)]


def _toys(count: int, first: int) -> list[tuple[Any, ...]]:
    return [(name, rows, seed) for name in TOYS for rows in TOY_ROWS for seed in _seeds(count, first)]


def _nulls(count: int, first: int) -> list[tuple[Any, ...]]:
    """A quarter as many tables with gaps: they take ten times as long."""
    return [
        (system, rows, missing, seed)
        for missing, some in ((0.0, count), (NULL_GAPS, -(-count // 4)))
        for system in NULLS
        for rows in NULL_ROWS
        for seed in _seeds(some, first)
    ]


PARTS: dict[str, Part] = {
    "steady": Part(40, _tables, steady, steadiness),
    "again": Part(40, _tables, again, recordings),
    "null": Part(20, _nulls, null, level),
    "toys": Part(20, _toys, toy, verdicts),
    "prior": Part(100, _tables, prior, calibration),
}


def _lines(part: str, cases: list[tuple[Any, ...]], jobs: int) -> Iterator[Line]:
    """Every case of a part, told now and then."""
    began = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        for done, line in enumerate(pool.map(PARTS[part].run, *zip(*cases, strict=True)), start=1):
            if done % 50 == 0 or done == len(cases):
                print(f"{part}: {done} of {len(cases)}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
            yield line


def _kept(part: str, count: int, given: argparse.Namespace) -> list[Line]:
    """The lines of a part, from the file where it was finished before."""
    kept_ = json.loads(given.keep.read_text(encoding="utf-8")) if given.keep and given.keep.exists() else {}
    key = f"{part} {count} {source_digest()}" + (f" from {given.first}" if given.first != FIRST else "")
    if key not in kept_:
        kept_[key] = list(_lines(part, PARTS[part].cases(count, given.first), given.jobs))
        if given.keep:
            given.keep.write_text(json.dumps(kept_), encoding="utf-8")
    return list(kept_[key])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS), metavar="A,B", help=", ".join(PARTS))
    parser.add_argument("--tables", type=int, help="of each kind, instead of each part's own number")
    parser.add_argument("--first", type=int, default=FIRST, metavar="SEED", help=f"first seed of every part; {FIRST}")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="finished parts")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(argv)
    text = [f"# How far an answer can be trusted, {today()}", "", *source(), f"Fits: `select.refine=off`. Seeds from {given.first} on."]
    for name in given.parts:
        text += ["", *PARTS[name].page(_kept(name, given.tables or PARTS[name].tables, given))]
    write("\n".join(text) + "\n", given.out, "trust")


if __name__ == "__main__":
    main()
