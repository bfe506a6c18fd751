"""What each stage is worth: everything as it is, and with one thing changed, on fresh simulated tables.

python benchmarks/ablation.py                  # two seeds, three cells; writes benchmarks/results/<date>-ablation.md
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
CELLS = ("clean", "mcar40", "compound")
BASE = "as it is, refine off"
VARIANTS: dict[str, tuple[str, ...]] = {
    BASE: (),
    "clean off": ("data.clean=off",),
    "clean on (everything, always)": ("data.clean=on",),
    "smooth off": ("signal.smooth=off",),
    "smooth on (always)": ("signal.smooth=on",),
    "basis linear": ("screen.basis=linear",),
    "basis nonlinear": ("screen.basis=nonlinear",),
    "instantaneous off": ("screen.instantaneous=off",),
    "refine on": ("select.refine=on",),
}
"""One change each, against `BASE`; the network trains only in the last, which costs most of the time."""
OFF = "select.refine=off"
SHOWN = (("summary", "auprc"), ("summary", "f1"), ("window", "auprc"), ("window", "f1"), ("instantaneous", "f1"))


def jobs(given: argparse.Namespace) -> list[Job]:
    """Every variant on every table."""
    return [
        Job(Case(family, cell, seed, given.rows), OURS, (OFF, *VARIANTS[variant]), label=variant)
        for variant in VARIANTS
        if not given.variants or variant.split(" (", maxsplit=1)[0] in given.variants or variant == BASE
        for family in FAMILIES
        for cell in CELLS
        for seed in given.seeds
    ]


def report(results: list[Row], given: argparse.Namespace) -> str:
    """The dated file: means of every variant, and AUPRC and F1 (summary graph) by cell."""
    rows, cells = [], []
    for (label,), some in grouped(results, "label").items():
        summary = where(some, target="summary")
        failed = sum(row["error"] is not None for row in summary)
        shown = (number(average(where(some, target=target), column)) for target, column in SHOWN)
        rows.append([label, *shown, str(failed), number(average(summary, "seconds"), 2)])
        per_cell = [where(summary, cell=cell) for cell in CELLS]
        cells.append([label, *(f"{number(average(c, 'auprc'))} / {number(average(c, 'f1'))}" for c in per_cell)])
    head = ["variant", *(f"{target} {metric}" for target, metric in SHOWN), "failed", "s"]
    lines = [
        f"# Ablation, {today()}",
        "",
        f"{', '.join(FAMILIES)} x {', '.join(CELLS)} x {len(given.seeds)} seeds from {given.seeds[0]}, T = {given.rows}, 13 sensors.",
        *source(),
        "",
        *table(head, rows),
        "",
        "## Summary graph by cell: AUPRC / F1",
        *table(["variant", *CELLS], cells),
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
