"""One table, fitted for real from the command line: every way out holds the same links, and a second run the same bytes."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rcgnn import RCGNN
from rcgnn.graph import LINK
from rcgnn.rundir import RunDir
from rcgnn.synth import simulate

SETTINGS = ("data.max_lag=2", "train.epochs=2", "select.refine=on", "select.halves=2", "select.shifted_copies=2")
Key = tuple[str, str, int]


def rcgnn(*args: object, hash_seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rcgnn", *map(str, args)],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed), "COLUMNS": "300"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Path:
    """A folder with `data.csv` and two runs of it, `one` and `two`."""
    folder = tmp_path_factory.mktemp("plant")
    series = simulate("nonlinear", seed=3, rows=400, sensors=5).series
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(series.names)
        out.writerows(series.values.tolist())
    for number, name in enumerate(("one", "two")):
        rcgnn("fit", folder / "data.csv", "--out", folder / name, "--quiet", *(x for s in SETTINGS for x in ("--set", s)), hash_seed=number)
    return folder


def named(run: RunDir) -> set[Key]:
    graph = run.graph()
    return {(graph.names[i], graph.names[j], k) for k, i, j in graph.links()}


def printed(run: RunDir) -> set[Key]:
    lines = rcgnn("show", run.path, hash_seed=0).splitlines()
    names = "|".join(map(re.escape, run.graph().names))
    found = (re.match(rf"({names}) +({names}) +(\d+) ", line) for line in lines)
    return {(m[1], m[2], int(m[3])) for m in found if m}


def listed(run: RunDir) -> set[Key]:
    with (run.path / "edges.csv").open(encoding="utf-8", newline="") as file:
        return {(row["cause"], row["effect"], int(row["lag"])) for row in csv.DictReader(file) if row["verdict"] == "link"}


def stored(run: RunDir) -> set[Key]:
    with np.load(run.path / "scores.npz") as scores:
        return {(str(scores["names"][i]), str(scores["names"][j]), int(k)) for k, i, j in np.argwhere(scores["verdict"] == LINK)}


def drawn(run: RunDir) -> set[Key]:
    page = (run.path / "report.html").read_text(encoding="utf-8")
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    graph = json.loads(block[1])["graph"]
    names = [sensor["name"] for sensor in graph["sensors"]]
    return {(names[i], names[j], k) for k, i, j in (link["key"] for link in graph["links"])}


def returned(run: RunDir) -> set[Key]:
    graph = (
        RCGNN(**{s.split("=")[0].replace(".", "__"): json.loads(s.split("=")[1]) for s in SETTINGS if "refine" not in s})
        .fit(run.path.parent / "data.csv")
        .graph_
    )
    return {(graph.names[i], graph.names[j], k) for k, i, j in graph.links()}


@pytest.mark.parametrize("way", [printed, listed, stored, drawn, returned])
def test_every_way_out_holds_the_same_links(plant, way):
    run = RunDir.open(plant / "one")
    assert way(run) == named(run)
    assert len(named(run)) >= 3


@pytest.mark.parametrize(
    "file", ["scores.npz", "graph.json", "edges.csv", "mechanism.npz", "model.safetensors", "findings.json", "traces.npz"]
)
def test_a_second_run_writes_the_same_bytes(plant, file):
    assert (plant / "one" / file).read_bytes() == (plant / "two" / file).read_bytes()


def test_a_second_run_writes_the_same_health_times_aside(plant):
    records = [[json.loads(line) for line in (plant / run / "health.jsonl").read_text("utf-8").splitlines()] for run in ("one", "two")]
    timeless = [[{key: value for key, value in record.items() if key not in ("wall_s", "resource")} for record in run] for run in records]
    assert timeless[0] == timeless[1]
    assert len(timeless[0]) == 2
