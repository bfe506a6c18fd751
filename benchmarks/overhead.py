"""What guard, certificate, record and rules cost: training with them against the same training without, in one run.

    python benchmarks/overhead.py [--sensors 13] [--rows 3000] [--repeats 5]     # writes benchmarks/results/<date>-overhead.md

Both sides train on the same windows, alternately, and processor time is counted; without, no step is judged, nothing is
clipped, measured or written down, and no rule is asked. Bar: at most 10 % of the time.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from dated import source, write

from rcgnn.bench.markdown import number, table, today
from rcgnn.candidates import Candidates
from rcgnn.config import Config
from rcgnn.health import HealthRecord, LossHealth, silent
from rcgnn.model.output import NetworkInput
from rcgnn.numerics import one_thread
from rcgnn.pipeline import fit_series
from rcgnn.refine import refine
from rcgnn.synth import simulate
from rcgnn.train import step, trainer
from rcgnn.train.guard import Action, Guard
from rcgnn.train.step import Stepper

BAR = 0.10
EPOCHS = 40
"""The default."""
Given = tuple[Any, Any, Config]


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Steps that are only taken: forward, backward, AdamW, proximal step."""

    def record(training: trainer.Training, *given: object) -> HealthRecord:
        return HealthRecord(epoch=int(str(given[2])), step=training.steps, lr=training.controls.schedule.lr, seed=1, loss=LossHealth())

    with contextlib.ExitStack() as patches:
        for where, name, value in SILENCED:
            patches.enter_context(mock.patch.object(where, name, saying(value)))
        patches.enter_context(mock.patch.object(trainer, "make_record", record))
        yield


SILENCED = (
    (Guard, "judge", "accept"),
    (Guard, "level", None),
    (Guard, "keep", None),
    (Stepper, "_observe", None),
    (Stepper, "_read", None),
    (Stepper, "_refused", None),
    (step, "bad_term", None),
    (trainer, "certify", None),
    (trainer, "_findings", []),
)
"""(where, what, what it says instead)."""


def saying(value: object) -> Callable[..., object]:
    """A function that says the same to everything."""
    return lambda *_, **__: value


def cost(given: Given, *, watched: bool) -> float:
    """Milliseconds of processor time a step, all of a training of `EPOCHS` epochs counted."""
    steps = 0
    take = Stepper.take

    def counted(self: Stepper, batch: NetworkInput) -> Action:
        nonlocal steps
        steps += 1
        return take(self, batch)

    with mock.patch.object(Stepper, "take", counted), contextlib.nullcontext() if watched else unwatched():
        began = time.process_time()
        refine(*given, progress=silent, on_record=None)
        return 1e3 * (time.process_time() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=13)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    config = Config().override([f"train.epochs={EPOCHS}", f"train.patience={EPOCHS}", "select.refine=off", "select.halves=0"])
    done = fit_series(simulate("nonlinear", seed=0, rows=given.rows, sensors=given.sensors).series, config)
    if done.prepared is None or done.screened is None:
        sys.exit("overhead: the table was too short to be screened.")
    material = (done.prepared, Candidates.of(done.screened), config)
    with one_thread():
        cost(material, watched=True)  # the first run pays for loading
        pairs = [(cost(material, watched=True), cost(material, watched=False)) for _ in range(given.repeats)]
    ratios = [watched / bare - 1 for watched, bare in pairs]
    middle = statistics.median(ratios)
    lines = [
        f"# What watching costs, {today()}",
        "",
        f"nonlinear, {given.rows:,} x {given.sensors}; {EPOCHS} epochs and the self baseline before them; {given.repeats} pairs.",
        *source(),
        "",
        *table(
            ["pair", "watched, ms a step", "bare, ms a step", "overhead"],
            [[str(n), number(a), number(b), f"{a / b - 1:.1%}"] for n, (a, b) in enumerate(pairs, 1)],
        ),
        "",
        f"Median overhead {middle:.1%}; bar {BAR:.0%}: {'met' if middle <= BAR else 'MISSED'}.",
    ]
    write("\n".join(lines) + "\n", given.out, "overhead")


if __name__ == "__main__":
    main()
