"""What each stage is worth: everything as it is, and with one thing changed, on fresh simulated tables.

python benchmarks/ablation.py                  # two seeds, three cells; writes benchmarks/results/<date>-ablation.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cases import OURS, Job, Line, machine, mean, number, run_all, seeds, table, today, write

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
        Job(family, cell, seed, OURS, given.rows, settings=(OFF, *VARIANTS[variant]), label=variant)
        for variant in VARIANTS
        if not given.variants or variant.split(" (", maxsplit=1)[0] in given.variants or variant == BASE
        for family in FAMILIES
        for cell in CELLS
        for seed in given.seeds
    ]


def average(lines: list[Line], target: str, metric: str) -> float | None:
    return mean(line["scores"][target][metric] for line in lines if line["error"] is None)


def report(results: list[tuple[Job, Line]], given: argparse.Namespace) -> str:
    """The dated file: means of every variant, and AUPRC and F1 (summary graph) by cell."""
    labels = list(dict.fromkeys(job.label for job, _ in results))
    rows, cells = [], []
    for label in labels:
        lines = [line for job, line in results if job.label == label]
        failed = sum(line["error"] is not None for line in lines)
        seconds = number(mean(line["seconds"] for line in lines), 2)
        rows.append([label, *(number(average(lines, *shown)) for shown in SHOWN), str(failed), seconds])
        per_cell = [[line for job, line in results if (job.label, job.cell) == (label, cell)] for cell in CELLS]
        cells.append([label, *(f"{number(average(c, 'summary', 'auprc'))} / {number(average(c, 'summary', 'f1'))}" for c in per_cell)])
    head = ["variant", *(f"{target} {metric}" for target, metric in SHOWN), "failed", "s"]
    lines = [
        f"# Ablation, {today()}",
        "",
        f"{', '.join(FAMILIES)} x {', '.join(CELLS)} x {len(given.seeds)} seeds from {given.seeds[0]}, T = {given.rows}, 13 sensors.",
        *machine(),
        "",
        *table(head, rows),
        "",
        "## Summary graph by cell: AUPRC / F1",
        *table(["variant", *CELLS], cells),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds, default=seeds("9100:9102"), metavar="FIRST:LAST")
    parser.add_argument("--variants", type=lambda text: text.split(","), help="some of them, without what stands in brackets [all]")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="JSON lines of finished runs; may be the floor's")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    results = run_all(jobs(given), workers=given.jobs, store=given.cache)
    write(report(results, given), given.out, "ablation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
