"""One dated page from the folders that `rcgnn bench` wrote: means by family, cells against the best peer, reliability, false links.

    rcgnn bench benchmarks/suites/families.yaml --seeds 13000:13002 --methods all --set select.refine=off --out bench/families
    python benchmarks/accuracy.py bench/families bench/short bench/traits        # writes benchmarks/results/<date>-accuracy.md

The folders hold everything: no run is repeated here. Seeds in benchmark reports are for reporting; nothing is tuned on them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dated import source, write

from rcgnn.bench.job import OURS
from rcgnn.bench.markdown import NOTHING, number, table, today
from rcgnn.bench.rows import Row, counted, grouped, where
from rcgnn.bench.statistics import Reliability, average, reliability

TRIVIAL = ("random", "empty")


def read(folders: Sequence[Path], name: str) -> list[Row]:
    """All rows of one Parquet file of every folder."""
    from pyarrow import parquet

    return [row for folder in folders for row in parquet.read_table(folder / name).to_pylist()]


def both(rows: Sequence[Row], method: str) -> str:
    """AUPRC / F1 of a method."""
    own = where(rows, method=method)
    return f"{number(average(own, 'auprc'))} / {number(average(own, 'f1'))}"


def block(rows: list[Row], methods: list[str]) -> list[str]:
    """One suite's block: a row for all tables, a row a system, then every cell with its distance to the best peer."""
    peers = [method for method in methods if method not in (OURS, *TRIVIAL)]
    lines = [[label, *(both(some, m) for m in methods), fdr(some), auroc(some)] for label, some in [("all", rows), *by(rows, "system")]]
    found = table(["", *methods, f"FDR of {OURS}", f"AUROC of {OURS}"], lines)
    cells = []
    for (system, cell), some in grouped(rows, "system", "cell").items():
        ours = average(where(some, method=OURS), "auprc") or 0.0
        best, name = max(((average(where(some, method=m), "auprc") or 0.0, m) for m in peers), default=(0.0, ""))
        beside = [f"{name} {number(best)}", f"{ours - best:+.3f}"] if peers else [NOTHING, NOTHING]
        cells.append((ours - best, [system, cell, both(some, OURS), fdr(some), auroc(some), *beside]))
    head = ["system", "cell", f"{OURS}, AUPRC / F1", "FDR", "AUROC", "best peer, AUPRC", "ahead by"]
    return [*found, "", "Cells, the nearest peer first:", "", *table(head, [line for _, line in sorted(cells)])]


def by(rows: list[Row], column: str) -> list[tuple[str, list[Row]]]:
    """(value, rows), where there is more than one value."""
    found = [(str(value), some) for (value,), some in grouped(rows, column).items()]
    return found if len(found) > 1 else []


def fdr(rows: Sequence[Row]) -> str:
    """Mean false-discovery rate of ours."""
    return number(average(where(rows, method=OURS), "fdr"))


def auroc(rows: Sequence[Row]) -> str:
    """Mean AUROC of ours, with the digits that published figures have."""
    return number(average(where(rows, method=OURS), "auroc"), 4)


def false_links(rows: Sequence[Row]) -> list[str]:
    """On systems without links: pairs called links, of how many."""
    lines = []
    for (system, cell), some in grouped(where(rows, method=OURS), "system", "cell").items():
        pairs = sum(row["sensors"] * (row["sensors"] - 1) for row in some)
        found = sum(row["found"] for row in some)
        lines.append([system, cell, str(found), str(pairs), f"{100 * found / pairs:.3f} %"])
    return table(["system", "cell", "false pairs", "of pairs", "share"], lines)


def bins(found: Reliability) -> list[str]:
    """The reliability curve as a table."""
    lines = [[f"{b.low:.1f} to {b.high:.1f}", str(b.candidates), number(b.confidence, 2), number(b.share, 2)] for b in found.bins]
    return table(["confidence", "candidates", "mean confidence", "true at any lag"], lines)


def report(folders: Sequence[Path]) -> str:
    """The page."""
    rows = [counted(row) for row in where(read(folders, "results.parquet"), target="summary")]
    links = where(read(folders, "links.parquet"), method=OURS)
    seeds = sorted({row["seed"] for row in rows})
    settings = {row["settings"] for row in where(rows, method=OURS)}
    set_to = "; ".join(sorted(settings)) or "all defaults"
    text = [
        f"# Accuracy, {today()}",
        "",
        f"Seeds {', '.join(map(str, seeds))}; settings of {OURS}: {set_to}. AUPRC / F1 of the summary graph.",
        *source(),
    ]
    null = [row for row in rows if not row["true"]]
    for (name,), some in grouped([row for row in rows if row["true"]], "block").items():
        methods = list(dict.fromkeys(row["method"] for row in some))
        seconds = number(average(where(some, method=OURS), "seconds"), 1)
        text += ["", f"## {name}", "", f"{len(where(some, method=OURS))} tables, {seconds} s each.", "", *block(some, methods)]
    if null:
        text += ["", "## Systems without links", "", *false_links(null)]
    curve = reliability(links, "pair_true")
    text += ["", "## Reliability of the confidence", "", f"All {len(links)} candidates of all tables above: expected calibration error"]
    text += [f"{number(curve.ece)}, largest gap of a bin {number(curve.worst)}.", "", *bins(curve)]
    return "\n".join(text) + "\n"


def main() -> int:
    """Read, write, done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of finished benchmarks")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    write(report(given.folders), given.out, "accuracy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
