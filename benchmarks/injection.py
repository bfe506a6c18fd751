"""Is every injected fault named, does it leave the graph alone, and is there peace where nothing is wrong?

    python benchmarks/injection.py                      # writes benchmarks/results/<date>-injection.md

1. Faults of `faults.FAULTS` inside training, at several steps, on several tables: the rule that names them, and the Jaccard
   index of the links with the undisturbed run (the network's open pairs, and the fit's graph).
2. Healthy runs: findings about training of severity act or stop are false alarms.
3. Faults of the table (a sensor dies, a unit changes in the middle): which INPUT finding names them, and the links.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from dated import source, write
from faults import FAULTS, SENSOR, UNIT, Take, injected, wrapped
from steadiness import overlap

from rcgnn.bench.markdown import number, table, today
from rcgnn.config import Config
from rcgnn.model.output import NetworkInput
from rcgnn.numerics import group_norm
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import BoolArray, Series
from rcgnn.synth import simulate
from rcgnn.train.guard import Action
from rcgnn.train.record import OPEN
from rcgnn.train.step import Stepper
from rcgnn.train.stopping import jaccard

BATCHES = ("train.batch=8", "data.window=12", "train.eval_every=1")
"""Small tables give a few steps an epoch only so."""
QUICK = ("select.halves=2", "select.shifted_copies=3", *BATCHES)
SYSTEMS, STEPS, ROWS, SENSORS, EPOCHS = ("linear", "nonlinear", "lorenz96", "feedback"), (3, 12, 24), 400, 6, 20
LOST = "one batch left out"
"""The control: what one step fewer does to the network's links, whatever the reason."""
HEALTHY = ("linear", "nonlinear", "lorenz96", "station")
BAR = 0.9


@dataclass(frozen=True)
class Told:
    """One disturbed run beside its undisturbed one."""

    fault: str
    system: str
    step: int
    codes: list[str]
    failed: str | None
    network: float
    graph: float


def tabled(system: str, seed: int, rows: int = ROWS) -> Series:
    """A simulated table."""
    return simulate(system, seed=seed, rows=rows, sensors=SENSORS).series


def opened(fit: Fit) -> BoolArray:
    """[N, N] pairs that are open in the network's best state, as `record.open_pairs` counts them."""
    import torch

    weights = torch.from_numpy(fit.refined.weights)
    return (group_norm(weights, dim=-3).amax(0) > OPEN).numpy()


def codes(fit: Fit) -> list[str]:
    """Codes of all findings about training."""
    return sorted({finding.code for record in fit.records for finding in record.diagnoses})


def disturbed(job: tuple[str, int]) -> list[Told]:
    """Every fault at every step of one table."""
    system, seed = job
    series = tabled(system, seed)
    config = Config().override(["select.refine=on", f"train.epochs={EPOCHS}", *QUICK])
    before = fit_series(series, config)
    rows = []
    for name, step in product((*FAULTS, LOST), STEPS):
        with injected(name, step) if name in FAULTS else left_out(step) as struck:
            after = fit_series(series, config)
        if not struck:
            continue  # the run ended before
        same = jaccard(opened(before), opened(after)), overlap(set(before.graph.links()), set(after.graph.links()))
        rows.append(Told(name, system, step, codes(after), after.refined.failed, *same))
    return rows


@contextmanager
def left_out(step: int) -> Iterator[list[int]]:
    """One step of the second phase is not taken."""
    taken, struck = dict[Stepper, int](), list[int]()

    def strike(take: Take, stepper: Stepper, batch: NetworkInput) -> Action:
        now = taken[stepper] = taken.get(stepper, -1) + 1
        if stepper.closed or now != step:
            return take(stepper, batch)
        struck.append(now)
        return "skip"

    with wrapped(strike):
        yield struck


def healthy(job: tuple[str, int]) -> tuple[str, int, int, list[str]]:
    """System, seed, epochs, and the codes of false alarms: findings of severity act or stop about training."""
    system, seed = job
    config = Config().override(["select.refine=on", "select.halves=2", "select.shifted_copies=3"])
    sensors = 13 if system == "station" else SENSORS
    fit = fit_series(simulate(system, seed=seed, rows=600, sensors=sensors).series, config)
    alarms = [finding for record in fit.records for finding in record.diagnoses if finding.severity in ("act", "stop")]
    alarms += [finding for finding in fit.findings if finding.code != "INPUT" and finding.severity in ("act", "stop")]
    return system, seed, len(fit.records), sorted({finding.code for finding in alarms})


TABLE_FAULTS = {
    "dead": lambda x, half: np.where(np.arange(len(x)) >= half, x[half], x),
    "unit x 1000": lambda x, half: np.where(np.arange(len(x)) >= half, UNIT * x, x),
}


