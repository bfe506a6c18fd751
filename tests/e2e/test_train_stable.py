"""scripts/train_stable.py as a user runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_stable.py"
EPOCH = re.compile(
    r"^Epoch +\d+/2 \| Loss: +\d+\.\d{4} \| Val F1: (\d\.\d{4}|   n/a) \| Val SHD: ( +\d+\.\d|   n/a) \| Edges: +\d+/(\d+|\?) \| "
    r"Grad Clip: \d+\.\d% \| LR: \d\.\d\de-\d\d \| (NEW BEST|Patience: \d+/15)$",
    re.MULTILINE,
)


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def _script():
    spec = importlib.util.spec_from_file_location("train_stable", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(monkeypatch, capsys):
    """The script inside this process: torch loads once."""
    main = _script().main

    def call(folder: Path, *arguments: str) -> Done:
        monkeypatch.chdir(folder)
        code = main(list(arguments))
        return Done(code, *capsys.readouterr())

    return call


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script as a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)


def read(folder: Path, name: str):
    return json.loads((folder / "artifacts" / f"training_{name}_stable.json").read_text(encoding="utf-8"))


@pytest.fixture
def small(tmp_path) -> Path:
    values = np.random.default_rng(0).normal(size=(120, 3)).round(3)
    np.savetxt(tmp_path / "table.csv", values, delimiter=",", header="a,b,c", comments="", fmt="%.3f")
    (tmp_path / "truth.csv").write_text("cause,effect\na,b\nb,c\n", encoding="utf-8")
    return tmp_path


def test_two_runs_write_the_same_numbers(small):
    logs, summaries = [], []
    for _ in range(2):
        done = run_alone(small, "table.csv", "--epochs", "2")
        assert done.returncode == 0, done.stderr
        assert [m.group(1) for m in EPOCH.finditer(done.stdout)] == ["   n/a"] * 2
        logs.append(read(small, "log"))
        summaries.append(read(small, "summary"))
    for log, told in zip(logs, summaries, strict=True):
        assert told.pop("total_time") > 0
        assert all(entry.pop("epoch_time") > 0 for entry in log["epochs"])
    assert logs[0] == logs[1]
    assert summaries[0] == summaries[1]
    assert len(logs[0]["epochs"]) == summaries[0]["epochs"] == 2
    assert summaries[0]["best_f1"] is None


def test_truth_is_shown_and_changes_no_number_of_the_training(run, small):
    run(small, "table.csv", "--epochs", "2")
    blind = read(small, "log")
    done = run(small, "--data", "table.csv", "--truth", "truth.csv", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Threshold tuned: \d\.\d{3} -> F1=\d\.\d{4}$", done.stdout, re.MULTILINE)
    assert [m.group(3) for m in EPOCH.finditer(done.stdout)] == ["2"] * 2
    assert "oracle" in done.stdout
    for seen, unseen in zip(read(small, "log")["epochs"], blind["epochs"], strict=True):
        same = ("train_loss", "train_loss_components", "edge_count", "grad_clip_ratio", "learning_rate")
        assert {k: seen[k] for k in same} == {k: unseen[k] for k in same}


def test_without_arguments_it_trains_on_the_station(run, tmp_path):
    done = run(tmp_path, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert [m.group(3) for m in EPOCH.finditer(done.stdout)] == ["13"] * 2
    batch = r"^  \[Batch +\d+/173\] Loss: +\d+\.\d{4} \| Grad Norm: +\d+\.\d{4} \| Clipped: (yes|no)$"
    assert len(re.findall(batch, done.stdout, re.MULTILINE)) == 6
    assert re.search(r"standardised: \[\S+, \S+\] -> \[-?\d+\.\d, \d+\.\d\]", done.stdout)
    assert read(tmp_path, "summary")["true_edge_count"] == 13


def test_advice_when_no_link_is_left(run, small):
    done = run(small, "table.csv", "--epochs", "2", "--lambda-sparse", "100", "--lambda-acyclic", "2", "--lr", "0.1", "--clip", "1e9")
    assert read(small, "summary")["final_edge_count"] == 0
    assert "--lambda-sparse 10 --lambda-acyclic 0.2" in done.stdout


def test_options_reach_the_log(run, small):
    run(small, "table.csv", "--recipe", "origin-before", "--epochs", "1", "--seed", "7", "--lambda-disen", "0.5", "--batch-size", "4")
    kept = read(small, "log")["config"]
    assert (kept["recipe"], kept["seed"], kept["lambda_disen"], kept["batch_size"]) == ("origin-before", 7, 0.5, 4)
    assert (kept["lambda_acyclic"], kept["grad_clip_norm"], kept["standardize"]) == (0.1, 10.0, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.csv"], "absent.csv"),
        (["table.csv", "--data", "table.csv"], "two tables"),
        (["table.csv", "--lr", "-1"], "train.lr"),
        (["table.csv", "--truth", "absent.csv"], "absent.csv"),
        (["--truth", "truth.csv"], "needs its table"),
        (["table.csv", "--window", "200"], "two windows of 200 rows"),
        (["table.csv", "--epochs", "1", "--out", "truth.csv"], "--out"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(run, small, arguments, words):
    done = run(small, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_default_run_ends_within_a_minute(tmp_path):
    done = run_alone(tmp_path)
    assert done.returncode == 0, done.stderr
    assert read(tmp_path, "summary")["total_time"] < 60
