"""How seconds and memory grow: sparse linear systems of many sensors and many rows, from Parquet through the command line.

    python benchmarks/scale.py 300x3000                     # sensors x rows; any size, several are taken one after another
    python benchmarks/scale.py 1000x20000 100x1000000 --budget 10m
    python benchmarks/scale.py --ladder                     # exponents of seconds and memory in sensors and in rows

A table is made once and kept in --store. A fit runs in a process of its own; its peak memory is what the system says about that
process (resident, Python and its libraries included). The truth is read when the fit is over. Writes benchmarks/results/<date>-scale.md.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from dated import source, write

from rcgnn.bench.markdown import number, table, today
from rcgnn.evaluate import read_truth, score
from rcgnn.rundir import RunDir

SEED = 19000
"""Tables of seeds from here on are for this script alone: nothing is tuned on them."""
MAX_LAG, PARENTS = 3, 2
BURN_IN, PIECE = 500, 50_000
MEBI = 2**20
LADDER = {
    "sensors": ("13x2000", "50x2000", "200x2000", "1000x2000"),
    "rows": ("20x1000", "20x10000", "20x100000", "20x1000000"),
    "rows beyond the chunk": ("20x250000", "20x500000", "20x1000000"),
}
"""Tables of which one side grows. The chunk is what a stage holds at a time, see `rcgnn.mapped`."""


@dataclass(frozen=True)
class Size:
    """One case: N sensors, T rows, and the seed of its system."""

    sensors: int
    rows: int
    seed: int

    def __str__(self) -> str:
        return f"{self.sensors}x{self.rows}"


@dataclass(frozen=True)
class Measured:
    """One fit: wall and processor seconds, peak resident memory in bytes, why it failed, seconds by stage, scores of the summary graph."""

    size: Size
    seconds: float
    processor: float
    peak: int
    error: str | None
    stages: dict[str, float]
    scores: dict[str, Any]
    left_out: str


def system(size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(cause, lag, coefficient), each [N, PARENTS + 1], and memory first; the sum of every row stays below 1: stable."""
    rng = np.random.default_rng(size.seed)
    cause = np.empty((size.sensors, PARENTS + 1), np.int64)
    for j in range(size.sensors):
        others = rng.choice(size.sensors - 1, PARENTS, replace=False)
        cause[j] = [j, *(others + (others >= j))]
    lag = rng.integers(1, MAX_LAG + 1, cause.shape)
    lag[:, 0] = 1
    weight = rng.uniform(0.15, 0.4, cause.shape) * rng.choice([-1.0, 1.0], cause.shape)
    weight[:, 0] = rng.uniform(0.2, 0.5, size.sensors)
    total = np.abs(weight).sum(axis=1, keepdims=True)
    return cause, lag, weight * np.minimum(1.0, 0.95 / total), 10.0 ** rng.uniform(-2, 3, size.sensors)


def make(size: Size, path: Path) -> None:
    """`path` (Parquet, float64, `PIECE` rows a group) and the truth beside it; only one piece is ever in memory."""
    import pyarrow as pa
    from pyarrow import parquet

    cause, lag, weight, unit = system(size)
    names = [f"s{j:04d}" for j in range(size.sensors)]
    rng = np.random.default_rng([size.seed, 1])
    schema = pa.schema([(name, pa.float64()) for name in names])
    path.parent.mkdir(parents=True, exist_ok=True)
    past = rng.standard_normal((MAX_LAG, size.sensors))
    draft = path.with_suffix(".tmp")
    with parquet.ParquetWriter(draft, schema) as file:
        for first in range(-BURN_IN, size.rows, PIECE):
            rows = min(PIECE, size.rows - first)
            x = np.concatenate([past, rng.standard_normal((rows, size.sensors))])
            for t in range(MAX_LAG, len(x)):
                x[t] += (weight * x[t - lag, cause]).sum(axis=1)
            past, told = x[-MAX_LAG:], x[MAX_LAG + max(0, -first) :] * unit
            file.write_table(pa.table([pa.array(column) for column in told.T], schema=schema))
    links = [f"{names[i]},{names[j]},{k}" for j in range(size.sensors) for i, k in zip(cause[j, 1:], lag[j, 1:], strict=True)]
    truth_file(path).write_text("\n".join(["cause,effect,lag", *links]) + "\n", encoding="utf-8")
    draft.replace(path)


