"""Printed, stored and returned links are one set: `edges.csv`, `graph.json`, `scores.npz`, networkx, and both printed tables."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from rcgnn.rundir import RunDir

LINE = re.compile(
    r"^(?P<cause>.*?)\s{2,}(?P<effect>.*?)\s{2,}(?P<lag>\d+)\s{2,}(?P<strength>[+-]\d+\.\d{3})\s{2,}"
    r"(?:(?P<interval>-|[+-]\d+\.\d{3} \.\. [+-]\d+\.\d{3})\s{2,}(?P<units>\S+)\s{2,}(?P<swing>-|\d+\.\d{3})\s{2,})?"
    r"(?P<confidence>\d\.\d\d)\s*$"
)
REAL = importlib.util.find_spec("rcgnn.estimator") is not None


def printed(text: str) -> list[tuple[str, str, int]]:
    """Links of the table that `fit` and `show` print."""
    found = [LINE.match(line) for line in text.splitlines()]
    return [(m["cause"], m["effect"], int(m["lag"])) for m in found if m]


def link(row: dict) -> tuple[str, str, int]:
    return (row["cause"], row["effect"], int(row["lag"]))


def stored(run: RunDir) -> dict[str, list[tuple[str, str, int]]]:
    """Links by the place that holds them, in the order of that place."""
    with (run.path / "edges.csv").open(encoding="utf-8", newline="") as file:
        edges = [link(row) for row in csv.DictReader(file) if row["verdict"] == "link"]
    raw = json.loads((run.path / "graph.json").read_text(encoding="utf-8"))
    with np.load(run.path / "scores.npz") as scores:
        names = scores["names"].tolist()
        cells = [(names[i], names[j], int(k)) for k, i, j in np.argwhere(scores["verdict"] == 1)]
    network = run.graph().to_networkx()
    return {
        "edges.csv": edges,
        "graph.json": [link(row) for row in raw["edges"] if row["verdict"] == "link"],
        "graph.json, array": [(raw["names"][i], raw["names"][j], int(k)) for k, i, j in np.argwhere(np.array(raw["verdict"]) == 1)],
        "scores.npz": cells,
        "networkx": [(cause, effect, lag) for cause, effect, lag in network.edges(keys=True)],
        "pandas": [link(row) for row in run.graph().edges().query("verdict == 'link'").to_dict("records")],
    }


def assert_agree(run: RunDir, text: str) -> None:
    places = {"printed": printed(text), **stored(run)}
    expected = [(run.graph().names[i], run.graph().names[j], k) for k, i, j in run.graph().links()]
    assert run.summary()["links"] == len(expected)
    for place, links in places.items():
        assert sorted(links) == sorted(expected), place
    assert places["printed"] == places["edges.csv"] == expected, "the order is the same too: strongest evidence first"


def test_hostile_names(rcgnn, table, tmp_path):
    fitted = rcgnn("fit", table, "--out", tmp_path / "run")
    run = RunDir.open(tmp_path / "run")
    assert len(printed(fitted.out)) == 4
    assert_agree(run, fitted.out)
    assert_agree(run, rcgnn("show", run.path).out)


def test_undecided_pairs_are_the_same_everywhere(rcgnn, table, tmp_path):
    out = rcgnn("fit", table, "--out", tmp_path / "run").out
    run = RunDir.open(tmp_path / "run")
    with (run.path / "edges.csv").open(encoding="utf-8", newline="") as file:
        verdicts = [row["verdict"] for row in csv.DictReader(file)]
    assert verdicts == ["link"] * 4 + ["undecided"] * 2
    with np.load(run.path / "scores.npz") as scores:
        assert (scores["verdict"] == -1).sum() == 2
    assert run.summary()["undecided"] == 2
    assert "Undecided: 2 pairs\n" in out


def test_strength_and_confidence_are_those_of_the_graph(rcgnn, table, tmp_path):
    out = rcgnn("fit", table, "--out", tmp_path / "run").out
    rows = {link(row): row for row in RunDir.open(tmp_path / "run").graph().rows()}
    for match in filter(None, (LINE.match(line) for line in out.splitlines())):
        row = rows[link(match.groupdict())]
        assert float(match["strength"]) == pytest.approx(row["strength"], abs=5e-4)
        assert float(match["confidence"]) == pytest.approx(row["confidence"], abs=5e-3)


@pytest.mark.skipif(not REAL, reason="needs rcgnn.estimator")
def test_the_real_command_from_simulation_to_score(tmp_path):
    def rcgnn(*args: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "rcgnn", *map(str, args)], capture_output=True, encoding="utf-8", timeout=300, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), args
        return done.stdout

    rcgnn("simulate", "--system", "linear", "--rows", 400, "--sensors", 5, "--seed", 1, "--out", tmp_path)
    fast = ["--set", "train.epochs=2", "--set", "select.halves=4"]
    fitted = rcgnn("fit", tmp_path / "data.csv", "--out", tmp_path / "run", "--device", "cpu", *fast)
    run = RunDir.open(tmp_path / "run")
    assert len(printed(fitted)) >= 1, "400 clean linear rows hold links that anybody finds"
    assert_agree(run, fitted)
    assert rcgnn("show", run.path) == fitted
    scores = json.loads(rcgnn("score", run.path, "--truth", tmp_path / "truth.csv", "--json"))
    assert scores["window"]["links_found"] == len(run.graph().links())
