"""How much faster a sweep is with two workers: 18 trials, one worker against two, processes of this machine and Ray.

    python benchmarks/sweep_speed.py

The seconds are those of the whole command, libraries, the start of workers and of Ray's cluster included. Each of the four
commands runs in a folder of its own, so nothing is there before.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from dated import ROOT, source, write

from rcgnn.bench.markdown import today
from rcgnn.markdown import table
from rcgnn.synth import corrupt, simulate

LAMBDAS = ("losses.sparse=1e-3,1e-4,1e-5,1e-6,1e-7,1e-8", "losses.acyclic=1e-5,1e-6,1e-7")
BAR = 1.7
EQUAL = {"RAY_worker_niceness": "0"}
"""Ray's processes give way to all others unless told not to; those of this machine do not."""
ABOUT = """Rows of `sweep.csv` apart from `seconds`: {same}.

`rcgnn sweep` on the station with faults, {rows} rows, recipe origin-after, {epochs} epochs, 6 x 3 lambdas = 18 trials. The clock holds the
whole command. Each trial has one thread; Ray's processes have the same priority as the others (`RAY_worker_niceness=0`).
Mean number of waiting processes in the minute before each command: {load}; with more than about one beside the two cores, something
else ran too and two workers cannot have two cores. The bar: two workers at least {bar} times faster than one."""


def seconds(data: Path, out: Path, engine: str, jobs: int, epochs: int) -> float:
    """Of one sweep, from command to tables."""
    command = [sys.executable, "-m", "rcgnn", "sweep", str(data), "--out", str(out), "--recipe", "origin-after", "--quiet"]
    command += ["--engine", engine, "--jobs", str(jobs), "--set", f"train.epochs={epochs}", *(w for s in LAMBDAS for w in ("--set", s))]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, **EQUAL})
    return time.perf_counter() - began


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=2000)
    asked.add_argument("--epochs", type=int, default=12)
    asked.add_argument("--out", type=Path, help="page to write [default: benchmarks/results/DATE-sweep-speed.md]")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place, found, tables, load = Path(scratch), {}, [], []
        made = simulate("station", seed=1, rows=given.rows)
        readings = corrupt(made.series, {"missing": 0.1}, seed=1)
        pd.DataFrame(readings.values, columns=list(readings.names)).to_csv(place / "data.csv", index=False)
        for engine in ("local", "ray"):
            for jobs in (1, 2):
                out = place / f"{engine}{jobs}"
                load.append(f"{os.getloadavg()[0]:.1f}")
                found[engine, jobs] = seconds(place / "data.csv", out, engine, jobs, given.epochs)
                tables.append(pd.read_csv(out / "sweep.csv").drop(columns="seconds"))
                print(f"{engine}, {jobs}: {found[engine, jobs]:.1f} s", file=sys.stderr, flush=True)
    same = all(one.equals(tables[0]) for one in tables)
    head = ["engine", "one worker, s", "two workers, s", "times faster"]
    body = [[e, f"{found[e, 1]:.1f}", f"{found[e, 2]:.1f}", f"{found[e, 1] / found[e, 2]:.2f}"] for e in ("local", "ray")]
    equal = "the same in all four" if same else "NOT the same"
    about = ABOUT.format(same=equal, rows=given.rows, epochs=given.epochs, bar=BAR, load=", ".join(load))
    lines = [f"# Sweep with two workers, {today()}", "", *source(), "", about, "", *table(head, body), ""]
    write("\n".join(lines), given.out, "sweep-speed")


if __name__ == "__main__":
    main()