def truth_file(path: Path) -> Path:
    """Where the true links of a table stand."""
    return path.with_suffix(".truth.csv")


def made(size: Size, store: Path) -> Path:
    """The table of a case; made by a process of its own, so that its memory is not counted with that of a fit."""
    path = store / f"{size}-{size.seed}.parquet"
    if not path.exists():
        began = time.perf_counter()
        subprocess.run([sys.executable, __file__, str(size), "--seed", str(size.seed), "--make", str(path)], check=True)
        say(f"{size}: made in {time.perf_counter() - began:.0f} s, {path.stat().st_size / MEBI:.0f} MiB")
    return path


def fit(size: Size, path: Path, run: Path, given: argparse.Namespace) -> Measured:
    """One `rcgnn fit` in a process of its own, and its graph beside the truth afterwards."""
    command = [sys.executable, "-m", "rcgnn", "fit", str(path), "--out", str(run), "--quiet", "--overwrite"]
    command += ["--set", f"data.max_lag={MAX_LAG}", *(part for setting in given.set for part in ("--set", setting))]
    command += ["--budget", given.budget] if given.budget else []
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=said, stderr=said)
        usage, code, peak = waited(child, began + given.limit)
        seconds = time.perf_counter() - began
        said.seek(0)
        words = said.read().decode("utf-8", "replace").strip().splitlines()
    processor = usage.ru_utime + usage.ru_stime
    if code != 0:
        why = f"not finished in {given.limit:.0f} s" if seconds >= given.limit else f"left with {code}: {(words or [''])[-1]}"
        return Measured(size, seconds, processor, peak, why, {}, {}, "")
    folder = RunDir.open(run)
    graph, summary = folder.graph(), folder.summary()
    summary_scores = score(graph, read_truth(truth_file(path), graph.names, graph.max_lag))["summary"]
    out = [finding.message for finding in folder.findings() if finding.evidence.get("kind") == "budget"]
    return Measured(
        size, seconds, processor, peak, None, summary["seconds"], summary_scores.as_dict() if summary_scores else {}, "; ".join(out)
    )


@cache
def own() -> int:
    """Peak memory in bytes of a fit of five rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "five.csv"
        path.write_text("a,b\n1,2\n2,3\n3,1\n4,5\n1,7\n", encoding="utf-8")
        command = [sys.executable, "-m", "rcgnn", "fit", str(path), "--out", f"{folder}/run", "--quiet"]
        return waited(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), math.inf)[2]


def waited(child: subprocess.Popen[bytes], until: float) -> tuple[Any, int, int]:
    """What a child used, how it left, and its peak memory in bytes; it is killed when its time is over.

    Linux counts the memory of this process to `ru_maxrss` of its children, so the peak is read while the child runs.
    """
    peak = 0
    while True:
        peak = max(peak, high_water(child.pid))
        number_, status, usage = os.wait4(child.pid, os.WNOHANG)
        if number_:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage, child.returncode, peak or usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if time.perf_counter() > until:
            child.kill()
        time.sleep(0.05)


def high_water(process: int) -> int:
    """Peak resident memory of a running process in bytes so far; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def report(results: Sequence[Measured], given: argparse.Namespace) -> str:
    """The dated file."""
    settings = ", ".join([f"data.max_lag={MAX_LAG}", *given.set, *([f"--budget {given.budget}"] if given.budget else [])])
    lines = [
        f"# Scale, {today()}",
        "",
        f"Sparse linear systems (memory and {PARENTS} causes a sensor, lags 1 to {MAX_LAG}, units over five decades), Parquet, float64;",
        f"rcgnn: {settings}.",
        "Seconds and peak resident memory of the whole command; scores of the summary graph.",
        *source(),
        "",
        *table(
            ["sensors", "rows", "seconds", "processor s", "peak MiB", "AUPRC", "F1", "found / true", ""],
            [row(one) for one in results],
        ),
    ]
    stages = list(dict.fromkeys(stage for one in results for stage in one.stages))
    if stages:
        rows = [[str(one.size), *(number(one.stages.get(stage), 1) for stage in stages)] for one in results if one.stages]
        lines += ["", "## Seconds by stage", "", *table(["sensors x rows", *stages], rows)]
    if given.ladder:
        lines += [
            "",
            "## Exponents",
            "",
            "Least squares of log seconds (processor) and log memory above Python's own on the log of the side that grows. Python's own is",
            f"what a fit of five rows takes, {own() / MEBI:.0f} MiB.",
            "",
        ]
        lines += table(["grows", "over", "seconds", "memory"], [exponents(side, results) for side in LADDER])
    return "\n".join(lines) + "\n"


