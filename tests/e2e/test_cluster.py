"""Ray as the engine: the same results as on this machine, the table handed over once, killed workers and drivers, clear refusals."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcgnn import cluster, crew
from rcgnn.bench.job import Case, Job
from rcgnn.bench.runner import Limits, run_all
from rcgnn.bench.store import Store
from rcgnn.cli import main
from rcgnn.cluster import ray_crew, ray_engine
from rcgnn.config import Config
from rcgnn.crew import End, processes, work_off
from rcgnn.errors import InputError
from rcgnn.looks import by_crew as by_looks
from rcgnn.pipeline import fit_series
from rcgnn.processors import THREADS
from rcgnn.series import Series
from rcgnn.sweep import conduct as room
from rcgnn.sweep import tune
from rcgnn.sweep.conduct import by_crew, conduct
from rcgnn.sweep.grid import make_grid
from rcgnn.sweep.trial import run_trial
from rcgnn.sweep.tune import by_tune, rungs

pytest.importorskip("ray", reason="Ray is not installed: pip install 'rcgnn[cluster]'")

QUICK = ["recipe=origin-after", "train.epochs=2", "data.window=4"]
DIES_ONCE = """
import os, signal
from rcgnn.rundir import RunDir
from rcgnn.sweep.trial import run_trial
from rcgnn.sweep.tune import by_tune, rungs

def dies_once(series, folder, trial, tell, *_):
    marker, append = folder / "died", RunDir.append
    def after_one_epoch(run, record):
        append(run, record)
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    RunDir.append = after_one_epoch if "seed=2" in trial.name else append
    return run_trial(series, folder, trial, tell)
"""


@pytest.fixture(scope="session")
def ray():
    """One cluster of two cores for all tests of this file."""
    with cluster.joined(None, 2) as ray:
        yield ray


def table(rows=40):
    return Series.of(np.random.default_rng(0).normal(size=(rows, 3)), source="table.csv")


def figures(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "sweep.csv").drop(columns="seconds")


# --- the same answer ---------------------------------------------------------------------------------------------------------------------


def test_a_sweep_on_ray_gives_the_same_rows_and_hands_the_table_over_once(ray, tmp_path, monkeypatch):
    grid = make_grid([*QUICK, "losses.sparse=1e-4,1e-1", "seed=1,2"])
    put, sizes = ray.put, []
    monkeypatch.setattr(ray, "put", lambda value: sizes.append(len(pickle.dumps(value))) or put(value))
    big = table(rows=2000)
    done = conduct(big, grid, tmp_path / "ray", jobs=2, runner=by_crew(ray_engine()))
    conduct(big, grid, tmp_path / "local", jobs=2)
    pd.testing.assert_frame_equal(figures(tmp_path / "ray"), figures(tmp_path / "local"))
    assert [row["error"] for row in done.rows] == [None] * 4
    assert len(sizes) == 1
    assert sizes[0] > big.values.nbytes
    assert all(len(pickle.dumps(trial)) < big.values.nbytes / 4 for trial in grid.trials)
    for name in ("graph.json", "findings.json", "edges.csv"):
        for trial in grid.trials:
            ours, theirs = (tmp_path / engine / "trials" / trial.name / name for engine in ("ray", "local"))
            assert ours.read_bytes() == theirs.read_bytes()


def test_a_bench_on_ray_gives_the_same_lines(ray):
    jobs = [Job(Case("linear", "clean", seed, rows=120, sensors=4), method) for seed in (1, 2) for method in ("granger", "correlation")]
    found = [run_all(jobs, limits=Limits(engine=engine), store=Store(None)).lines for engine in (processes, ray_engine())]
    for (job, ours), (other, theirs) in zip(*found, strict=True):
        assert job == other
        assert {**ours, "seconds": None} == {**theirs, "seconds": None}
        assert ours["error"] is None
        assert ours["scores"]["summary"]["auprc"] is not None


LOOK_DIES_ONCE = """
import os, signal

def dies_once(marker, work, task, tell):
    if task.number == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(task, tell)
