"""The run folder: every file whole or absent, equal runs equal bytes, damage told in one sentence."""

from __future__ import annotations

import csv
import errno
import json
import os
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rcgnn import rundir
from rcgnn.config import Config
from rcgnn.encode import unguarded
from rcgnn.errors import RunDirError
from rcgnn.graph import CausalGraph, Contrast, Slope
from rcgnn.health import Finding, GraphHealth, HealthRecord, LossHealth
from rcgnn.rundir import FILES, MARKER, RunDir, summarise
from rcgnn.series import Series, digest

LATER = {"traces.npz", "report.html", "regimes.csv"}
"""Files that `write_answer` does not write for this answer."""
NAMES = ('a,"b"', "<script>", "[bold]x", "pump 🚰")


def graph_of(names: tuple[str, ...] = NAMES) -> CausalGraph:
    n = len(names)
    score = np.random.default_rng(0).uniform(0.1, 9, (3, n, n))
    verdict = np.zeros((3, n, n), np.int8)
    verdict[1, 0, 1] = verdict[0, 1, 2] = verdict[2, 3, 0] = 1
    verdict[1, 2, 3] = -1
    strength = np.where(verdict == 1, -0.123456789012345, 0.0)
    return CausalGraph.of(names, score, verdict, strength=strength, reasons={(1, 2, 3): "near-copies"}, conclusion="3 links found.")


@dataclass(frozen=True)
class Answer:
    graph: CausalGraph = field(default_factory=graph_of)
    findings: tuple[Finding, ...] = (Finding(code="INPUT", severity="warn", message="stuck", evidence={"share": np.float64(0.5)}),)
    summary: dict[str, Any] = field(
        default_factory=lambda: {"seconds": {"screen": 1.5}, "power": np.float32("nan"), "counts": np.arange(2)}
    )
    state: dict[str, np.ndarray] = field(default_factory=lambda: {"z.w": np.eye(3, dtype=np.float32).T, "a.b": np.zeros((), np.int64)})
    scaler: dict[str, Any] = field(default_factory=lambda: {"centre": np.array([1.0, np.inf])})
    equations: dict[str, np.ndarray] = field(default_factory=lambda: {"names": np.array(["a", "Öl"]), "b": np.arange(3.0)})


def series() -> Series:
    return Series.of([[1.0, 2.0, 3.0, float("nan")], [2.0, 1.0, 0.0, 5.0]], names=NAMES, source="sensors.csv")


def record(epoch: int = 1) -> HealthRecord:
    return HealthRecord(epoch=epoch, step=10, lr=1e-3, seed=1337, loss=LossHealth(train=0.5), graph=GraphHealth(edges=2, density=0.1))


def written(path: Path) -> RunDir:
    run = RunDir(path)
    run.write_config(Config())
    for epoch in (1, 2):
        run.append(record(epoch))
    run.write_answer(Answer(), series(), Config())
    return run


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_files_and_what_they_hold(tmp_path):
    run = RunDir.open(written(tmp_path / "deep" / "run").path)
    assert set(contents(run.path)) == set(FILES) - LATER
    assert [file.name for file in run.files()] == [name for name in FILES if name not in LATER]
    graph = graph_of()
    assert run.graph().to_json() == graph.to_json()
    assert run.records() == [record(1), record(2)]
    assert (run.path / MARKER).read_text(encoding="utf-8") == record(1).to_line() + "\n" + record(2).to_line() + "\n"
    assert [finding.code for finding in run.findings()] == ["INPUT"]
    assert run.config() == Config()
    assert {name: array.tolist() for name, array in run.state().items()} == {"z.w": np.eye(3).tolist(), "a.b": 0}
    with np.load(run.path / "scores.npz") as scores:
        assert scores["names"].tolist() == list(NAMES)
        for what, dtype in {"score": np.float64, "strength": np.float64, "confidence": np.float64, "verdict": np.int8}.items():
            assert scores[what].dtype == dtype
            np.testing.assert_array_equal(scores[what], getattr(graph, what))


def test_summary_says_what_is_needed_to_have_it_again(tmp_path):
    summary = written(tmp_path / "run").summary()
    assert list(summary)[:5] == ["schema_version", "verdict", "conclusion", "links", "undecided"]
    expected = {"verdict": "links found", "links": 3, "undecided": 1, "table": "sensors.csv", "rows": 2, "sensors": 4}
    assert summary | expected | {"recipe": "auto", "seed": 1337, "seconds": {"screen": 1.5}} == summary
    assert summary["scaler"] == {"centre": [1.0, None]}, "a number that is not finite is absent"
    assert summary["power"] is None
    assert summary["counts"] == [0, 1]
    assert summary["packages"]["numpy"] == np.__version__
    assert summary["data_digest"] == digest(series())


