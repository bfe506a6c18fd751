"""How much faster a sweep is with two workers: 18 trials, one worker against two, processes of this machine and Ray.

    python benchmarks/sweep_speed.py

The seconds are those of the whole command, libraries, the start of workers and of Ray's cluster included. Each command runs in a
folder of its own, so nothing is there before. What Ray itself takes to start, until two processes have answered, and to end is
measured apart, with nothing to do. So is what the machine can give: two sweeps of one worker, started together, share nothing but it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
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
ALONE = """
import time
began = time.perf_counter()
from rcgnn.cluster import joined
with joined(None, 2) as ray:
    wait = ray.remote(num_cpus=1)(lambda: time.sleep(0.2))
    ray.get([wait.remote(), wait.remote()])
    ready = time.perf_counter()
print(ready - began - 0.2, time.perf_counter() - ready)
"""
"""Ray with nothing to do."""
ABOUT = """Rows of `sweep.csv` apart from `seconds`: {same}.

`rcgnn sweep` on the station with faults, {rows} rows, recipe origin-after, {epochs} epochs, 6 x 3 lambdas = 18 trials. The clock holds the
whole command. Each trial has one thread; Ray's processes have the same priority as the others (`RAY_worker_niceness=0`).
Mean number of waiting processes in the minute before each command: {load}; with more than about one beside the two cores, something
else ran too and two workers cannot have two cores. The bar: two workers at least {bar} times faster than one.

Two sweeps of one worker started together take {together:.1f} s: this machine gives two processes that share nothing but it {most:.2f}
times the work of one, and no sweep can do better than that.

Ray with nothing to do: {start:.1f} s until two processes have answered, {end:.1f} s to end. The last column is without these seconds:
that of long trials. Seconds are medians of {repeats}."""


def seconds(data: Path, outs: Sequence[Path], engine: str, jobs: int, epochs: int) -> float:
    """Of one sweep a folder, all started together, from command to tables."""
    command = [sys.executable, "-m", "rcgnn", "sweep", str(data), "--recipe", "origin-after", "--quiet", "--engine", engine]
    command += ["--jobs", str(jobs), "--set", f"train.epochs={epochs}", *(w for s in LAMBDAS for w in ("--set", s))]
    began = time.perf_counter()
    started = [
        subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, **EQUAL}) for out in outs
    ]
    left = [one.wait() for one in started]
    if any(left):
        sys.exit(f"a sweep left with {left}")
    return time.perf_counter() - began


def alone(repeats: int) -> tuple[float, float]:
    """Seconds that Ray takes to start and to end."""
    command = [sys.executable, "-W", "ignore", "-c", ALONE]
    told = [subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **EQUAL}).stdout for _ in range(repeats)]
    start, end = zip(*(map(float, one.split()) for one in told), strict=True)
    return statistics.median(start), statistics.median(end)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=2000)
    asked.add_argument("--epochs", type=int, default=12)
    asked.add_argument("--repeats", type=int, default=1, help="of each command; medians are shown [default: 1]")
    asked.add_argument("--out", type=Path, help="page to write [default: benchmarks/results/DATE-sweep-speed.md]")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place, took, tables, load, both = Path(scratch), {}, [], [], []
        made = simulate("station", seed=1, rows=given.rows)
        readings = corrupt(made.series, {"missing": 0.1}, seed=1)
        pd.DataFrame(readings.values, columns=list(readings.names)).to_csv(place / "data.csv", index=False)
        for number, engine, jobs in product(range(given.repeats), ("local", "ray"), (1, 2)):
            out = place / f"{engine}{jobs}-{number}"
            load.append(f"{os.getloadavg()[0]:.1f}")
            took.setdefault((engine, jobs), []).append(seconds(place / "data.csv", [out], engine, jobs, given.epochs))
            tables.append(pd.read_csv(out / "sweep.csv").drop(columns="seconds"))
            print(f"{engine}, {jobs}: {took[engine, jobs][-1]:.1f} s", file=sys.stderr, flush=True)
            if (engine, jobs) == ("local", 2):
                both.append(seconds(place / "data.csv", [place / f"{name}-{number}" for name in "ab"], "local", 1, given.epochs))
    start, end = alone(given.repeats)
    found, own = {what: statistics.median(each) for what, each in took.items()}, {"local": 0.0, "ray": start + end}
    same = all(one.equals(tables[0]) for one in tables)
    head = ["engine", "one worker, s", "two workers, s", "times faster", "times faster without Ray's own seconds"]
    body = [
        [e, f"{found[e, 1]:.1f}", f"{found[e, 2]:.1f}", f"{found[e, 1] / found[e, 2]:.2f}", f"{(found[e, 1] - s) / (found[e, 2] - s):.2f}"]
        for e, s in own.items()
    ]
    about = ABOUT.format(
        same="the same in all" if same else "NOT the same",
        rows=given.rows,
        epochs=given.epochs,
        together=statistics.median(both),
        most=2.0 * found["local", 1] / statistics.median(both),
        bar=BAR,
        load=", ".join(load),
        start=start,
        end=end,
        repeats=given.repeats,
    )
    lines = [f"# Sweep with two workers, {today()}", "", *source(), "", about, "", *table(head, body), ""]
    write("\n".join(lines), given.out, "sweep-speed")


if __name__ == "__main__":
    main()
