"""A fit that was ended, however, goes on to the bytes of one that was left alone; what cannot go on is refused and untouched."""

from __future__ import annotations

import csv
import errno
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rcgnn import rundir, store, whole
from rcgnn.cli import main
from rcgnn.data.quality import inspect
from rcgnn.lock import locked
from rcgnn.rundir import RunDir
from rcgnn.synth import corrupt, simulate
from rcgnn.train.trainer import make_record

HARNESS = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"
SETTINGS = ("select.refine=on", "train.epochs=5", "data.max_lag=1", "select.halves=4", "select.shifted_copies=2")

UNTRAINED = (*SETTINGS, "select.refine=off", "signal.smooth=off", "screen.opinions=false")


def _harness() -> Any:
    spec = importlib.util.spec_from_file_location("kill_resume", HARNESS)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill_resume"] = module
    spec.loader.exec_module(module)
    return module


content = _harness().content


class Killed(BaseException):
    """Stands for the end of the process: nobody handles it."""


@pytest.fixture
def fit(monkeypatch, capsys):
    """`fit(table, out, ...)` -> (exit code, stdout, stderr), with the real estimator; every checkpoint is written."""
    monkeypatch.setattr(store, "SHARE", 1e9)

    def run(table: Path, out: Path, *more: object, settings: tuple[str, ...] = SETTINGS) -> tuple[int, str, str]:
        sets = [word for one in settings for word in ("--set", one)]
        monkeypatch.setattr(sys, "argv", ["rcgnn", "fit", str(table), "--out", str(out), *sets, *map(str, more)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said, errors = capsys.readouterr()
        return left.value.code or 0, said, errors

    return run


def written(path: Path, series: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([series.names, *(["" if cell != cell else cell for cell in row] for row in series.values.tolist())])  # noqa: PLR0124
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Gaps, so that the state space runs; curves, so that links are worth training."""
    made = simulate("nonlinear", seed=1, rows=260, sensors=3).series
    return written(tmp_path_factory.mktemp("table") / "data.csv", corrupt(made, {"missing": 0.15}, seed=1))


@pytest.fixture(scope="module")
def reference(table, tmp_path_factory):
    """Of a run in a process of its own, that nobody disturbed."""
    out = tmp_path_factory.mktemp("reference") / "run"
    sets = [word for one in SETTINGS for word in ("--set", one)]
    done = subprocess.run(
        [sys.executable, "-m", "rcgnn", "fit", str(table), "--out", str(out), *sets], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return content(out)


@pytest.fixture
def untrained(fit, table, tmp_path_factory):
    """Of a run that is over in a moment."""
    out = tmp_path_factory.mktemp("untrained") / "run"
    assert fit(table, out, settings=UNTRAINED)[0] == 0
    return content(out)


def as_it_is(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def failing_at(monkeypatch, file: str, error: OSError) -> None:
    """What is written to the first file whose name holds `file` does not reach the disk."""
    name, sync, write = [""], whole.os.fsync, whole.write_whole

    def fsync(handle: int) -> None:
        if file in name[0]:
            raise error
        sync(handle)

    def named(path: Path, content: bytes) -> None:
        name[0] = path.name
        write(path, content)

    monkeypatch.setattr(whole.os, "fsync", fsync)
    for module in (rundir, store):
        monkeypatch.setattr(module, "write_whole", named)


@contextmanager
def killed_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process ends within the epoch after so many."""
    count = [0]

    def ending(*given: Any) -> Any:
        count[0] += 1
        if count[0] > epochs:
            raise Killed
        return make_record(*given)

    with monkeypatch.context() as patch:
        patch.setattr("rcgnn.train.trainer.make_record", ending)
        with pytest.raises(Killed):
            yield


# --- killed ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")
def test_killed_at_random_and_half_way_through_a_file(tmp_path):
    """A few of the moments; all of them: `python benchmarks/kill_resume.py`."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    asked = ["--points", "3", "--every", "20", "--small", "--out", str(tmp_path / "page.md")]
    done = subprocess.run([sys.executable, str(HARNESS), *asked], env=env, capture_output=True, encoding="utf-8", check=False, timeout=300)
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert done.returncode == 0, page + done.stderr
    rows = [row.split("|")[1:-1] for row in page.splitlines() if row.startswith(("| linear", "| gappy", "| nonlinear"))]
    assert [row[0].strip() for row in rows] == ["linear", "gappy", "nonlinear"]
    assert all(int(row[3]) == 1 and int(row[4]) >= 1 and int(row[5]) == 0 for row in rows), page


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")
def test_killed_at_sixty_random_moments_and_at_every_file(tmp_path):
    done = subprocess.run([sys.executable, str(HARNESS), "--small", "--out", str(tmp_path / "page.md")], capture_output=True, check=False)
    assert done.returncode == 0, (tmp_path / "page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("epochs", [1, 3])
def test_goes_on_within_training_and_tells_its_records_again(fit, table, reference, tmp_path, monkeypatch, epochs):
    out = tmp_path / "run"
    with killed_after(epochs, monkeypatch):
        fit(table, out)
    with (out / "health.jsonl").open("ab") as file:
        file.write(b'{"schema_version": 1, "ep')  # a line that was cut short
    (out / ".graph.json.1.tmp").write_bytes(b"{")  # a file that was not whole yet
    assert len(RunDir.open(out).records()) == epochs
    made = [0]

    def counting(*given: Any) -> Any:
        made[0] += 1
        return make_record(*given)

    monkeypatch.setattr("rcgnn.train.trainer.make_record", counting)
    assert fit(table, out, "--resume")[0] == 0
    assert content(out) == reference
    assert made[0] == len(reference["health.jsonl"]) - epochs, "epochs that were there were trained again"


def test_stages_that_were_kept_are_not_done_again(fit, table, reference, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("rcgnn.aside.Task.done", lambda *_, **__: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            fit(table, out)
    names = {entry["name"] for entry in json.loads((out / store.FOLDER / store.MANIFEST).read_text(encoding="utf-8"))["files"]}
    assert names == {"smooth", "screen", "chance", "opinions", "halves", "modes", "measure"}
    for again in (
        "pipeline.signal_of",
        "stages._screened",
        "stages.by_chance",
        "stages.opinions",
        "pipeline.held_and_sure",
        "pipeline.learn",
    ):
        monkeypatch.setattr(f"rcgnn.{again}", lambda *_, **__: pytest.fail("done again"))
    assert fit(table, out, "--resume")[0] == 0
    assert content(out) == reference
    assert not (out / store.FOLDER).exists()


@pytest.mark.parametrize(
    "settings", [("prior.forbid=['x0 -> x1']", "prior.require=['x1 -> x2']"), ("data.max_lag=auto",), ("screen.hidden=on",)]
)
@pytest.mark.parametrize("where", ["stages.by_chance", "pipeline.learn"])
def test_whatever_the_screen_holds_goes_on(fit, table, tmp_path, monkeypatch, settings, where):
    asked = (*UNTRAINED, *settings)
    assert fit(table, tmp_path / "alone", settings=asked)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(f"rcgnn.{where}", lambda *_, **__: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            fit(table, tmp_path / "run", settings=asked)
    assert fit(table, tmp_path / "run", "--resume", settings=asked)[0] == 0
    assert content(tmp_path / "run") == content(tmp_path / "alone")


# --- refused --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(fit, table, tmp_path, monkeypatch):
    """A run that was killed in training; its folder."""
    out = tmp_path / "stopped"
    with killed_after(2, monkeypatch):
        fit(table, out)
    return out


def refused(done: tuple[int, str, str], out: Path, before: dict[str, bytes]) -> str:
    code, said, errors = done
    assert (code, said, errors.count("\n")) == (2, "", 1), done
    assert as_it_is(out) == before
    return errors


def test_another_run_is_refused_and_untouched(fit, stopped, table, tmp_path, monkeypatch):
    before = as_it_is(stopped)
    other = written(tmp_path / "other.csv", simulate("linear", seed=2, rows=260, sensors=3).series)
    assert f"begun on other data ({table})" in refused(fit(other, stopped, "--resume"), stopped, before)
    said = refused(fit(table, stopped, "--resume", settings=(*SETTINGS, "train.lr=0.1")), stopped, before)
    assert "begun with train.lr=0.005, now train.lr=0.1;" in said
    assert "give one of them" in refused(fit(table, stopped, "--resume", "--overwrite"), stopped, before)
    assert "give --resume to go on with it, --overwrite to" in refused(fit(table, stopped), stopped, before)
    monkeypatch.setattr(store, "version", lambda name: "9.9" if name == "numpy" else "0.1.0")
    assert re.search(r"begun with (rcgnn|numpy) \S+, here is", refused(fit(table, stopped, "--resume"), stopped, before))
    monkeypatch.undo()


def test_another_schema_or_a_damaged_manifest_is_refused(fit, stopped, table):
    manifest = stopped / store.FOLDER / store.MANIFEST
    good = json.loads(manifest.read_text(encoding="utf-8"))
    for text, said in [
        (json.dumps({**good, "schema_version": 2}), "written by a newer rcgnn (schema 2)"),
        (json.dumps({**good, "rcgnn": "0.0.9"}), "begun with rcgnn 0.0.9, here is rcgnn"),
        ("{", "damaged"),
        (json.dumps({**good, "files": 3}), "damaged"),
    ]:
        manifest.write_text(text, encoding="utf-8")
        assert said in refused(fit(table, stopped, "--resume"), stopped, as_it_is(stopped))


def test_no_run_there(fit, table, tmp_path):
    assert "no such run folder" in fit(table, tmp_path / "absent", "--resume")[2]
    assert not (tmp_path / "absent").exists()
    (tmp_path / "empty").mkdir()
    code, _, errors = fit(table, tmp_path / "empty", "--resume")
    assert (code, list((tmp_path / "empty").iterdir())) == (2, [])
    assert "holds no run" in errors


def test_a_run_without_checkpoints_is_refused(fit, stopped, table):
    (stopped / store.FOLDER / store.MANIFEST).unlink()
    assert "no checkpoint to go on from" in refused(fit(table, stopped, "--resume"), stopped, as_it_is(stopped))


def test_a_damaged_newest_file_falls_back_on_the_one_before(fit, stopped, table, reference):
    files = [entry["file"] for entry in json.loads((stopped / store.FOLDER / store.MANIFEST).read_text(encoding="utf-8"))["files"]]
    newest, previous = (stopped / store.FOLDER / name for name in (files[-1], files[-2]))
    sound = previous.read_bytes()
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    previous.write_bytes(sound[:100])
    assert f"{previous}: damaged" in refused(fit(table, stopped, "--resume"), stopped, as_it_is(stopped))
    previous.write_bytes(sound)
    code, _, errors = fit(table, stopped, "--resume")
    assert (code, errors.count("\n")) == (0, 1)
    assert f"{newest} is damaged and left out" in errors
    assert content(stopped) == reference


def test_a_complete_run_is_left_as_it_is(fit, table, tmp_path):
    quick = (*SETTINGS, "select.refine=off")
    assert fit(table, tmp_path / "run", settings=quick)[0] == 0
    before = as_it_is(tmp_path / "run")
    code, said, errors = fit(table, tmp_path / "run", "--resume", settings=quick)
    assert (code, errors) == (0, "")
    assert "the run is complete" in said
    assert as_it_is(tmp_path / "run") == before
    said = refused(fit(table, tmp_path / "run", "--resume", settings=(*quick, "seed=3")), tmp_path / "run", before)
    assert "complete, but made with seed=1337, now seed=3" in said
    (tmp_path / "run" / "report.html").unlink()
    assert fit(table, tmp_path / "run", "--resume", settings=quick)[0] == 0
    assert as_it_is(tmp_path / "run").keys() == before.keys()


# --- interrupted ----------------------------------------------------------------------------------------------------------------------


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    "what",
    [
        ("stages.by_chance", "decide", terminate),
        ("pipeline.learn", "measure", interrupt),
        ("train.trainer.make_record", "train", terminate),
    ],
    ids=lambda what: what[1],
)
def test_an_interruption_leaves_what_is_known_and_can_go_on(fit, table, reference, tmp_path, monkeypatch, what):
    where, stage, end = what
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(f"rcgnn.{where}", lambda *_, **__: end())
        code, said, errors = fit(table, out)
    assert code == 130
    assert errors == f"rcgnn: Interrupted. What {out} holds is partial; the same command with --resume goes on.\n"
    assert "interrupted" in said
    run = RunDir.open(out)
    assert run.summary()["partial"] is True
    assert [one.evidence["stage"] for one in run.findings() if one.evidence.get("kind") == "interrupted"] == [stage]
    assert run.graph().links()
    assert (out / "report.html").exists()
    answers: list[bool] = []
    monkeypatch.setattr("rcgnn.pipeline.inspect", lambda *a, **k: answers.append((out / "summary.json").exists()) or inspect(*a, **k))
    assert fit(table, out, "--resume")[0] == 0
    assert answers == [False], "who watches would take the run for complete"
    assert "partial" not in run.summary()
    assert content(out) == reference


@pytest.mark.parametrize("where", ["stages._screened", "cli.resuming.Begun.__init__"])
def test_interrupted_before_there_is_a_graph(fit, table, reference, tmp_path, monkeypatch, where):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(f"rcgnn.{where}", lambda *_, **__: interrupt())
        code, said, errors = fit(table, out)
    assert (code, said, errors.count("\n")) == (130, "", 1)
    assert not (out / "graph.json").exists()
    assert fit(table, out, "--resume")[0] == 0
    assert content(out) == reference


def test_in_python_an_interruption_is_the_callers(table, monkeypatch):
    from rcgnn.estimator import RCGNN

    monkeypatch.setattr("rcgnn.pipeline.learn", lambda *_, **__: interrupt())
    with pytest.raises(KeyboardInterrupt):
        RCGNN(max_lag=1, select__refine="off").fit(str(table))


# --- two at once, a full disk ---------------------------------------------------------------------------------------------------------


def test_the_second_process_is_told_by_whom_the_folder_is_held(fit, table, tmp_path):
    out = tmp_path / "run"
    with locked(out) as holder:
        before = as_it_is(out)
        said = refused(fit(table, out), out, before)
        assert f"written by process {os.getpid()}, since {holder.since}" in said
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "file", ["health.jsonl", "config.yaml", "manifest.json", "-screen.", "-halves.", "scores.npz", "summary.json", "report.html"]
)
def test_a_full_disk_is_one_sentence_and_costs_nothing(fit, table, untrained, tmp_path, monkeypatch, file):
    code = errno.EROFS if file == "scores.npz" else errno.ENOSPC
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        failing_at(patch, file, OSError(code, os.strerror(code)))
        left, said, errors = fit(table, out, settings=UNTRAINED)
    assert (left, said, errors.count("\n")) == (2, "", 1)
    assert f"cannot be written ({os.strerror(code)})" in errors
    assert not list(out.rglob("*.tmp"))
    assert not any(file in path.name for path in out.rglob("*"))
    assert fit(table, out, *(["--resume"] if list(out.iterdir()) else []), settings=UNTRAINED)[0] == 0
    assert content(out) == untrained


def test_overwriting_on_a_full_disk_is_refused_before_the_old_run_goes(fit, table, tmp_path, monkeypatch):
    out = tmp_path / "run"
    assert fit(table, out, settings=UNTRAINED)[0] == 0
    before = as_it_is(out)

    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("rcgnn.lock.os.open", full)
    assert "Read-only file system" in refused(fit(table, out, "--overwrite", settings=UNTRAINED), out, before)


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="no limit of a file's size here")
def test_a_real_limit_of_a_files_size(table, untrained, fit, tmp_path):
    """The report is the only file that is larger."""
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); from rcgnn.cli import main; main()"
    sets = [word for one in UNTRAINED for word in ("--set", one)]
    done = subprocess.run(
        [sys.executable, "-c", code, "fit", str(table), "--out", str(tmp_path / "run"), *sets],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "report.html: cannot be written (File too large)" in done.stderr
    assert fit(table, tmp_path / "run", "--resume", settings=UNTRAINED)[0] == 0
    assert content(tmp_path / "run") == untrained
