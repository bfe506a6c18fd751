"""`rcgnn sweep` from table to tables: both recipes, resumed after any end, nothing of a truth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from rcgnn.rundir import RunDir
from rcgnn.synth import simulate

LAMBDAS = ("--set", "losses.sparse=1e-4,1e-5", "--set", "losses.acyclic=1e-5,1e-6")
QUICK = ("--recipe", "origin-after", "--set", "train.epochs=2")


@pytest.fixture
def plant(tmp_path):
    made = simulate("nonlinear", seed=2, rows=300, sensors=4).series
    path = tmp_path / "plant.csv"
    pd.DataFrame(made.values, columns=made.names).to_csv(path, index=False)
    return path


def read(out):
    return pd.read_csv(out / "sweep.csv")


def test_the_origins_recipe_over_two_lambdas(rcgnn, plant, tmp_path):
    out = tmp_path / "sweep"
    done = rcgnn("sweep", plant, "--out", out, *QUICK, *LAMBDAS)
    assert done.code == 0, done.err
    assert done.err.splitlines()[0].startswith("[1/4] sparse=1e-4_acyclic=1e-5: held-out loss 0")
    found = read(out)
    assert list(zip(found["losses.sparse"], found["losses.acyclic"], strict=True)) == [
        (1e-4, 1e-5),
        (1e-4, 1e-6),
        (1e-5, 1e-5),
        (1e-5, 1e-6),
    ]
    for row in found.itertuples():
        run = RunDir.open(out / "trials" / row.trial)
        assert row.links == run.summary()["links"] == len(run.graph().links())
        assert row.held_out_loss == pytest.approx(min(r.loss.val for r in run.records() if r.loss.val is not None), rel=1e-12)
        assert (run.config().losses.sparse, run.config().recipe) == (row[2], "origin-after")
    assert "in all 4 trials" in done.out
    assert f"wrote {out / 'sweep.md'}" in done.out
    text = (out / "sweep.md").read_text(encoding="utf-8")
    assert "## Links of the graph" in text
    assert f"`rcgnn sweep {plant}" in text
    shown = rcgnn("show", out / "trials" / found["trial"][0])
    assert shown.code == 0


def test_auto_with_a_collapse_that_is_run_again(rcgnn, plant, tmp_path):
    out = tmp_path / "sweep"
    settings = ("select.refine=on", "train.epochs=4", "train.eval_every=1", "losses.sparse=1,1000", "train.reruns=3")
    done = rcgnn("sweep", plant, "--out", out, "--max-lag", "2", "--quiet", *(word for s in settings for word in ("--set", s)))
    assert (done.code, done.err) == (0, "")
    found = read(out)
    assert found["reruns"][0] == 0
    assert found["reruns"][1] > 0
    assert (found["network_links"] > 0).all()
    assert found["gain_over_self"].notna().all()
    assert found["links"].nunique() == 1
    best = found["trial"][found["held_out_loss"].idxmin()]
    assert f"in {best}" in done.out
    run = RunDir.open(out / "trials" / "sparse=1000")
    events = [f for f in run.findings() if f.code == "COLLAPSE" and "reruns" in f.evidence]
    assert [f.evidence["reruns"] for f in events] == [found["reruns"][1]]
    assert {r.attempt for r in run.records()} == set(range(1, found["reruns"][1] + 2))
    assert not (out / "sweep.svg").exists()


def test_finished_trials_are_not_run_again_and_unfinished_ones_are(rcgnn, plant, tmp_path):
    out = tmp_path / "sweep"
    command = ("sweep", plant, "--out", out, *QUICK, *LAMBDAS)
    assert rcgnn(*command).code == 0
    before = read(out).drop(columns="seconds")
    cut = out / "trials" / "sparse=1e-5_acyclic=1e-5"
    (cut / "summary.json").unlink()
    (cut / "health.jsonl").write_text('{"half', encoding="utf-8")
    kept = {p: p.stat().st_mtime_ns for p in (out / "trials").glob("*/summary.json")}
    again = rcgnn(*command)
    assert again.code == 0
    assert [line.split(":")[0] for line in again.err.splitlines()] == ["[1/1] sparse=1e-5_acyclic=1e-5"]
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    pd.testing.assert_frame_equal(read(out).drop(columns="seconds"), before)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs signals")
def test_a_sweep_that_is_killed_goes_on(rcgnn, plant, tmp_path):
    out = tmp_path / "sweep"
    rest = ["sweep", str(plant), "--out", str(out), "--recipe", "origin-after", "--set", "train.epochs=40", "--set", "seed=1,2,3"]
    process = subprocess.Popen([sys.executable, "-m", "rcgnn", *rest], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not (out / "trials" / "seed=1" / "summary.json").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "sweep.csv").exists()
    time.sleep(0.5)  # the worker ends with its parent
    first = (out / "trials" / "seed=1" / "summary.json").stat().st_mtime_ns
    done = rcgnn(*rest)
    assert done.code == 0, done.err
    assert (out / "trials" / "seed=1" / "summary.json").stat().st_mtime_ns == first
    assert read(out)["error"].isna().all()
    assert len(read(out)) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "losses.sparse=1e-4"), "no setting has several values"),
        (("--set", "losses.sprase=1,2"), "Did you mean 'sparse'?"),
        (("--set", "seed=1,2", "--truth", "truth.csv"), "--truth is refused"),
        (("--set", "seed=1,2,3", "--most", "2"), "3 combinations are more than 2"),
        (("--set", "prior.forbid=[nobody -> x0],[]"), "nobody"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_written(rcgnn, plant, tmp_path, words, told):
    done = rcgnn("sweep", plant, "--out", tmp_path / "sweep", *words)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "sweep").exists()


def test_help_shows_the_lambda_sweep_and_loads_no_torch():
    asked = "sys.argv = ['rcgnn', 'sweep', '--help']"
    code = f"import sys; from rcgnn.cli import main; {asked}\ntry: main()\nfinally: sys.exit('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert found.returncode == 0
    assert "--set losses.sparse=1e-4,1e-5,1e-6" in " ".join(found.stdout.split())
