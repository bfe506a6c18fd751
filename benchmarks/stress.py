"""The stress matrix: does anything bring training down?

    python benchmarks/stress.py                       # 400 cells and more; interrupted? the same command goes on
    python benchmarks/stress.py --only auto/scale     # cells whose key holds this

One JSON line a cell in stress/<source>.jsonl, then benchmarks/results/<date>-stress.md and a histogram beside it. What is
asked of a cell: no exception but one sentence of ours; network and optimiser finite after every step, and every number of
the answer; no accepted norm above the certificate of its step; the best held-out loss not above the self baseline + 1 s.e.;
a verdict of the allowed set; every injected fault named by its rule; the same links and strengths under other units, columns and clocks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from dated import RESULTS, ROOT
from faults import FAULTS, Take, injected, wrapped
from stress_cells import Cell, cells, plain, settings, table
from stress_page import publish

from rcgnn.bench.job import source_digest
from rcgnn.config import Config
from rcgnn.errors import RcgnnError
from rcgnn.graph import CausalGraph
from rcgnn.model.output import NetworkInput
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import Series
from rcgnn.train.guard import Action
from rcgnn.train.step import Stepper

VERDICTS = ("links", "no links found", "undecidable")
MEMORY = 8 * 1024**3
"""Bytes of address space that one cell may take."""
ROUNDING = 1e-5
"""Relative slack of strengths under other units, and of a loss that equals its bar."""


@dataclass
class Seen:
    """What was seen at the steps of one run.

    Attributes:
        steps: steps taken in both phases.
        linked: those of the second phase, which faults are injected into.
        ratios: largest accepted norm / certificate at that step.
        infinite: steps after which a weight or a moment was not finite although the step was accepted.
    """

    steps: int = 0
    linked: int = 0
    ratios: list[float] = field(default_factory=list)
    infinite: int = 0


@contextmanager
def watched() -> Iterator[Seen]:
    """Looks at network and optimiser after every step of every run inside."""
    import torch

    seen = Seen()

    def look(take: Take, stepper: Stepper, batch: NetworkInput) -> Action:
        known = len(stepper.log.norms)
        action = take(stepper, batch)
        seen.steps += 1
        seen.linked += not stepper.closed
        state = [*stepper.parameters, stepper.optimizer.mean, stepper.optimizer.square]
        if action not in ("rollback", "stop"):  # these ask for the last good state, which the caller brings back at once
            seen.infinite += not all(bool(torch.isfinite(t).all()) for t in state)
        bound = stepper.guard.certificate
        if action in ("accept", "readmit") and bound is not None and len(stepper.log.norms) > known:
            seen.ratios.append(stepper.log.norms[-1] / bound)
        return action

    with wrapped(look):
        yield seen


def run(cell: Cell) -> dict[str, Any]:
    """One line: the cell, what was seen, and what is wrong with it (`wrong`, empty where nothing is)."""
    began, line, wrong = time.perf_counter(), {"key": cell.key, **asdict(cell)}, []
    config = Config().override(settings(cell)) if cell.recipe == "auto" else Config.assemble(None, settings(cell))
    fault = injected(cell.fault, cell.step) if cell.fault else nullcontext()
    with warnings.catch_warnings(record=True) as caught, watched() as seen, fault:
        warnings.simplefilter("always")
        try:
            fit = fit_series(table(cell), config)
            line |= told(fit)
            wrong += judged(cell, fit, seen)
            if cell.alike:
                wrong += unlike(
                    cell.alike, fit_series(Series.of(plain(cell), names=[f"s{j}" for j in range(cell.sensors)]), config).graph, fit.graph
                )
        except RcgnnError as error:
            line |= {"verdict": "error", "error": str(error)}
            wrong += refused(cell, error)
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            line |= {"verdict": "exception", "error": f"{type(error).__name__}: {error}"}
            wrong.append(f"exception {type(error).__name__}: {error}")
    said = sorted({f"{w.category.__name__}: {w.message}" for w in caught})
    wrong += [f"warning {text}" for text in said]
    ratio = max(seen.ratios, default=None)
    return line | {"steps": seen.steps, "ratio": ratio, "wrong": wrong, "seconds": round(time.perf_counter() - began, 2)}


def told(fit: Fit) -> dict[str, Any]:
    """What the fit says about itself."""
    otherwise = VERDICTS[0] if fit.graph.links() else VERDICTS[1]
    last = fit.records[-1] if fit.records else None
    return {
        "verdict": fit.summary.get("verdict") or otherwise,
        "network": fit.summary.get("network", fit.summary.get("stopped")),
        "epochs": len(fit.records),
        "codes": sorted({finding.code for finding in named(fit)}),
        "links": len(fit.graph.links()),
        "loss": None if last is None else last.loss.train,
    }


def named(fit: Fit) -> list[Any]:
    """All findings about training."""
    return [finding for record in fit.records for finding in record.diagnoses] + [f for f in fit.findings if f.code != "INPUT"]


def judged(cell: Cell, fit: Fit, seen: Seen) -> list[str]:
    """What is wrong with an answer."""
    wrong = [f"{where} is not finite" for where, values in numbers(fit).items() if not np.isfinite(values).all()]
    verdict = told(fit)["verdict"]
    if verdict not in VERDICTS and not verdict.startswith("refinement failed: "):
        wrong.append(f"verdict {verdict!r}")
    if cell.recipe != "auto":
        return wrong
    if seen.infinite:
        wrong.append(f"weights or moments not finite after {seen.infinite} steps")
    if max(seen.ratios, default=0.0) > 1:
        wrong.append(f"accepted norm {max(seen.ratios):.3g} times its certificate")
    return wrong + worse_than_alone(fit) + unnamed(cell, fit, seen)


def worse_than_alone(fit: Fit) -> list[str]:
    """Held-out loss of the best state against own past; a network that went back to own past has no link."""
    if fit.refined is None or fit.refined.failed:
        return []
    if fit.refined.stopped == "NOT_LEARNING":
        return ["links left although own past is better"] if fit.refined.weights.any() else []
    judgements = [r for r in fit.refined.records if r.loss.val is not None and r.loss.self_baseline is not None]
    best = min(judgements, key=lambda r: r.loss.val, default=None)
    over = 0.0 if best is None else best.loss.val - best.loss.self_baseline - (best.loss.val_stderr or 0.0)
    return [f"held-out loss {over:.3g} above self baseline + 1 s.e."] if over > ROUNDING else []


def unnamed(cell: Cell, fit: Fit, seen: Seen) -> list[str]:
    """The fault, where it struck and its rule is silent."""
    if cell.fault and cell.step < seen.linked and FAULTS[cell.fault].code not in told(fit)["codes"]:
        return [f"{cell.fault} not named by {FAULTS[cell.fault].code}"]
    return []


def numbers(fit: Fit) -> dict[str, np.ndarray]:
    """Every number of the answer."""
    graph = fit.graph
    plain_numbers = {"score": graph.score, "strength": graph.strength, "confidence": graph.confidence}
    effects = [value for effect in graph.effects.values() for value in asdict(effect).values() if isinstance(value, float)]
    return {**plain_numbers, "effects": np.array(effects), **{f"weight {name}": np.asarray(value) for name, value in fit.state.items()}}


def refused(cell: Cell, error: RcgnnError) -> list[str]:
    """An error of ours is allowed where a table cannot be used; for recipe auto there is always an answer."""
    sentence = str(error)
    wrong = [] if "\n" not in sentence and sentence.endswith((".", ")")) else [f"not one sentence: {sentence!r}"]
    return wrong + ([f"no answer: {sentence}"] if cell.recipe == "auto" else [])


def unlike(alike: str, before: CausalGraph, after: CausalGraph) -> list[str]:
    """What changed although nothing about the system did."""
    order = [after.names.index(name) for name in before.names]
    strength = after.strength[:, order][:, :, order]
    verdict = after.verdict[:, order][:, :, order]
    wrong = [] if np.array_equal(verdict, before.verdict) else [f"{alike}: {int((verdict != before.verdict).sum())} verdicts differ"]
    gap = float(np.abs(strength - before.strength).max() / max(np.abs(before.strength).max(), 1e-12))
    return wrong + ([f"{alike}: strengths differ by {gap:.2g}"] if gap > ROUNDING and not wrong else [])


def limited(cell: Cell, seconds: int) -> dict[str, Any]:
    """`run`, ended after so many seconds and refused more than `MEMORY`: both show as exceptions of the cell."""
    import resource
    import signal

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))

    def out_of_time(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(seconds)
    try:
        return run(cell)
    finally:
        signal.alarm(0)


def done(path: Path) -> dict[str, dict[str, Any]]:
    """Finished cells by key; a line that was cut off is left out, a later line wins."""
    lines: dict[str, dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        lines[line["key"]] = line
    return lines


def main() -> int:
    """Run what is not there yet, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="cells whose key holds this text")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=300, help="limit of one cell")
    parser.add_argument("--failed", action="store_true", help="run again what failed")
    parser.add_argument("--store", type=Path, help="JSON lines [stress/<source>.jsonl]")
    parser.add_argument("--out", type=Path, help=f"the page [{RESULTS.name}/<date>-stress.md]")
    given = parser.parse_args()
    store = given.store or ROOT / "stress" / f"{source_digest()}.jsonl"
    store.parent.mkdir(parents=True, exist_ok=True)
    wanted = [cell for cell in cells() if given.only in cell.key]
    there = {key: line for key, line in done(store).items() if not (given.failed and line["wrong"])}
    missing = [cell for cell in wanted if cell.key not in there]
    with store.open("a", encoding="utf-8") as file, ProcessPoolExecutor(given.jobs) as pool:
        for number, line in enumerate(pool.map(limited, missing, [given.seconds] * len(missing)), 1):
            file.write(json.dumps(line) + "\n")
            file.flush()
            print(
                f"[{number}/{len(missing)}] {line['key']}: {line['verdict']}, {line['seconds']} s {line['wrong'] or ''}",
                file=sys.stderr,
                flush=True,
            )
    found = done(store)
    publish([found[cell.key] for cell in wanted if cell.key in found], len(wanted), given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
