"""Where the time goes, as ratios within one run: against PCMCI+, against the machine's own matrix product, and to the first word.

    python benchmarks/speed.py                     # writes benchmarks/results/<date>-speed.md; ten minutes, with tigramite
    python benchmarks/speed.py --repeats 1 --only product,start

`pcmci`: the whole default fit and PCMCI+ (tigramite, ParCorr, the same longest delay) take turns on one table, in one process.
`product`: sums behind the moments of 1,000 sensors, in operations a second, beside what a large matrix product reaches here and now.
`start`: `import rcgnn` and `rcgnn --help`, each in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from dated import ROOT, source, write

from rcgnn.baselines.peers import pcmci_plus
from rcgnn.bench.markdown import number, table, today
from rcgnn.config import Config
from rcgnn.data.readers import read_table
from rcgnn.errors import InputError
from rcgnn.evaluate import Truth, score
from rcgnn.graph import CausalGraph
from rcgnn.numerics import one_thread
from rcgnn.pipeline import fit_series
from rcgnn.screen.features import Offer, build
from rcgnn.screen.moments import sums
from rcgnn.series import Series
from rcgnn.synth import simulate

AIR_QUALITY = ROOT.parent / "shared" / "data" / "air_quality_uci" / "data.csv"
MAX_LAG = 3
SEED = 19400
"""Nothing was tuned on the table of this seed."""
WIDE = (50, 3000)
PRODUCT = (1000, 20_000)
SIDE = 3000
"""Of the square matrices whose product shows what the machine can do."""


def timed(work: Callable[[], object], repeats: int) -> tuple[list[float], object]:
    """Seconds of every repeat, and what the last one gave."""
    seconds, found = list[float](), None
    for _ in range(repeats):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return seconds, found


def against(name: str, series: Series, truth: Truth | None, repeats: int) -> list[str]:
    """One table: our whole fit and PCMCI+ in turns."""
    config = Config().override([f"data.max_lag={MAX_LAG}"])
    ours, theirs, graphs = list[float](), list[float](), list[CausalGraph]()
    for _ in range(repeats):
        one, fitted = timed(lambda: fit_series(series, config).graph, 1)
        with one_thread():
            other, peer = timed(lambda: pcmci_plus(series, max_lag=MAX_LAG), 1)
        ours, theirs, graphs = [*ours, *one], [*theirs, *other], [fitted, peer]  # type: ignore[list-item]
        print(f"{name}: {one[0]:.1f} s, PCMCI+ {other[0]:.1f} s", file=sys.stderr, flush=True)
    auprc = ["-" if truth is None else number(score(graph, truth)["summary"].auprc, 3) for graph in graphs]  # type: ignore[union-attr]
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    seconds = [number(statistics.median(one), 1) for one in (ours, theirs)]
    return [name, *seconds, f"{statistics.median(ratios):.2f} x", *auprc]


def pcmci(repeats: int) -> list[str]:
    """The section against PCMCI+."""
    rows = []
    try:
        if AIR_QUALITY.is_file():
            rows.append(against("air quality, 9,357 x 13", read_table(AIR_QUALITY), None, repeats))
        made = simulate("linear", seed=SEED, sensors=WIDE[0], rows=WIDE[1])
        rows.append(against(f"linear, {WIDE[1]:,} x {WIDE[0]}", made.series, Truth.of(made.truth), repeats))
    except InputError as missing:
        return ["", "## Against PCMCI+", "", f"Not measured: {missing}"]
    head = ["table", "rcgnn, s", "PCMCI+, s", "faster", "AUPRC", "PCMCI+"]
    return ["", "## Against PCMCI+", "", f"Medians of {repeats} turns; the whole default fit, K = {MAX_LAG}.", "", *table(head, rows)]


def product(repeats: int) -> list[str]:
    """The section about the sums behind the moments: operations, bytes, and the share of the machine's peak."""
    sensors, rows = PRODUCT
    draw = np.random.default_rng(0).standard_normal((1, rows, sensors))
    tables = build(draw, [slice(0, rows)], max_lag=MAX_LAG, basis="linear")
    left, right = np.random.default_rng(1).standard_normal((2, SIDE, SIDE))
    shares, best = list[float](), list[float]()
    for _ in range(repeats):
        (peak,), _ = timed(lambda: left @ right, 1)
        (took,), _ = timed(lambda: sums(tables, np.arange(len(tables.at)), Offer()), 1)
        best.append(2 * SIDE**3 / peak / 1e9)
        shares.append(len(tables.at) * tables.plain**2 / took / 1e9)
    operations, size = len(tables.at) * tables.plain**2, draw.nbytes + 8 * tables.plain**2
    ratio = statistics.median(share / peak for share, peak in zip(shares, best, strict=True))
    return [
        "",
        "## The sums behind the moments",
        "",
        f"{rows:,} rows x {sensors:,} sensors, delays 0..{MAX_LAG}: {operations / 1e9:,.0f} G operations",
        f"(a symmetric product counts half) on {size / 1e6:,.0f} MB that must be read or written once:",
        f"{operations / size:,.0f} operations a byte, so arithmetic is the bound.",
        "",
        *table(
            ["", "G operations a second"],
            [
                [f"matrix product, {SIDE:,} x {SIDE:,}, float64", number(statistics.median(best), 1)],
                ["sums of the screen", number(statistics.median(shares), 1)],
                ["share", f"{ratio:.0%}"],
            ],
        ),
    ]


def start(repeats: int) -> list[str]:
    """The section about the first word."""
    program = "import sys, rcgnn; assert 'torch' not in sys.modules"
    commands = {"import rcgnn": ["-c", program], "rcgnn --help": ["-m", "rcgnn", "--help"], "python alone": ["-c", ""]}
    rows = []
    for name, words in commands.items():
        seconds, _ = timed(lambda w=words: subprocess.run([sys.executable, *w], check=True, capture_output=True), repeats)  # type: ignore[misc]
        rows.append([name, number(statistics.median(seconds), 3)])
    return [
        "",
        "## To the first word",
        "",
        f"Medians of {repeats}, start of Python included; torch is not loaded.",
        "",
        *table(["", "s"], rows),
    ]


SECTIONS: dict[str, Callable[[int], list[str]]] = {"start": start, "product": product, "pcmci": pcmci}


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(SECTIONS), metavar="SECTION,...")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    unknown = [name for name in given.only if name not in SECTIONS]
    if unknown:
        parser.error(f"--only {unknown[0]}: expected some of {', '.join(SECTIONS)}")
    lines = [f"# Speed, {today()}", "", *source()]
    for name in given.only:
        lines += SECTIONS[name](given.repeats)
    write("\n".join(lines) + "\n", given.out, "speed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