def row(one: Measured) -> list[str]:
    """One line of the table."""
    size, scores = one.size, one.scores
    cells = [f"{size.sensors:,}", f"{size.rows:,}", number(one.seconds, 1), number(one.processor, 1), f"{one.peak / MEBI:.0f}"]
    if one.error:
        return [*cells, "-", "-", "-", one.error]
    return [*cells, number(scores["auprc"]), number(scores["f1"]), f"{scores['links_found']} / {scores['links_true']}", one.left_out]


def exponents(side: str, results: Sequence[Measured]) -> list[str]:
    """Slopes on log-log axes over the ladder of one side."""
    some = [one for one in results if str(one.size) in LADDER[side] and one.error is None]
    if len(some) < 2:
        return [side, "-", "-", "-"]
    x = np.log([getattr(one.size, side.split(maxsplit=1)[0]) for one in some])
    time_, memory = (np.polyfit(x, np.log(y), 1)[0] for y in ([one.processor for one in some], [one.peak - own() for one in some]))
    return [side, f"{math.exp(x.min()):.0f} to {math.exp(x.max()):.0f}", f"{time_:.2f}", f"{memory:.2f}"]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", metavar="SENSORSxROWS", help="300x3000, 1000x20000, 100x1000000, or any other")
    parser.add_argument("--ladder", action="store_true", help="the tables of LADDER, and exponents")
    parser.add_argument("--seed", type=int, default=SEED, help=f"[{SEED}]")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of rcgnn; may be repeated")
    parser.add_argument("--budget", help="as in `rcgnn fit --budget`")
    parser.add_argument("--limit", type=float, default=3600.0, metavar="SECONDS", help="a fit is ended after so long [3600]")
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "rcgnn-scale", help="where tables are kept")
    parser.add_argument("--run", type=Path, help="keep the run folders here, one a size")
    parser.add_argument("--out", type=Path, help="the report [benchmarks/results/<date>-scale.md]")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    wanted = [*given.sizes, *(name for names in LADDER.values() for name in names if given.ladder)]
    if not wanted:
        parser.error("give a size such as 300x3000, or --ladder")
    try:
        given.sizes = [Size(*(int(side) for side in name.split("x")), given.seed) for name in dict.fromkeys(wanted)]
    except (TypeError, ValueError):
        parser.error(f"sizes are SENSORSxROWS such as 300x3000, got {' '.join(wanted)}")
    return given


def main() -> int:
    given = arguments()
    if given.make:
        make(given.sizes[0], given.make)
        return 0
    results: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            path = made(size, given.store)
            results.append(fit(size, path, (given.run or Path(folder)) / str(size), given))
            say(f"{size}: " + ", ".join(row(results[-1])[2:]))
    write(report(results, given), given.out, "scale")
    return 0


if __name__ == "__main__":
    sys.exit(main())
