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

from cases import COLUMNS, DEFAULT, OURS, Job, Line, machine, number, run_all, seeds, summary, summary_row, table, today, write

FAMILIES = ("linear", "nonlinear", "lorenz96")
CELLS = ("clean", "compound")
STATION, STATION_SEED = "station", 1337
CHEAP = ("granger", "granger+clean", "lasso-var", "correlation", "sort-regress", "r2-sort-regress", "empty", "random")
FRESH = "7700:7705"
"""Seeds that no rule, threshold or default was ever tuned on."""
LEAST_AUPRC, LEAST_F1 = 0.93, 0.85
LEAST_HITS, MOST_FALSE = 11, 2
Results = list[tuple[Job, Line]]


def jobs(given: argparse.Namespace) -> list[Job]:
    """Every method on every table."""
    settings = tuple([f"select.refine={given.refine}"] if given.refine else []) + tuple(given.set)
    cases = [(f, c, s, given.rows, given.sensors) for f in given.families if f != STATION for c in given.cells for s in given.seeds]
    if STATION in given.families:
        cases += [(STATION, DEFAULT, s, None, 13) for s in (STATION_SEED, *given.seeds)]
    return [
        Job(system, cell, seed, method, rows, sensors, given.max_lag, settings if method == OURS else ())
        for method in given.methods
        for system, cell, seed, rows, sensors in cases
    ]


def report(results: Results, given: argparse.Namespace) -> str:
    """The dated file."""
    extra = ", ".join([*given.set, *([f"select.refine={given.refine}"] if given.refine else [])]) or "all defaults"
    floor = [(job, line) for job, line in results if job.system != STATION]
    station = [(job, line) for job, line in results if job.system == STATION]
    lines = [
        f"# The accuracy floor, {today()}",
        "",
        f"{len(given.seeds)} seeds ({given.seeds[0]} to {given.seeds[-1]}), T = {given.rows}, {given.sensors} sensors in raw units,",
        f"K = {given.max_lag}; rcgnn: {extra}. Means over runs; one thread a fit, {given.jobs} fits at a time.",
        *machine(),
    ]
    if floor:
        lines += ["", "## Bars", *bars(floor, station), "", "## Summary graph, all cases", *by_method(floor, given.methods)]
        lines += [f"\nA random ranking has AUPRC {number(prevalence(floor))} (the prevalence)."]
        lines += ["", "## Summary graph, by family and cell", *by_cell(floor, given)]
        for target in ("window", "instantaneous"):
            lines += ["", f"## {target.capitalize()} graph, all cases", *by_method(floor, given.methods, target)]
    if station:
        lines += ["", "## Station, default corruption: 13 links", *station_table(station, given.methods)]
    lines += failures(results)
    return "\n".join(lines) + "\n"


def chosen(results: Results, wanted: Callable[[Job], bool]) -> list[Line]:
    return [line for job, line in results if wanted(job)]


def by_method(results: Results, methods: Sequence[str], target: str = "summary") -> list[str]:
    rows = [[m, *summary_row(chosen(results, lambda job, m=m: job.method == m), target)] for m in methods]
    return table(["method", *COLUMNS], rows)


def by_cell(results: Results, given: argparse.Namespace) -> list[str]:
    rows = []
    for family in given.families:
        for cell in given.cells:
            for m in given.methods:
                lines = chosen(results, lambda job, w=(family, cell, m): (job.system, job.cell, job.method) == w)
                rows += [[family, cell, m, *summary_row(lines)]] if lines else []
    return table(["family", "cell", "method", *COLUMNS], rows)


def prevalence(results: Results) -> float | None:
    shares = [line["scores"]["summary"]["prevalence"] for _, line in results if line["error"] is None]
    return sum(shares) / len(shares) if shares else None


def station_table(results: Results, methods: Sequence[str]) -> list[str]:
    """Links found and false ones, by pair and by pair and lag, of the default table and over the seeds."""
    rows = []
    for m in methods:
        for name, wanted in ((f"seed {STATION_SEED}", True), ("other seeds", False)):
            lines = chosen(results, lambda job, w=(m, wanted): (job.method, job.seed == STATION_SEED) == w)
            if lines:
                counts = [average(lines, target, what) for target in ("summary", "window") for what in (hits, false)]
                rows.append([m, name, *counts, *(summary_row(lines)[COLUMNS.index(c)] for c in ("AUPRC", "F1", "undecided", "s"))])
    head = ["method", "tables", "hits (pairs)", "false (pairs)", "hits (lags)", "false (lags)", "AUPRC", "F1", "undecided", "s"]
    return table(head, rows)


def hits(scores: dict) -> int:
    return round((scores["recall"] or 0.0) * scores["links_true"])


def false(scores: dict) -> int:
    return scores["links_found"] - hits(scores)


def average(lines: list[Line], target: str, what: Callable[[dict], int]) -> str:
    counts = [what(line["scores"][target]) for line in lines if line["error"] is None]
    return "-" if not counts else f"{sum(counts) / len(counts):.3g}"


def bars(floor: Results, station: Results) -> list[str]:
    """Each bar with what was measured."""
    ours = chosen(floor, lambda job: job.method == OURS)
    if not ours:
        return ["* rcgnn was not among the methods."]
    means = summary(ours)
    lines = [verdict("mean AUPRC", means["AUPRC"], LEAST_AUPRC), verdict("mean F1", means["F1"], LEAST_F1)]
    demo = chosen(station, lambda job: job.method == OURS and job.seed == STATION_SEED)
    for line in demo:
        if line["error"]:
            lines.append(f"* station: failed ({line['error']}): MISSED")
            continue
        for target, what in (("summary", "pairs"), ("window", "pairs and lags")):
            s = line["scores"][target]
            met = hits(s) >= LEAST_HITS and false(s) <= MOST_FALSE
            bar = f"bar {LEAST_HITS} and {MOST_FALSE}"
            lines.append(f"* station, {what}: {hits(s)} of 13 links, {false(s)} false ({bar}): {'met' if met else 'MISSED'}")
    return lines


def verdict(what: str, measured: float | None, bar: float) -> str:
    met = measured is not None and measured >= bar
    return f"* {what} {number(measured)} (bar {bar}): {'met' if met else 'MISSED'}"


def failures(results: Results) -> list[str]:
    failed = [f"* {job.system} {job.cell} {job.seed} {job.method}: {line['error']}" for job, line in results if line["error"]]
    return ["", "## Failed runs", *failed] if failed else []


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds, default=seeds(FRESH), metavar="FIRST:LAST", help=f"[{FRESH}]")
    parser.add_argument("--families", type=words, default=[*FAMILIES, STATION], help="linear,nonlinear,lorenz96,station")
    parser.add_argument("--cells", type=words, default=list(CELLS), help="rows of synth.CELLS [clean,compound]")
    parser.add_argument("--methods", type=words, default=[OURS, *CHEAP], help="rcgnn and rows of baselines.BASELINES")
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
    results = run_all(jobs(given), workers=given.jobs, store=given.cache)
    write(report(results, given), given.out, "floor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
