"""Does it last? Many fits in one process, without growth of memory, open files or threads; several fits at once, each with its own answer.

    python benchmarks/soak.py

Memory is what the process holds after a collection (`VmRSS`), so it needs Linux. Fits of four kinds take turns: the screen alone, the
network too, missing cells, operating modes; each writes its run folder with its report. What is loaded and kept once - libraries,
compiled parts, pools of threads - is there after the first fits, so growth is counted from fit 20 on.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dated import ROOT, source, write

from rcgnn.bench.markdown import today
from rcgnn.config import Config
from rcgnn.encode import as_npz
from rcgnn.estimator import fit_series
from rcgnn.formats import stamped
from rcgnn.markdown import table
from rcgnn.report.page import write_report
from rcgnn.report.traces import traces
from rcgnn.rundir import RunDir
from rcgnn.series import Series
from rcgnn.synth import corrupt, simulate
from rcgnn.synth.write import write_simulated

BAR = 0.05
"""Growth of memory that is allowed between fit `FROM` and the last."""
FROM = 20
ABOUT = """{fits} fits in one process, {rows} rows x 6 sensors, four kinds in turn (screen alone; network, 3 epochs; a fifth of the cells
missing; two operating modes), each with its run folder and report, {seconds:.0f} s. Memory is the median of five neighbouring fits, after a
collection; the bar is growth of at most {bar:.0%} from fit {first} on, and no file and no thread more.

{verdict}"""
TOGETHER = """## {count} fits at once

{count} commands `rcgnn fit` started together on {cores} cores, tables of {count} seeds: {same} of {count} ended with exit code 0 and
the bytes of `graph.json`, `edges.csv` and `scores.npz` that the same command writes alone. {seconds:.0f} s together, {alone:.0f} s one
after the other."""


@dataclass(frozen=True)
class Held:
    """What the process holds after one fit: MB of memory, open files, threads."""

    memory: float
    files: int
    threads: int


def held() -> Held:
    """What this process holds now."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return Held(memory / 1024, len(os.listdir("/proc/self/fd")), threading.active_count())  # noqa: PTH208 - names alone


def kinds(rows: int) -> list[tuple[Series, Config]]:
    """Table and settings of the four kinds of fits."""
    plain, modes = (simulate("linear", seed=seed, rows=rows, sensors=6, regimes=seed).series for seed in (1, 2))
    gaps = corrupt(plain, {"missing": 0.2}, seed=1)
    alone = Config().override(["select.refine=off"])
    network = Config().override(["select.refine=on", "train.epochs=3"])
    return [(plain, alone), (plain, network), (gaps, alone), (modes, alone)]


def fits(count: int, rows: int, scratch: Path) -> list[Held]:
    """What was held after each of the fits."""
    found, takes = [], kinds(rows)
    for number in range(count):
        series, config = takes[number % len(takes)]
        run = RunDir(scratch / "run", overwrite=number > 0)
        run.write_config(config)
        done = fit_series(series, config, on_record=run.append)
        run.write("traces.npz", as_npz(stamped(traces(done.series, done.prepared, done.signal))))
        run.write_answer(done, series, config)
        write_report(run)
        del done
        found.append(held())
        print(f"fit {number + 1}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def growth(found: Sequence[Held], first: int) -> float:
    """Relative growth of memory from fit `first` to the last, each the median of five neighbours.

    Example:
        >>> growth([Held(100.0, 4, 1)] * 10 + [Held(110.0, 4, 1)] * 10, 5)
        0.10000000000000009
    """
    begin, end = (median(one.memory for one in part) for part in (found[max(0, first - 5) : first], found[-5:]))
    return end / begin - 1


def command(data: Path, out: Path) -> list[str]:
    """One fit from the command line."""
    return [sys.executable, "-m", "rcgnn", "fit", str(data), "--out", str(out), "--quiet", "--set", "train.epochs=3"]


def digest(run: Path) -> str:
    """Of the answer in a run folder."""
    names = ("graph.json", "edges.csv", "scores.npz")
    return hashlib.sha256(b"".join((run / name).read_bytes() for name in names)).hexdigest()


def together(count: int, rows: int, scratch: Path) -> tuple[int, float, float]:
    """How many of the fits that ran at once ended as they do alone; seconds at once, and one after the other."""
    tables = [scratch / f"table{n}" for n in range(count)]
    for number, folder in enumerate(tables):
        write_simulated(folder, simulate("nonlinear", seed=number, rows=rows, sensors=6))
    began = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    for folder in tables:
        subprocess.run(command(folder / "data.csv", folder / "alone"), check=True, **quiet)  # type: ignore[call-overload]
    alone, began = time.perf_counter() - began, time.perf_counter()
    children = [subprocess.Popen(command(f / "data.csv", f / "together"), **quiet) for f in tables]  # type: ignore[call-overload]
    codes = [child.wait() for child in children]
    same = [code == 0 and digest(f / "alone") == digest(f / "together") for code, f in zip(codes, tables, strict=True)]
    return sum(same), time.perf_counter() - began, alone


def page(found: Sequence[Held], about: str, rest: str) -> str:
    """The dated page."""
    shown = sorted({0, *range(FROM - 1, len(found), max(1, len(found) // 10)), len(found) - 1})
    body = [[str(n + 1), f"{found[n].memory:.0f}", str(found[n].files), str(found[n].threads)] for n in shown if n < len(found)]
    head = ["after fit", "memory, MB", "open files", "threads"]
    return "\n".join([f"# Soak, {today()}", "", *source(), "", about, "", *table(head, body), "", rest, ""])


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--fits", type=int, default=200)
    asked.add_argument("--together", type=int, default=8)
    asked.add_argument("--rows", type=int, default=300)
    asked.add_argument("--out", type=Path, help="page to write [default: benchmarks/results/DATE-soak.md]")
    given = asked.parse_args()
    first = min(FROM, max(1, given.fits // 2))
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        found = fits(given.fits, given.rows, Path(scratch))
        seconds = time.perf_counter() - began
        same, at_once, alone = together(given.together, given.rows, Path(scratch))
    grown, more = growth(found, first), (found[-1].files - found[first - 1].files, found[-1].threads - found[first - 1].threads)
    lasting = grown <= BAR and max(more) <= 0
    verdict = f"**Memory {grown:+.1%}, open files {more[0]:+d}, threads {more[1]:+d}: {'lasts' if lasting else 'DOES NOT LAST'}.**"
    about = ABOUT.format(fits=given.fits, rows=given.rows, seconds=seconds, bar=BAR, first=first, verdict=verdict)
    rest = TOGETHER.format(count=given.together, cores=os.cpu_count(), same=same, seconds=at_once, alone=alone)
    write(page(found, about, rest), given.out, "soak")
    return int(not lasting or same < given.together)


if __name__ == "__main__":
    sys.exit(main())
