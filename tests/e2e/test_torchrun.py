"""`torchrun --nproc-per-node 2 -m rcgnn fit`: one answer, the one of one process; one message and an end where a process fails."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from rcgnn.synth import simulate

SETTINGS = (
    *("select.refine=on", "select.halves=0", "select.shifted_copies=0", "screen.opinions=false", "signal.smooth=off"),
    *("train.epochs=3", "train.eval_every=1", "data.max_lag=2"),
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
BROKEN = """
import os, sys
from rcgnn.cli import main
from rcgnn.model.network import CausalNet

def forward(self, batch, weights=None, *, closed=False):
    {what}

if os.environ["RANK"] == "1":
    CausalNet.forward = forward
main()
"""

CLOSED = """
import os, pathlib
from torch import distributed
from rcgnn.cli.together import help_out, helps, together

if helps():
    help_out()
else:
    with together():
        assert distributed.is_initialized()
pathlib.Path(__file__).with_name(os.environ["RANK"]).write_text(str(distributed.is_initialized()))
"""


def python(*args: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, *map(str, args)], env=env, capture_output=True, encoding="utf-8", timeout=120, check=False)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "data.csv"
    made = simulate("nonlinear", seed=1, rows=500, sensors=5)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([made.names, *made.series.values.tolist()])
    return path


def fit(table: Path, out: Path) -> list[object]:
    return ["fit", table, "--out", out, "--quiet", *[word for setting in SETTINGS for word in ("--set", setting)]]


def edges(run: Path) -> dict[tuple[str, ...], dict[str, str]]:
    with (run / "edges.csv").open(encoding="utf-8", newline="") as file:
        return {(row["cause"], row["effect"], row["lag"]): row for row in csv.DictReader(file)}


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "health.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("precision", "close"), [("float32", 1e-5), pytest.param("bf16", 1e-2, marks=pytest.mark.slow)])
def test_two_processes_give_the_answer_of_one(table, tmp_path, precision, close):
    alone, two = (
        python(*how, "-m", "rcgnn", *fit(table, tmp_path / name), "--set", f"train.precision={precision}")
        for how, name in (((), "one"), (TORCHRUN, "two"))
    )
    assert (alone.returncode, two.returncode) == (0, 0), two.stderr
    assert two.stdout.replace("two/", "one/") == alone.stdout  # said once
    one, other = edges(tmp_path / "one"), edges(tmp_path / "two")
    assert len(one) > 0
    assert other.keys() == one.keys()
    for key, row in one.items():
        assert other[key]["verdict"] == row["verdict"]
        assert float(other[key]["strength"]) == pytest.approx(float(row["strength"]), abs=1e-4)
    before, after = records(tmp_path / "one"), records(tmp_path / "two")
    assert len(after) == len(before) == 3
    for a, b in zip(before, after, strict=True):
        assert b["loss"]["val"] == pytest.approx(a["loss"]["val"], abs=close)
        assert b["grad"]["raw_max"] == pytest.approx(a["grad"]["raw_max"], rel=10 * close)
        assert b["guard"] == a["guard"]
    states = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    assert states[0].keys() == states[1].keys()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        pytest.param('raise MemoryError("no room")', ["torchrun: process 1 of 2 failed: MemoryError: no room"], marks=pytest.mark.slow),
        ("os._exit(9)", ["torchrun: one of the 2 processes is gone", "torchrun: ended from outside"]),
    ],
)
def test_a_process_that_fails_ends_all_with_one_message(table, tmp_path, what, said):
    script = tmp_path / "broken.py"
    script.write_text(BROKEN.format(what=what), encoding="utf-8")
    done = python(*TORCHRUN, script, *fit(table, tmp_path / "run"))
    assert done.returncode != 0
    ours = [line for line in done.stderr.splitlines() if line.startswith("rcgnn:")]  # torchrun adds a report of its own
    assert len(ours) == 1, done.stderr
    assert any(text in ours[0] for text in said)
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.slow
def test_what_cannot_be_used_is_said_once(tmp_path):
    done = python(*TORCHRUN, "-m", "rcgnn", *fit(tmp_path / "absent.csv", tmp_path / "run"))
    assert done.returncode != 0
    assert done.stderr.count("absent.csv") - done.stderr.count("absent.csv',") == 1, done.stderr


def test_every_process_closes_its_connections_before_it_ends(tmp_path):
    """Threads of gloo that outlive the interpreter abort the process, one time in two."""
    script = tmp_path / "close.py"
    script.write_text(CLOSED, encoding="utf-8")
    done = python(*TORCHRUN, script)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / rank).read_text(encoding="utf-8") for rank in "01"] == ["False", "False"]