@pytest.mark.parametrize(
    ("verdict", "given", "expected"),
    [
        ({(1, 0, 1): 1}, {}, "links found"),
        ({}, {}, "no links found"),
        ({(1, 0, 1): -1}, {}, "no links found"),
        ({(1, i, j): -1 for i in range(3) for j in range(3)}, {}, "undecidable"),
        ({(1, 0, 1): 1}, {"verdict": "refinement failed: SPIKE"}, "refinement failed: SPIKE"),
        ({}, {"verdict": None, "links": 99}, "no links found"),
    ],
)
def test_verdict_of_the_run(verdict, given, expected):
    votes = np.zeros((2, 4, 4), np.int8)
    for key, vote in verdict.items():
        votes[key] = vote
    graph = CausalGraph.of(NAMES, np.abs(votes) * 1.0, votes, quarantined={NAMES[3]: "constant"})
    summary = summarise(Answer(graph, summary=given), series(), Config())
    assert summary["verdict"] == expected
    assert summary["links"] == sum(vote == 1 for vote in verdict.values())


def test_one_sensor_is_undecidable():
    graph = CausalGraph.empty(NAMES, 1, quarantined=dict.fromkeys(NAMES[:2], "constant"), aliases={NAMES[2]: NAMES[3]})
    assert summarise(Answer(graph), series(), Config())["verdict"] == "undecidable"


def test_equal_runs_write_equal_bytes(tmp_path):
    assert contents(written(tmp_path / "one").path) == contents(written(tmp_path / "two").path)
    with zipfile.ZipFile(tmp_path / "one" / "scores.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "no time of day in it"


def test_digest_sees_values_and_mask_not_the_file_name():
    values = series().values
    base = digest(series())
    assert digest(Series.of(values, names=NAMES, source="other.csv")) == base
    changed = np.array(values)
    changed[0, 0] += 1e-12
    assert digest(Series.of(changed)) != base
    masked = np.array(series().mask)
    masked[0, 0] = False
    assert digest(Series.of(values, mask=masked)) != base


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(names=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=4, max_size=4, unique=True))
def test_any_names_come_back(tmp_path, names):
    graph = graph_of(tuple(names))
    run = RunDir(tmp_path / "run", overwrite=True)
    run.write_graph(graph)
    assert run.graph().names == tuple(names)
    with (run.path / "edges.csv").open(encoding="utf-8", newline="") as file:
        rows = [{column: unguarded(cell) for column, cell in row.items()} for row in csv.DictReader(file)]
    expected = [{column: "" if row[column] is None else str(row[column]) for column in rundir.EDGE_COLUMNS} for row in graph.rows()]
    assert rows == expected


