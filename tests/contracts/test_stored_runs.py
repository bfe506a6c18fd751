"""Runs that earlier versions wrote can be read for good; files of newer versions are refused in one sentence."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from rcgnn.encode import as_npz, from_npz
from rcgnn.errors import RunDirError
from rcgnn.rundir import RunDir
from rcgnn.store import Store

STORED = Path(__file__).parents[1] / "data" / "runs"
RUNS = sorted(folder for folder in STORED.iterdir() if (folder / "summary.json").is_file())
EQUATIONS = [run for run in RUNS if (run / "mechanism.npz").exists()]
NEWER = "written by a newer rcgnn (schema 2); update this one to read it."


@pytest.fixture
def rcgnn(monkeypatch, capsys):
    """`rcgnn("show", run)` -> what it printed; the exit code must be the expected one."""

    def run(*args: object, code: int = 0) -> str:
        from rcgnn.cli import main

        monkeypatch.setattr(sys, "argv", ["rcgnn", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert (left.value.code or 0) == code, out + err
        return err if code else out

    return run


@pytest.fixture
def copied(tmp_path):
    """The newest stored run, to be changed."""
    return Path(shutil.copytree(RUNS[-1], tmp_path / "run"))


def stored_edges(run: Path) -> list[dict[str, str]]:
    with (run / "edges.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_runs_of_several_days():
    assert len({run.name[:10] for run in RUNS}) >= 3
    assert len(EQUATIONS) >= 3


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_every_command_reads_it(run, rcgnn, tmp_path):
    links = [edge for edge in stored_edges(run) if edge["verdict"] == "link"]
    assert links
    shown = rcgnn("show", run)
    assert all(edge["cause"] in shown and edge["effect"] in shown for edge in links)
    exported = json.loads(rcgnn("export", run, "--format", "json"))
    told = {(e["source"], e["target"], str(e["key"])) for e in exported["edges"]}
    assert told == {(edge["cause"], edge["effect"], edge["lag"]) for edge in links}
    rcgnn("report", run, "--out", tmp_path / "page.html")
    assert "</html>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "true links" in rcgnn("score", run, "--truth", STORED / "truth.csv")
    assert "epoch 2" in rcgnn("watch", run, "--once")
    assert len(json.loads(rcgnn("diagnose", run, "--json", code=0))["terms"]) > 0
    other = RUNS[0] if run != RUNS[0] else RUNS[1]
    assert run.name in rcgnn("compare", run, other)


@pytest.mark.parametrize("run", EQUATIONS, ids=lambda run: run.name)
def test_its_equations_run(run, rcgnn):
    assert "x1" in rcgnn("predict", run, STORED / "table.csv")
    assert "After 3 steps" in rcgnn("intervene", run, "--set", "x0=1", "--horizon", 3)


def test_a_run_from_before_the_equations_says_so(rcgnn):
    said = rcgnn("predict", RUNS[0], STORED / "table.csv", code=2)
    assert "made by an older version" in said


def test_its_settings_start_a_fit_of_today(rcgnn, tmp_path):
    rcgnn("fit", STORED / "table.csv", "--config", RUNS[0] / "config.yaml", "--out", tmp_path / "again", "--quiet")
    assert RunDir.open(tmp_path / "again").config().train.epochs == 2


def test_operating_modes_are_there():
    graph = RunDir.open(STORED / "2026-11-25-modes").graph()
    assert any(contrast.differs for contrast in graph.contrasts.values())


@pytest.mark.parametrize("name", ["graph.json", "summary.json", "findings.json", "health.jsonl"])
def test_a_newer_file_is_refused(name, copied, rcgnn):
    path = copied / name
    lines = (
        [json.loads(line) | {"schema_version": 2, "new": 1} for line in path.read_text(encoding="utf-8").splitlines()]
        if (name == "health.jsonl")
        else [json.loads(path.read_text(encoding="utf-8")) | {"schema_version": 2, "new": 1}]
    )
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    said = rcgnn("report", copied, code=2)
    assert said.strip().endswith(NEWER)
    assert name in said


@pytest.mark.parametrize("name", ["mechanism.npz", "traces.npz"])
def test_newer_arrays_are_refused(name, copied, rcgnn):
    arrays = from_npz((copied / name).read_bytes()) | {"schema_version": np.array(2)}
    (copied / name).write_bytes(as_npz(arrays))
    assert rcgnn("report", copied, code=2).strip().endswith(NEWER)


@pytest.mark.parametrize("name", ["graph.json", "summary.json", "findings.json"])
def test_a_file_without_a_version_is_of_version_1(name, copied, rcgnn):
    path = copied / name
    raw = json.loads(path.read_text(encoding="utf-8"))
    del raw["schema_version"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert rcgnn("show", copied)


def test_newer_checkpoints_are_refused(tmp_path):
    store = Store.begin(tmp_path, {"rcgnn": "1"})
    manifest = store.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text(encoding="utf-8")) | {"schema_version": 2}), encoding="utf-8")
    with pytest.raises(RunDirError, match=r"written by a newer rcgnn \(schema 2\)"):
        store.get("smooth", {})


def test_files_written_today_carry_their_version(rcgnn, tmp_path):
    rcgnn("fit", STORED / "table.csv", "--out", tmp_path / "run", "--quiet", "--set", "train.epochs=1", "--set", "select.refine=on")
    run = tmp_path / "run"
    for name in ("graph.json", "summary.json", "findings.json"):
        assert json.loads((run / name).read_text(encoding="utf-8"))["schema_version"] == 1
    assert json.loads((run / "health.jsonl").read_text(encoding="utf-8").splitlines()[0])["schema_version"] == 1
    for name in ("scores.npz", "mechanism.npz", "traces.npz"):
        assert int(np.load(run / name, allow_pickle=False)["schema_version"]) == 1
