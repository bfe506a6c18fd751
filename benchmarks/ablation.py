"""What each stage is worth: everything as it is, and with one thing changed, on fresh simulated tables.

python benchmarks/ablation.py                  # two seeds, four cells and three traits; writes benchmarks/results/<date>-ablation.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dated import run, source, write

from rcgnn.bench.job import OURS, Case, Job
from rcgnn.bench.markdown import number, table, today
from rcgnn.bench.rows import Row, grouped, where
from rcgnn.bench.statistics import average
from rcgnn.bench.suite import parse_seeds

FAMILIES = ("linear", "nonlinear", "lorenz96")
CELLS = ("clean", "mcar40", "mnar30", "compound")
TRAITS = ("hidden", "skewed", "seasonal_links")
"""Traits that single stages are for; clean, each with its own rows."""
BASE = "as it is, refine off"
VARIANTS: dict[str, tuple[str, ...]] = {
    BASE: (),
    "cleaning off": ("data.clean=off",),
    "cleaning on (everything, always)": ("data.clean=on",),
    "state space off": ("signal.smooth=off",),
    "state space on (always)": ("signal.smooth=on",),
    "selection model off": ("signal.mnar=off",),
    "opinions off": ("screen.opinions=false",),
    "basis linear": ("screen.basis=linear",),
    "basis nonlinear": ("screen.basis=nonlinear",),
    "same-step links off": ("screen.instantaneous=off",),
    "orientation: shape off": ("screen.shape=false",),
    "orientation: joint rows off": ("screen.joint_rows=false",),
    "hidden drivers off": ("screen.hidden=off",),
    "stability: shifted copies off": ("select.shifted_copies=0",),
    "stability: halves and confidence off": ("select.halves=0",),
    "network on": ("select.refine=on",),
}
"""One change each, against `BASE`; the network trains only in the last, which costs most of the time."""
OFF = "select.refine=off"
SHOWN = (("summary", "auprc"), ("summary", "f1"), ("window", "auprc"), ("window", "f1"), ("instantaneous", "f1"))


def jobs(given: argparse.Namespace) -> list[Job]:
    """Every variant on every table."""
    from rcgnn.synth.traits import TRAITS as ROWS

    cases = [Case(family, cell, seed, given.rows) for family in FAMILIES for cell in CELLS for seed in given.seeds]
    cases += [Case(trait, "clean", seed, ROWS[trait].rows, max_lag=None) for trait in TRAITS for seed in given.seeds]
    return [
        Job(case, OURS, (OFF, *VARIANTS[variant]), label=variant)
        for variant in VARIANTS
        if not given.variants or variant.split(" (", maxsplit=1)[0] in given.variants or variant == BASE
        for case in cases
    ]


def report(results: list[Row], given: argparse.Namespace) -> str:
    """The dated file: means of every variant, and AUPRC and F1 (summary graph) by cell."""
    rows, cells = [], []
    for (label,), some in grouped(results, "label").items():
        summary = where(some, target="summary")
        failed = sum(row["error"] is not None for row in summary)
        shown = (number(average(where(some, target=target), column)) for target, column in SHOWN)
        rows.append([label, *shown, str(failed), number(average(summary, "seconds"), 2)])
        families = [row for row in summary if row["system"] in FAMILIES]
        per_cell = [where(families, cell=cell) for cell in CELLS] + [where(summary, system=trait) for trait in TRAITS]
        cells.append([label, *(f"{number(average(c, 'auprc'))} / {number(average(c, 'f1'))}" for c in per_cell)])
    head = ["variant", *(f"{target} {metric}" for target, metric in SHOWN), "failed", "s"]
    lines = [
        f"# Ablation, {today()}",
        "",
        f"{', '.join(FAMILIES)} x {', '.join(CELLS)} x {len(given.seeds)} seeds from {given.seeds[0]}, T = {given.rows}, 13 sensors;",
        f"traits {', '.join(TRAITS)}, clean, the same seeds.",
        *source(),
        "",
        *table(head, rows),
        "",
        "## Summary graph by cell: AUPRC / F1",
        *table(["variant", *CELLS, *TRAITS], cells),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=parse_seeds, default=parse_seeds("9100:9102"), metavar="FIRST:LAST")
    parser.add_argument("--variants", type=lambda text: text.split(","), help="some of them, without what stands in brackets [all]")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="JSON lines of finished runs; may be the floor's")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    write(report(run(jobs(given), workers=given.jobs, store=given.cache), given), given.out, "ablation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