def test_regimes_csv_holds_the_rows_of_the_graph_and_only_several_modes_have_one(tmp_path):
    contrasts = {(1, 0, 1): Contrast(0.001, {"a": Slope(0.5, 0.4, 0.6, 2.5)}), (0, 1, 2): Contrast(None)}
    graph = replace(graph_of(), regimes=("a", "b,c"), contrasts=contrasts)
    run = RunDir(tmp_path / "run")
    run.write_graph(graph)
    assert run.graph().to_json() == graph.to_json()
    with (run.path / "regimes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["cause", "effect", "lag", "regime", "strength", "low", "high", "in_units", "p", "differs"]
    assert rows == [{name: "" if value is None else str(value) for name, value in row.items()} for row in graph.regime_rows()]
    assert len(rows) == 6
    assert (run.path / "regimes.csv") in run.files()
    again = RunDir(run.path, overwrite=True)
    again.write_graph(graph_of())
    assert not (run.path / "regimes.csv").exists()


def test_a_lone_surrogate_cannot_stop_a_run(tmp_path):
    run = RunDir(tmp_path / "run")
    run.write_graph(graph_of(("\udc80", "b", "c", "d")))
    assert run.graph().names[0] == "\udc80"


def test_no_network_no_model_file(tmp_path):
    run = RunDir(tmp_path / "run")
    run.write_answer(Answer(state={}), series(), Config())
    assert not (run.path / "model.safetensors").exists()
    assert run.state() == {}


def test_existing_folder_is_refused_and_untouched(tmp_path):
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(RunDirError, match=r"folder (is not empty|holds files but no run)"):
            RunDir(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {"mine.txt": b"keep"}


def test_overwrite_leaves_no_file_of_the_old_run_and_every_file_of_others(tmp_path):
    old = written(tmp_path / "run")
    (old.path / "notes.md").write_text("keep", encoding="utf-8")
    (old.path / "report.html").write_text("stale", encoding="utf-8")
    with pytest.raises(RunDirError, match="--overwrite"):
        RunDir(old.path)
    assert (old.path / "graph.json").exists()
    RunDir(old.path, overwrite=True)
    assert contents(old.path) == {"notes.md": b"keep", MARKER: b""}


def test_a_draft_of_a_process_that_was_killed_is_no_other_file(tmp_path):
    (tmp_path / f".{MARKER}.123.tmp").write_text("ha", encoding="utf-8")
    RunDir(tmp_path)
    assert (tmp_path / MARKER).exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunDirError, match=r"cannot be written \(.+\); free some space, or choose another --out"):
            RunDir(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunDirError, match="Permission denied"):
            RunDir(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_failed_write_leaves_the_old_file_and_nothing_half_written(tmp_path, monkeypatch, step, code):
    run = written(tmp_path / "run")
    before = contents(run.path)

    def fail(*_args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(RunDirError, match=os.strerror(code)):
        run.write_graph(graph_of(("p", "q", "r", "s")))
    assert contents(run.path) == before


def test_an_interrupt_leaves_nothing_half_written(tmp_path, monkeypatch):
    run = written(tmp_path / "run")
    before = contents(run.path)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run.write_config(Config(seed=2))
    assert contents(run.path) == before


def test_health_lines_are_on_disk_at_once(tmp_path):
    run = RunDir(tmp_path / "run")
    for epoch in range(1, 4):
        run.append(record(epoch))
        assert [r.epoch for r in RunDir.open(run.path).records()] == list(range(1, epoch + 1))


def test_health_without_a_finite_number_is_null(tmp_path):
    run = RunDir(tmp_path / "run")
    run.append(record().model_copy(update={"numeric": {"worst": float("inf"), "count": np.int64(3)}}))
    assert run.records()[0].numeric == {"worst": None, "count": 3}


def test_a_torn_last_line_is_passed_over_a_torn_middle_is_not(tmp_path):
    run = written(tmp_path / "run")
    lines = (run.path / MARKER).read_text(encoding="utf-8").splitlines()
    (run.path / MARKER).write_text(lines[0] + "\n" + lines[1][:40], encoding="utf-8")
    assert run.records() == [record(1)]
    (run.path / MARKER).write_text(lines[0][:40] + "\n" + lines[1] + "\n", encoding="utf-8")
    with pytest.raises(RunDirError, match=r"health\.jsonl: damaged, line 1 is not a health record"):
        run.records()


@pytest.mark.parametrize(
    ("name", "read"),
    [("graph.json", RunDir.graph), ("findings.json", RunDir.findings), ("summary.json", RunDir.summary), ("config.yaml", RunDir.config)],
)
@pytest.mark.parametrize(
    "damage", [None, b"", b"{", b"[]", b"\xff\xfe", b'{"schema_version": "x"}', b'{"schema_version": 1, "findings": 3}']
)
def test_missing_and_damaged_files(tmp_path, name, read, damage):
    run = written(tmp_path / "run")
    (run.path / name).unlink()
    if damage is not None:
        (run.path / name).write_bytes(damage)
    harmless = {("config.yaml", b""), ("summary.json", b'{"schema_version": 1, "findings": 3}')}
    if (name, damage) in harmless:
        read(run)
        return
    with pytest.raises(RunDirError) as caught:
        read(run)
    assert name in str(caught.value)
    assert str(caught.value).count("gain") == 1, "says what to do, once: run `rcgnn fit` again"
    assert "\n" not in str(caught.value)


def test_a_damaged_model(tmp_path):
    run = written(tmp_path / "run")
    (run.path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0junk")
    with pytest.raises(RunDirError, match=r"model\.safetensors: damaged"):
        run.state()


def test_a_newer_schema(tmp_path):
    run = written(tmp_path / "run")
    (run.path / "summary.json").write_text(json.dumps({"schema_version": 99}), encoding="utf-8")
    with pytest.raises(RunDirError, match="newer rcgnn"):
        run.summary()


def test_open_wants_a_run(tmp_path):
    with pytest.raises(RunDirError, match="no such run folder"):
        RunDir.open(tmp_path / "absent")
    (tmp_path / "table.csv").touch()
    with pytest.raises(RunDirError, match=r"table\.csv: is a file; expected the folder"):
        RunDir.open(tmp_path / "table.csv")
    with pytest.raises(RunDirError, match="holds no run"):
        RunDir.open(tmp_path)