def spoilt(job: tuple[str, str, int]) -> tuple[str, str, int, list[str], float, float]:
    """Fault, system, seed, the kinds of INPUT findings that are new for the sensor, Jaccard of all links and of the others' links."""
    fault, system, seed = job
    series = tabled(system, seed, 800)
    config = Config().override(["select.refine=off"])
    values = np.array(series.values)
    values[:, SENSOR] = TABLE_FAULTS[fault](values[:, SENSOR], len(values) // 2)
    before, after = fit_series(series, config), fit_series(series.with_values(values, series.mask), config)
    kinds = [
        {f.evidence["kind"] for f in fit.findings if f.code == "INPUT" and f.sensor == series.names[SENSOR]} for fit in (before, after)
    ]
    links = [set(fit.graph.links()) for fit in (before, after)]
    others = [{key for key in found if SENSOR not in key[1:]} for found in links]
    return fault, system, seed, sorted(kinds[1] - kinds[0]), overlap(*links), overlap(*others)


def report(
    runs: list[Told], calm: list[tuple[str, int, int, list[str]]], tables: list[tuple[str, str, int, list[str], float, float]]
) -> str:
    """The dated page."""
    struck = [run for run in runs if run.fault in FAULTS]
    named = sum(FAULTS[run.fault].code in run.codes for run in struck)
    near = {what: np.mean([getattr(run, what) >= BAR for run in struck]) for what in ("network", "graph")}
    alarms = [line for line in calm if line[3]]
    text = [
        f"# Injected faults, {today()}",
        "",
        *source(),
        "",
        f"* {named} of {len(struck)} faults named by their rule (bar: all).",
        f"* Jaccard with the undisturbed run at least {BAR}: the fit's graph in {near['graph']:.0%} of the runs (bar: 95 %), the",
        f"  network's own links in {near['network']:.0%}. The fit's graph is the screen's, which no fault of training can reach.",
        f"* Healthy runs with a finding about training of severity act or stop: {len(alarms)} of {len(calm)} (bar: 2 %).",
        "",
        f"## Inside training: {', '.join(SYSTEMS)}, T = {ROWS}, {SENSORS} sensors, {EPOCHS} epochs, steps {', '.join(map(str, STEPS))}",
        "",
        *table(
            ["fault", "must be named by", "named", "given up", "network's links: mean, least, >= .9", "fit's graph: least"], _by_fault(runs)
        ),
        "",
        f"`{LOST}` is the control: as much as any guard can save, since it can only skip.",
        "",
        "## Inside training, by run",
        "",
        *table(["fault", "system", "step", "codes", "given up", "network", "fit"], [_run_row(run) for run in runs]),
        "",
        "## Healthy runs: T = 600, 6 sensors (station 13), default training",
        "",
        *table(["system", "runs", "epochs, mean", "false alarms"], _by_system(calm)),
        "",
        "## In the table: from the middle row on; T = 800, 6 sensors, select.refine=off",
        "",
        *table(
            ["fault", "system", "seed", "new INPUT kinds of that sensor", "links", "links among the others"],
            [_table_row(r) for r in tables],
        ),
    ]
    return "\n".join(text) + "\n"


def _by_fault(runs: list[Told]) -> list[list[str]]:
    rows = []
    for name in (*FAULTS, LOST):
        some = [run for run in runs if run.fault == name]
        code = FAULTS[name].code if name in FAULTS else "-"
        named = f"{sum(code in run.codes for run in some)} of {len(some)}" if name in FAULTS else "-"
        network = [run.network for run in some]
        shown = f"{np.mean(network):.2f}, {min(network):.2f}, {np.mean(np.array(network) >= BAR):.0%}"
        rows.append([name, code, named, str(sum(bool(run.failed) for run in some)), shown, f"{min(run.graph for run in some):.2f}"])
    return rows


def _run_row(run: Told) -> list[str]:
    return [
        run.fault,
        run.system,
        str(run.step),
        ", ".join(run.codes) or "-",
        run.failed or "-",
        number(run.network, 2),
        number(run.graph, 2),
    ]


def _table_row(row: tuple[str, str, int, list[str], float, float]) -> list[str]:
    fault, system, seed, kinds, links, others = row
    return [fault, system, str(seed), ", ".join(kinds) or "none", number(links, 2), number(others, 2)]


def _by_system(calm: list[tuple[str, int, int, list[str]]]) -> list[list[str]]:
    rows = []
    for system in dict.fromkeys(line[0] for line in calm):
        some = [line for line in calm if line[0] == system]
        alarms = [f"seed {seed}: {', '.join(found)}" for _, seed, _, found in some if found]
        rows.append([system, str(len(some)), number(float(np.mean([epochs for _, _, epochs, _ in some])), 1), "; ".join(alarms) or "none"])
    return rows


def main() -> int:
    """Three kinds of runs, one page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=lambda text: text.split(","), default=SYSTEMS)
    parser.add_argument("--seeds", type=int, default=15, help="healthy runs a system")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    spoils = [
        (fault, system, seed) for fault in TABLE_FAULTS for system in given.systems for seed in range(14100, 14100 + min(3, given.seeds))
    ]
    with ProcessPoolExecutor(given.jobs) as pool:
        runs = [run for some in pool.map(disturbed, [(system, 14100) for system in given.systems]) for run in some]
        print(f"{len(runs)} disturbed runs", file=sys.stderr, flush=True)
        calm = list(pool.map(healthy, [(system, 14300 + n) for system in HEALTHY for n in range(given.seeds)]))
        print(f"{len(calm)} healthy runs", file=sys.stderr, flush=True)
        tables = list(pool.map(spoilt, spoils))
    write(report(runs, calm, tables), given.out, "injection")
    return 0


if __name__ == "__main__":
    sys.exit(main())