"""


def test_a_fit_on_ray_is_the_same_and_hands_the_table_over_once_also_where_a_worker_is_killed(ray, tmp_path, monkeypatch):
    (tmp_path / "dying_look.py").write_text(LOOK_DIES_ONCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import dying_look
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(dying_look)
    put, sizes = ray.put, []
    monkeypatch.setattr(ray, "put", lambda value: sizes.append(len(ray.cloudpickle.dumps(value))) or put(value))
    series, config = table(1600), Config().override(["data.max_lag=1", "select.refine=off", "select.halves=4", "device=cpu"])
    engine = ray_engine()
    clumsy = by_looks(lambda work, *how: engine(partial(dying_look.dies_once, tmp_path / "died", work), *how), 2)
    found, own = fit_series(series, config, spread=clumsy).graph, fit_series(series, config).graph
    assert (tmp_path / "died").exists()
    assert len(sizes) == 1
    assert sizes[0] > series.values.nbytes
    for name in ("score", "verdict", "confidence", "strength"):
        assert getattr(found, name).tobytes() == getattr(own, name).tobytes()


@pytest.mark.parametrize("engine", [("--jobs", "2"), ("--engine", "ray", "--jobs", "2")], ids=["local", "ray"])
def test_fit_takes_an_engine_and_writes_the_same_links(engine, ray, tmp_path, monkeypatch):
    pd.DataFrame(table(300).values, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    settings = [word for one in ("select.refine=off", "data.max_lag=1", "select.halves=4") for word in ("--set", one)]
    for out, more in (("alone", ()), ("many", engine)):
        monkeypatch.setattr(
            sys, "argv", ["rcgnn", "fit", str(tmp_path / "t.csv"), "--out", str(tmp_path / out), "--quiet", *settings, *more]
        )
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code
    assert (tmp_path / "alone" / "graph.json").read_bytes() == (tmp_path / "many" / "graph.json").read_bytes()


# --- what dies, and what takes too long ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")
@pytest.mark.parametrize("engine", ["local", "ray", pytest.param("tune", marks=pytest.mark.slow)])
def test_a_worker_that_is_killed_in_a_trial_is_replaced_and_the_result_is_the_same(engine, request, tmp_path, monkeypatch):
    if engine != "local":
        request.getfixturevalue("ray")
    (tmp_path / "dying.py").write_text(DIES_ONCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    import dying

    if engine != "local":  # its processes were there before the module
        import ray.cloudpickle

        ray.cloudpickle.register_pickle_by_value(dying)
    grid = make_grid([*QUICK, "seed=1,2,3"])
    conduct(table(), grid, tmp_path / "quiet")
    monkeypatch.setattr(tune if engine == "tune" else room, "run_trial", dying.dies_once)
    runner = by_tune(None) if engine == "tune" else by_crew(processes if engine == "local" else ray_engine())
    conduct(table(), grid, tmp_path / "killed", jobs=2, runner=runner)
    assert (tmp_path / "killed" / "trials" / "died").exists()
    pd.testing.assert_frame_equal(figures(tmp_path / "killed"), figures(tmp_path / "quiet"))
    health = (tmp_path / "killed" / "trials" / "seed=2" / "health.jsonl").read_text(encoding="utf-8")
    assert health.count("\n") == 2  # the epoch before the end is not there twice


def test_a_task_that_kills_every_process_is_given_up_and_one_that_takes_too_long_is_ended(ray, tmp_path):
    def work(task, tell):
        with (tmp_path / "calls").open("a") as file:
            file.write(task)
        tell({"told": task})
        if task == "d":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60 if task == "l" else 0)
        return task * 2

    with ray_crew(work, 2, 1.0) as workers:
        found: dict[str, End] = dict(work_off(workers, deque("dlab")))
    assert {task: end.how for task, end in found.items()} == {"d": "lost", "l": "late", "a": "done", "b": "done"}
    assert (found["a"].result, found["a"].facts, found["l"].facts) == ("aa", {"told": "a"}, {"told": "l"})
    assert 1.0 <= found["l"].seconds < 20.0
    assert sorted((tmp_path / "calls").read_text(encoding="utf-8")) == [*"ab", *"d" * (crew.RETRIES + 1), "l"]
    assert found["d"].why == "the process ended, 3 times; is there enough memory?"


def test_processes_of_ray_have_linear_algebra_on_one_thread_and_this_one_is_left_as_it_was(ray):
    threads = ray.get(ray.remote(lambda: [os.environ.get(name) for name in THREADS]).remote())
    assert threads == ["1"] * len(THREADS)
    assert os.environ.get("NUMEXPR_NUM_THREADS") is None


def test_what_goes_wrong_in_the_work_itself_is_told_and_the_others_go_on(ray):
    def work(task, tell):
        tell("here")
        if task == 8:
            return task
        raise {7: ValueError("odd"), 9: KeyError(9)}.get(task, SystemExit(5))  # named, a mistake in code, an end of its own

    with ray_crew(work, 1) as workers:
        ends = dict(work_off(workers, deque([7, 8, 9, 10])))
    assert {task: (end.how, end.result, end.error, end.facts) for task, end in ends.items()} == {
        7: ("failed", None, "ValueError: odd", "here"),
        8: ("done", 8, None, "here"),
        9: ("failed", None, "KeyError: 9", "here"),
        10: ("failed", None, "SystemExit: 5", "here"),
    }


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")
def test_a_driver_that_is_killed_goes_on(tmp_path):
    pd.DataFrame(table(300).values, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    settings = ("--recipe", "origin-after", "--set", "train.epochs=40", "--set", "seed=1,2,3,4")
    command = [sys.executable, "-m", "rcgnn", "sweep", str(tmp_path / "t.csv"), "--out", str(tmp_path / "s"), *settings, "--engine", "ray"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first, limit = tmp_path / "s" / "trials" / "seed=1" / "summary.json", time.monotonic() + 120
    while not first.exists() and time.monotonic() < limit:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "s" / "sweep.csv").exists()
    before = first.stat().st_mtime_ns
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert first.stat().st_mtime_ns == before
    assert figures(tmp_path / "s")["error"].isna().all()
    assert len(figures(tmp_path / "s")) == 4


# --- searches and early stops through Ray Tune --------------------------------------------------------------------------------------------


def test_asha_stops_what_falls_behind_and_the_rows_say_so(ray, tmp_path):
    settings = ["recipe=origin-after", "train.epochs=9", "data.window=4", "train.lr=1e-2,1e-6"]
    grid, runner, told = make_grid(settings), by_tune(None), []
    done = conduct(table(200), grid, tmp_path, runner=runner, stopping=True, tell=lambda *news: told.append(news[:2]))
    good, bad = done.rows
    assert (good["stopped_epoch"], good["stopped_rung"], good["verdict"] is not None) == (None, None, True)
    assert (bad["stopped_epoch"], bad["stopped_rung"], bad["verdict"], bad["error"]) == (rungs(grid.trials[0].config)[0], 1, None, None)
    assert bad["held_out_loss"] > good["held_out_loss"]
    assert (tmp_path / "trials" / "lr=1e-6" / "health.jsonl").read_text(encoding="utf-8").count("\n") == bad["stopped_epoch"]
    assert done.best == good
    again = conduct(table(200), grid, tmp_path, runner=runner, stopping=True, tell=lambda *news: told.append(news[:2]))
    assert (again.reused, again.rows, told) == (2, done.rows, [(1, 2), (2, 2)])
    whole = conduct(table(200), grid, tmp_path)
    assert (whole.reused, [row["stopped_epoch"] for row in whole.rows]) == (1, [None, None])


def test_tpe_searches_goes_on_and_hands_the_table_over_once(ray, rcgnn, tmp_path, monkeypatch):
    put, sizes = ray.put, []
    monkeypatch.setattr(ray, "put", lambda value, **more: sizes.append(len(ray.cloudpickle.dumps(value))) or put(value, **more))
    big = table(800)
    pd.DataFrame(big.values, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    words = ["sweep", tmp_path / "t.csv", "--out", tmp_path / "s", *(word for setting in QUICK for word in ("--set", setting))]
    words += ["--set", "losses.sparse=1e-6..1e-1", "--set", "train.lr=1e-4..1e-2", "--search", "tpe", "--engine", "ray"]
    first = rcgnn(*words, "--trials", 2)
    assert (first.code, len(first.err.splitlines())) == (0, 2), first.err
    assert len([size for size in sizes if size > big.values.nbytes]) == 1
    kept = figures(tmp_path / "s")
    second = rcgnn(*words, "--trials", 3)
    assert (second.code, [line.split(":")[0].split("]")[0] for line in second.err.splitlines()]) == (0, ["[1/1"])
    found = figures(tmp_path / "s")
    pd.testing.assert_frame_equal(found[:2], kept)
    assert found["trial"].nunique() == 3
    assert found["held_out_loss"].notna().all()
    assert found["losses.sparse"].between(1e-6, 1e-1).all()
    assert "Lowest held-out loss" in second.out


# --- refusals -----------------------------------------------------------------------------------------------------------------------------


def refused(rcgnn, tmp_path, *words):
    pd.DataFrame(table().values, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    done = rcgnn("sweep", tmp_path / "t.csv", "--out", tmp_path / "s", "--set", "seed=1,2", *words)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert not (tmp_path / "s").exists()
    return done.err


def test_a_fit_refuses_what_a_sweep_refuses(rcgnn, tmp_path, monkeypatch):
    pd.DataFrame(table().values, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    words = ("fit", tmp_path / "t.csv", "--out", tmp_path / "r")
    assert "only --engine ray has an address" in rcgnn(*words, "--address", "auto").err
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _: None)
    done = rcgnn(*words, "--engine", "ray")
    assert (done.code, "pip install 'rcgnn[cluster]'" in done.err) == (2, True)
    assert not (tmp_path / "r").exists()


def test_an_address_without_ray_and_one_of_another_kind_are_refused(rcgnn, tmp_path):
    assert "only --engine ray has an address" in refused(rcgnn, tmp_path, "--address", "auto")
    assert "expected auto or host:port" in refused(rcgnn, tmp_path, "--engine", "ray", "--address", "ray://head:10001")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--search", "tpe"), "--search tpe: works through Ray Tune; add --engine ray"),
        (("--stop", "asha"), "--stop asha: works through Ray Tune; add --engine ray"),
        (("--trials", "3"), "--trials: a grid runs every combination"),
        (("--seed", "3"), "--seed: a grid runs every combination"),
        (("--search", "random"), "only 2 were found"),
        (("--engine", "ray", "--stop", "asha", "--set", "train.epochs=2,4"), "train.epochs cannot be swept"),
        (("--search", "tpe", "--engine", "ray", "--stop", "asha", "--set", "train.epochs=2..4"), "train.epochs cannot be swept"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(rcgnn, tmp_path, words, told):
    assert told in refused(rcgnn, tmp_path, *words)


def test_without_the_extra_one_sentence_says_what_to_install(rcgnn, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _: None)
    assert "pip install 'rcgnn[cluster]'" in refused(rcgnn, tmp_path, "--engine", "ray")


def test_an_address_that_does_not_answer_is_told_in_time(rcgnn, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_WITHIN", 1.0)
    began = time.monotonic()
    told = refused(rcgnn, tmp_path, "--engine", "ray", "--address", "127.0.0.1:9")
    assert "no Ray cluster can be joined there (no answer within 1 s)" in told
    assert time.monotonic() - began < 15


def test_nothing_to_do_starts_no_cluster(monkeypatch):
    monkeypatch.setattr(cluster, "joined", lambda *_: pytest.fail("a cluster was started"))
    with ray_engine()(partial(run_trial, None, None), 0, None) as workers:
        assert list(work_off(workers, deque())) == []


def test_an_engine_that_ray_cannot_join_is_an_input_error(monkeypatch):
    import ray as library

    monkeypatch.setattr(library, "is_initialized", lambda: False)
    monkeypatch.setattr(library, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("no\nroute")))
    with pytest.raises(InputError, match=r"somewhere:1 cannot be used \(no route\)"), cluster.joined("somewhere:1", 1):
        pass
