"""Stands for `rcgnn.pipeline` where the command line itself is tested: a fixed graph at once, or what FAKE_FIT asks for.

Run as a script it is the `rcgnn` command with this pipeline.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from rcgnn.errors import FitFailedError
from rcgnn.graph import CausalGraph, Effect
from rcgnn.health import Finding, HealthRecord, LossHealth

EPOCHS = 3
FAULTS = {
    "interrupt": KeyboardInterrupt(),
    "memory": MemoryError(),
    "defect": ZeroDivisionError("division by zero\nsecond line"),
    "failed": FitFailedError("screen: no sensor is left; check the table [bold]."),
}


def fit_series(series, config, *, progress, on_record=None, budget=None, store=None, spread=None):
    n = len(series.names)
    for epoch in range(1, EPOCHS + 1):
        progress("train", {"epoch": epoch, "epochs": EPOCHS, "loss": 1 / epoch, "links": 2, "clip_share": 0.25})
        on_record(HealthRecord(epoch=epoch, step=epoch, lr=config.train.lr, seed=config.seed, loss=LossHealth(train=1 / epoch)))
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    if os.environ.get("FAKE_FIT") in FAULTS:
        raise FAULTS[os.environ["FAKE_FIT"]]
    rng = np.random.default_rng(config.seed)
    verdict = np.zeros((config.data.max_lag + 1, n, n), np.int8)
    if os.environ.get("FAKE_FIT") != "empty":
        verdict[0, 0, 1] = verdict[1, 1, 2] = verdict[1, 2, 1] = verdict[config.data.max_lag, n - 1, 0] = 1
        verdict[1, 0, 2] = verdict[1, 0, 3] = -1
    size = np.abs(verdict) * rng.uniform(1, 9, verdict.shape)
    graph = CausalGraph.of(
        series.names,
        size,
        verdict,
        strength=np.where(verdict == 1, size / 10, 0.0),
        confidence=np.where(verdict == 1, 0.9, 0.0),
        reasons={(1, 0, 2): "near-copies", (1, 0, 3): "near-copies"} if verdict.any() else {},
        conclusion=f"{int((verdict == 1).sum())} links among {n} sensors.",
    )
    measured = dict.fromkeys(graph.links()[:-1])
    effects = {key: Effect(graph.strength[key] - 0.05, graph.strength[key] + 0.05, 7.0, 6.5, 7.5, 0.9) for key in measured}
    graph = replace(graph, effects=effects)
    findings = [Finding(code="INPUT", severity="info", message=f"{name} was read.", sensor=name) for name in series.names * 3]
    findings.append(Finding(code="SPIKE", severity="act", message="One batch was skipped.", remedy="Nothing to do."))
    empty = {"state": {}, "scaler": {}, "equations": {}, "prepared": None, "signal": None, "series": series}
    return SimpleNamespace(graph=graph, findings=findings, records=[], quality=None, summary={"seconds": {"screen": 0.1}}, **empty)


if __name__ == "__main__":
    sys.modules["rcgnn.pipeline"] = sys.modules["__main__"]
    from rcgnn.cli import main

    main()
