"""The accuracy floor: rcgnn and the cheap baselines on fresh simulated tables, clean and spoilt, and on the built-in station.

    python benchmarks/floor.py                     # five seeds; writes benchmarks/results/<date>-floor.md
    python benchmarks/floor.py --seeds 7700:7701 --methods rcgnn,granger --refine off

Bars: mean AUPRC >= .93 and mean F1 >= .85 on the summary graph; on the station at least 11 of 13 links and at most 2 false.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dated import run, source, write

from rcgnn.bench.job import DEFAULT, OURS, Case, Job
from rcgnn.bench.markdown import means_row, number, table, today
from rcgnn.bench.rows import Row, counted, grouped, where
from rcgnn.bench.statistics import average, mean, means
from rcgnn.bench.suite import choose_methods, parse_seeds

FAMILIES = ("linear", "nonlinear", "lorenz96")
CELLS = ("clean", "compound")
STATION, STATION_SEED = "station", 1337
CHEAP = ("granger", "granger+clean", "lasso-var", "correlation", "sort-regress", "r2-sort-regress", "empty", "random")
FRESH = "7700:7705"
"""Seeds that no rule, threshold or default was ever tuned on."""
LEAST_AUPRC, LEAST_F1 = 0.93, 0.85
LEAST_HITS, MOST_FALSE = 11, 2
SHOWN = ("runs", "AUPRC", "F1", "precision", "recall", "FDR", "found", "undecided", "failed", "s")


def jobs(given: argparse.Namespace) -> list[Job]:
    """Every method on every table."""
    settings = tuple([f"select.refine={given.refine}"] if given.refine else []) + tuple(given.set)
    families = [family for family in given.families if family != STATION]
    cases = [Case(f, c, s, given.rows, given.sensors, given.max_lag) for f in families for c in given.cells for s in given.seeds]
    if STATION in given.families:
        cases += [Case(STATION, DEFAULT, s, None, 13, given.max_lag) for s in (STATION_SEED, *given.seeds)]
    return [Job(case, method, settings if method == OURS else ()) for method in given.methods for case in cases]


def report(rows: list[Row], given: argparse.Namespace) -> str:
    """The dated file."""
    extra = ", ".join([*given.set, *([f"select.refine={given.refine}"] if given.refine else [])]) or "all defaults"
    floor = [row for row in rows if row["system"] != STATION]
    station = where(rows, system=STATION)
    summary = where(floor, target="summary")
    lines = [
        f"# The accuracy floor, {today()}",
        "",
        f"{len(given.seeds)} seeds ({given.seeds[0]} to {given.seeds[-1]}), T = {given.rows}, {given.sensors} sensors in raw units,",
        f"K = {given.max_lag}; rcgnn: {extra}. Means over runs; one thread a fit, {given.jobs} fits at a time.",
        *source(),
    ]
    if floor:
        lines += ["", "## Bars", *bars(summary, station), "", "## Summary graph, all cases", *by_method(summary)]
        lines += [f"\nA random ranking has AUPRC {number(average(summary, 'prevalence'))} (the prevalence)."]
        lines += ["", "## Summary graph, by family and cell"]
        cells = grouped(sorted(summary, key=lambda row: (given.families.index(row["system"]), row["cell"])), "system", "cell", "method")
        lines += table(["family", "cell", "method", *SHOWN], [[*key, *means_row(some, SHOWN)] for key, some in cells.items()])
        for target in ("window", "instantaneous"):
            lines += ["", f"## {target.capitalize()} graph, all cases", *by_method(where(floor, target=target))]
    if station:
        lines += ["", "## Station, default corruption: 13 links", *station_table(station, given.methods)]
    lines += failures(where(rows, target="summary"))
    return "\n".join(lines) + "\n"


def by_method(rows: list[Row]) -> list[str]:
    return table(["method", *SHOWN], [[method, *means_row(some, SHOWN)] for (method,), some in grouped(rows, "method").items()])


def station_table(station: list[Row], methods: Sequence[str]) -> list[str]:
    """Links found and false ones, by pair and by pair and lag, of the default table and over the seeds."""
    body = []
    for m in methods:
        for name, wanted in ((f"seed {STATION_SEED}", True), ("other seeds", False)):
            some = [row for row in where(station, method=m) if (row["seed"] == STATION_SEED) == wanted]
            if some:
                counts = [count(where(some, target=target), what) for target in ("summary", "window") for what in (hits, false)]
                body.append([m, name, *counts, *means_row(where(some, target="summary"), ("AUPRC", "F1", "undecided", "s"))])
    head = ["method", "tables", "hits (pairs)", "false (pairs)", "hits (lags)", "false (lags)", "AUPRC", "F1", "undecided", "s"]
    return table(head, body)


def hits(row: Row) -> int:
    return round((row["recall"] or 0.0) * row["true"])


def false(row: Row) -> int:
    return row["found"] - hits(row)


def count(rows: list[Row], what: Callable[[Row], int]) -> str:
    value = mean(what(counted(row)) for row in rows)
    return "-" if value is None else f"{value:.3g}"


def bars(summary: list[Row], station: list[Row]) -> list[str]:
    """Each bar with what was measured."""
    ours = where(summary, method=OURS)
    if not ours:
        return ["* rcgnn was not among the methods."]
    measured = means(ours)
    lines = [verdict("mean AUPRC", measured["AUPRC"], LEAST_AUPRC), verdict("mean F1", measured["F1"], LEAST_F1)]
    for row in where(station, method=OURS, seed=STATION_SEED):
        if row["error"] and row["target"] == "summary":
            lines.append(f"* station: failed ({row['error']}): MISSED")
        elif row["error"] is None and row["target"] != "instantaneous":
            what = "pairs" if row["target"] == "summary" else "pairs and lags"
            met = hits(row) >= LEAST_HITS and false(row) <= MOST_FALSE
            bar = f"bar {LEAST_HITS} and {MOST_FALSE}"
            lines.append(f"* station, {what}: {hits(row)} of 13 links, {false(row)} false ({bar}): {'met' if met else 'MISSED'}")
    return lines


def verdict(what: str, measured: float | None, bar: float) -> str:
    met = measured is not None and measured >= bar
    return f"* {what} {number(measured)} (bar {bar}): {'met' if met else 'MISSED'}"


def failures(rows: list[Row]) -> list[str]:
    failed = [f"* {row['system']} {row['cell']} {row['seed']} {row['method']}: {row['error']}" for row in rows if row["error"]]
    return ["", "## Failed runs (counted as the graph without links)", *failed] if failed else []


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=parse_seeds, default=parse_seeds(FRESH), metavar="FIRST:LAST", help=f"[{FRESH}]")
    parser.add_argument("--families", type=words, default=[*FAMILIES, STATION], help="linear,nonlinear,lorenz96,station")
    parser.add_argument("--cells", type=words, default=list(CELLS), help="rows of synth.CELLS [clean,compound]")
    methods = {"type": lambda text: choose_methods(words(text)), "default": (OURS, *CHEAP)}
    parser.add_argument("--methods", **methods, help="rcgnn and rows of baselines.BASELINES")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--sensors", type=int, default=13)
    parser.add_argument("--max-lag", type=int, default=3)
    parser.add_argument("--refine", choices=("auto", "on", "off"), help="select.refine [as in Config()]")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of rcgnn; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time")
    parser.add_argument("--cache", type=Path, help="JSON lines of finished runs; an interrupted benchmark goes on from there")
    parser.add_argument("--out", type=Path, help="the report [benchmarks/results/<date>-floor.md]")
    return parser.parse_args()


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def main() -> int:
    given = arguments()
    write(report(run(jobs(given), workers=given.jobs, store=given.cache), given), given.out, "floor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
