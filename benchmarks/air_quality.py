"""The real table: UCI Air Quality (9,357 x 13, 14 % missing, one sensor 90 % missing) through the command line.

    python benchmarks/air_quality.py               # needs ../shared/data; writes benchmarks/results/<date>-air-quality.md

There is no true graph. Bar: an answer in less than 60 s on two cores, from the command's first to its last moment.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from dated import ROOT, source, write

from rcgnn.bench.markdown import number, table, today

DATA = ROOT.parent / "shared" / "data" / "air_quality_uci" / "data.csv"
MOST_SECONDS = 60.0
SHOWN_LINKS = 25
KNOWN = (("PT08_S2_NMHC", "C6H6_GT"), ("T", "AH"), ("RH", "AH"))
"""Pairs known to belong together: benzene is computed from the S2 sensor, absolute humidity from temperature and relative humidity."""


def fit(data: Path, run: Path, settings: list[str]) -> tuple[float, str]:
    """Seconds that `rcgnn fit` took, start of Python included, and what it said on its way out."""
    command = [sys.executable, "-m", "rcgnn", "fit", str(data), "--out", str(run), "--quiet", "--overwrite"]
    command += [part for setting in settings for part in ("--set", setting)]
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"rcgnn fit left with {done.returncode}: {done.stderr.strip()}")
    return seconds, done.stdout


def health(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """How training went."""
    if not records:
        return [("network", "not trained")]
    grads = [record["grad"] for record in records]
    clipped = [grad["clip_share"] for grad in grads]
    largest = [grad["raw_max"] for grad in grads if grad["raw_max"] is not None]
    certificate = [grad["certificate"] for grad in grads if grad["certificate"] is not None]
    guard = Counter()
    for record in records:
        guard.update(record["guard"])
    return [
        ("epochs", str(len(records))),
        ("gain over self (last epoch)", number(records[-1]["gain_over_self"], 4)),
        ("clip share, mean / largest of an epoch", f"{100 * sum(clipped) / len(clipped):.1f} % / {100 * max(clipped):.1f} %"),
        ("largest raw gradient norm", number(max(largest, default=None), 4)),
        ("certificate (bound of the norm)", number(min(certificate, default=None), 4)),
        ("gradients not finite", str(sum(grad["nonfinite"] for grad in grads))),
        ("guard", ", ".join(f"{name} {count}" for name, count in sorted(guard.items()))),
    ]


def known_pairs(edges: list[dict[str, str]], aliases: dict[str, str]) -> list[str]:
    """What the graph says about pairs that belong together."""
    lines = []
    for pair in KNOWN:
        rows = [e for e in edges if {e["cause"], e["effect"]} == set(pair)]
        said = [f"{e['cause']} -> {e['effect']} lag {e['lag']} ({e['verdict']})" for e in rows[:4]]
        copy = [f"{a} is a near-copy of {b}" for a, b in aliases.items() if {a, b} == set(pair)]
        lines.append(f"* {' and '.join(pair)}: {'; '.join(copy or said) or 'nothing'}")
    return lines


def report(run: Path, seconds: float, settings: list[str]) -> str:
    """The dated file, from the run folder."""
    summary, findings, graph = (json.loads((run / f"{name}.json").read_text(encoding="utf-8")) for name in ("summary", "findings", "graph"))
    findings = findings["findings"]
    log = run / "health.jsonl"
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    with (run / "edges.csv").open(encoding="utf-8", newline="") as file:
        edges = list(csv.DictReader(file))
    links = [edge for edge in edges if edge["verdict"] == "link"]
    pairs = {(edge["cause"], edge["effect"]) for edge in links}
    codes = Counter((f["code"], f["evidence"].get("kind", ""), f["severity"]) for f in findings)
    facts = [
        ("seconds, whole command", f"{seconds:.1f}"),
        *((f"seconds, {stage}", f"{s:.1f}") for stage, s in summary["seconds"].items()),
        ("links (pairs)", f"{len(links)} ({len(pairs)} of {len(graph['names']) * (len(graph['names']) - 1)})"),
        ("undecided", str(summary["undecided"])),
        ("left out", ", ".join(graph["quarantined"]) or "none"),
        ("basis", str(summary.get("basis"))),
        *health(records),
    ]
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    lines = [
        f"# The real table: UCI Air Quality, {today()}",
        "",
        f"{summary['rows']:,} x {summary['sensors']}, hourly; rcgnn: {', '.join(settings) or 'all defaults'}{load}.",
        *source(),
        "",
        f"* under {MOST_SECONDS:.0f} s: {seconds:.1f} s: {'met' if seconds < MOST_SECONDS else 'MISSED'}",
        "",
        *table(["", ""], facts),
        "",
        summary["conclusion"],
        "",
        "## Pairs that belong together",
        *known_pairs(edges, graph["aliases"]),
        "",
        f"## The {min(SHOWN_LINKS, len(links))} clearest links",
        *table(
            ["cause", "effect", "lag", "strength", "confidence"],
            [
                [e["cause"], e["effect"], e["lag"], f"{float(e['strength']):+.3f}", f"{float(e['confidence']):.2f}"]
                for e in links[:SHOWN_LINKS]
            ],
        ),
        "",
        f"## Findings ({len(findings)})",
        *table(["code", "kind", "severity", "count"], [[*key, str(count)] for key, count in codes.most_common()]),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of rcgnn; may be repeated")
    parser.add_argument("--run", type=Path, help="keep the run folder here")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if not given.data.exists():
        print(f"skipped: {given.data.name} is not there (expected {os.path.relpath(given.data)}); give it with --data.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        run = given.run or Path(folder) / "run"
        seconds, _ = fit(given.data, run, given.set)
        write(report(run, seconds, given.set), given.out, "air-quality")
    return 0


if __name__ == "__main__":
    sys.exit(main())
