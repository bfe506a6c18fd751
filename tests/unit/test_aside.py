"""A network trained in a process of its own is the one that is trained here, and whatever happens to that process, there is one."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from rcgnn import aside as module
from rcgnn import pipeline
from rcgnn.aside import Aside, Task, Told, aside, pays
from rcgnn.candidates import Candidates
from rcgnn.config import Config
from rcgnn.errors import InputError
from rcgnn.pipeline import Fit, fit_series
from rcgnn.screen import moments
from rcgnn.screen.gram import Less
from rcgnn.store import Pace, Store
from rcgnn.synth import simulate
from rcgnn.train.checkpoint import States

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are handed a pipe on POSIX systems alone")

SETTINGS = ["data.max_lag=1", "select.refine=on", "select.halves=0", "select.shifted_copies=0", "train.epochs=3", "train.eval_every=1"]
CONFIG = Config().override(SETTINGS)
SERIES = simulate("linear", seed=3, rows=300, sensors=3).series


class Heard:
    def __init__(self) -> None:
        self.records, self.steps = [], []

    @property
    def told(self) -> Told:
        return Told(lambda stage, info: self.steps.append((stage, info)), self.records.append)

    @property
    def epochs(self) -> list[object]:
        """What was told of every epoch, of own histories too."""
        return [
            (stage, {name: told for name, told in info.items() if name not in {"wall_s", "rate", "seconds"}}) for stage, info in self.steps
        ]

    def lines(self) -> list[object]:
        return [record.model_copy(update={"wall_s": 0.0, "resource": {}}) for record in self.records]


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return fit_series(SERIES, CONFIG)


@pytest.fixture(scope="module")
def task(fitted) -> Task:
    return Task(fitted.prepared, CONFIG)


@pytest.fixture(scope="module")
def candidates(fitted) -> Candidates:
    return Candidates.of(fitted.screened)


def test_the_other_process_gives_the_same_network_and_tells_the_same(task, candidates):
    here, there = Heard(), Heard()
    own = task.alone(candidates, here.told)
    with aside(task, wanted=True) as other:
        other.begin(candidates)
        found = other.answer(there.told)
    assert found.last.state.keys() == own.last.state.keys()
    for name, weights in own.last.state.items():
        np.testing.assert_array_equal(found.last.state[name], weights)
    assert there.lines() == here.lines()
    assert len(here.records) == 3
    assert there.epochs == here.epochs


def test_own_histories_do_not_ask_for_candidates(task, candidates):
    """Phase 1 of a network without candidates is that of the network with them, to the bit."""
    before, within, after = Heard(), Heard(), Heard()
    own = task.begun(before.told)
    known, anew = task.alone(candidates, after.told, own), task.alone(candidates, within.told)
    assert len(before.epochs) >= 3
    assert before.epochs + after.epochs == within.epochs
    assert after.lines() == within.lines()
    for name, weights in anew.last.state.items():
        np.testing.assert_array_equal(known.last.state[name], weights)


def test_own_histories_are_trained_before_the_screen_has_an_answer(task, candidates):
    there = Heard()
    with aside(task, wanted=True) as other:
        news = other._news.get(timeout=60)
        assert news[0] == "progress"
        other._news.put(news)
        other.begin(candidates)
        other.answer(there.told)
    assert len(there.records) == 3


def test_own_histories_go_on_from_what_was_kept_and_are_left_out_where_links_were_begun(task, candidates, tmp_path, monkeypatch):
    monkeypatch.setattr(Pace, "allows", lambda *_: True)
    kept = replace(task, store=Store.begin(tmp_path, {}))
    first, again, third = Heard(), Heard(), Heard()
    own = kept.begun(first.told)
    same = kept.begun(again.told)
    assert len(again.epochs) < len(first.epochs)
    for name, weights in own.parameters.items():
        np.testing.assert_array_equal(same.parameters[name], weights)
    with pytest.raises(KeyboardInterrupt):
        kept.alone(candidates, Told(third.told.progress, _stop_after_two), own)
    assert kept.begun(third.told) is None


def test_what_a_second_attempt_has_reached_is_not_thrown_away(task, candidates, tmp_path, monkeypatch):
    """After a collapse the newest state is one of gentler settings: own histories are not begun anew, and not kept over it."""
    monkeypatch.setattr(Pace, "allows", lambda *_: True)
    collapsing = CONFIG.override(["losses.sparse=1e5", "train.reruns=1"])
    kept = replace(task, config=collapsing, store=Store.begin(tmp_path, {}))
    with pytest.raises(KeyboardInterrupt):
        kept.alone(candidates, Told(Heard().told.progress, _stop_in_the_second_attempt))
    again, went_on = Heard(), Heard()
    assert kept.begun(again.told) is None
    assert not again.steps
    done = kept.alone(candidates, went_on.told)
    assert next(info["epoch"] for _, info in went_on.steps if "epoch" in info) == 2
    assert kept.begun(again.told) is None
    assert not again.steps
    anew = replace(kept, store=None).alone(candidates, Heard().told)
    np.testing.assert_array_equal(done.last.weights, anew.last.weights)


def test_own_histories_of_a_network_that_was_kept_are_not_trained(task, candidates, tmp_path, monkeypatch):
    """A training that took no time to keep its states has left the network alone."""
    monkeypatch.setattr(Pace, "allows", lambda *_: True)
    monkeypatch.setattr(States, "save", lambda *_: None)
    kept, again = replace(task, store=Store.begin(tmp_path, {})), Heard()
    kept.alone(candidates, Heard().told)
    assert kept.begun(again.told) is None
    assert not again.steps


def _stop_in_the_second_attempt(record) -> None:
    if (record.attempt, record.epoch) == (2, 2):
        raise KeyboardInterrupt


def test_what_cannot_be_handed_over_is_said_at_once(task):
    with aside(task, wanted=True) as other, pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        other.begin(lambda: None)


def test_what_changes_while_it_is_handed_over_was_handed_over_as_it_was(task, candidates):
    """The table is packed by the thread that goes on with it."""
    changing = replace(task, prepared=_Changing(task.prepared))
    with aside(changing, wanted=True) as other:
        assert changing.prepared.packed_by == [threading.current_thread()]
        other.begin(candidates)


class _Changing:
    """Stands for a table and says which thread packs it."""

    def __init__(self, prepared) -> None:
        self.prepared, self.packed_by = prepared, []

    def __reduce__(self):
        self.packed_by.append(threading.current_thread())
        return (_unpacked, (self.prepared,))


def _unpacked(prepared):
    return prepared


@pytest.mark.parametrize("order", ["task", "candidates"])
def test_where_an_order_cannot_be_read_the_network_is_trained_here(task, candidates, order):
    here, there = Heard(), Heard()
    own = task.alone(candidates, here.told)
    with aside(task, wanted=True) as other:
        if order == "task":
            other._orders.put(ForkingPickler.dumps(_Unreadable()))
        other.begin(candidates)
        if order == "candidates":
            other._orders.put(ForkingPickler.dumps(_Unreadable()))
        found = other.answer(there.told)
    assert there.lines() == here.lines()
    np.testing.assert_array_equal(found.last.weights, own.last.weights)


class _Unreadable:
    def __reduce__(self):
        return (int, ("not a number",))


def test_a_process_that_is_never_asked_ends_with_the_block(task):
    with aside(task, wanted=True) as other:
        assert other._news.get(timeout=60)[0] == "progress"
        with pytest.raises(ValueError, match="nothing was begun"):
            other.answer(Heard().told)
    assert other._process.poll() is not None
    assert not any(thread.is_alive() for thread in other._talking)


def _stop_after_two(record) -> None:
    if record.epoch == 2:
        raise KeyboardInterrupt


def test_it_takes_up_what_was_kept_before(task, candidates, tmp_path, monkeypatch):
    monkeypatch.setattr(Pace, "allows", lambda *_: True)
    kept = replace(task, store=Store.begin(tmp_path, {}))
    here, there = Heard(), Heard()
    own = kept.alone(candidates, here.told)
    with aside(kept, wanted=True) as other:
        other.begin(candidates)
        found = other.answer(there.told)
    assert there.lines() == here.lines()
    assert there.epochs == []  # nothing was trained again
    np.testing.assert_array_equal(found.last.weights, own.last.weights)


@pytest.mark.parametrize("after", [0, 1])
def test_where_the_process_dies_the_network_is_trained_here_and_no_record_is_told_twice(task, candidates, after):
    here, there = Heard(), Heard()
    own = task.alone(candidates, here.told)
    with aside(task, wanted=True) as other:
        if after == 0:
            os.kill(other._process.pid, signal.SIGKILL)
        other.begin(candidates)
        if after == 1:
            kept = []
            while not kept or kept[-1][0] != "record":
                kept.append(other._news.get())
            os.kill(other._process.pid, signal.SIGKILL)
            for news in [*kept, module.LOST]:
                other._news.put(news)
        found = other.answer(there.told)
    assert there.lines() == here.lines()
    np.testing.assert_array_equal(found.last.weights, own.last.weights)


def test_what_cannot_be_trained_is_said_as_it_would_be_here(task, candidates, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    asked = Task(task.prepared, CONFIG.override(["device=cuda"]))
    with pytest.raises(InputError) as here:
        asked.alone(candidates, Heard().told)
    with aside(asked, wanted=True) as other:
        other.begin(candidates)
        with pytest.raises(InputError) as there:
            other.answer(Heard().told)
    assert str(there.value) == str(here.value)


def test_the_process_ends_with_the_block_whatever_ends_it(task, candidates):
    def interrupted() -> None:
        with aside(task, wanted=True) as other:
            processes.append(other._process)
            other.begin(candidates)
            raise KeyboardInterrupt

    processes = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert processes[0].poll() is not None


def test_the_pipe_is_not_closed_while_an_order_is_being_handed_over(task, candidates):
    open_while_sent = []
    with aside(task, wanted=True) as other:
        send = other._pipe.send_bytes

        def slow(what):
            other._process.wait()
            time.sleep(0.2)
            open_while_sent.append(not other._pipe.closed)
            send(what)

        other._news.get()  # the task was handed over
        other._pipe.send_bytes = slow
        other.begin(candidates)
    assert open_while_sent == [True]


def test_none_is_started_where_none_is_wanted_or_can_be(task, monkeypatch):
    with aside(task, wanted=False) as other:
        assert other is None
    monkeypatch.setattr(module.sys, "executable", "/nowhere/python")
    with aside(task, wanted=True) as other:
        assert other is None


def test_it_pays_where_there_is_a_second_processor_and_a_table_of_some_size(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(module, "processors", lambda: 2)
    assert pays(9357, 13)
    assert not pays(300, 13)
    assert not pays(10_000_000, 13)
    assert not pays(9357, 100)
    monkeypatch.setattr(module, "processors", lambda: 1)
    assert not pays(9357, 13)
    monkeypatch.setattr(module, "processors", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert not pays(9357, 13)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert pays(9357, 13)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not pays(9357, 13)


def test_a_fit_is_the_same_with_a_process_beside_it(fitted, monkeypatch):
    started = []
    real = Aside.begin
    monkeypatch.setattr(Aside, "begin", lambda self, candidates: (started.append(candidates), real(self, candidates)))
    monkeypatch.setattr(pipeline, "pays", lambda *_: True)
    beside = fit_series(SERIES, CONFIG)
    assert len(started) == 1
    assert beside.graph.to_json() == fitted.graph.to_json()
    assert [r.model_copy(update={"wall_s": 0.0, "resource": {}}) for r in beside.records] == [
        r.model_copy(update={"wall_s": 0.0, "resource": {}}) for r in fitted.records
    ]
    assert beside.findings == fitted.findings
    assert beside.summary.keys() == fitted.summary.keys()
    assert beside.state.keys() == fitted.state.keys()


def test_a_screen_whose_moments_are_made_row_by_row_has_a_process_beside_it_too(monkeypatch):
    """Such moments cannot be handed over, and need not be."""
    monkeypatch.setattr(moments, "DENSE", 5)
    monkeypatch.setattr(pipeline, "pays", lambda *_: True)
    done = fit_series(SERIES, CONFIG)
    assert isinstance(done.screened.features[0].gram.shared, Less)
    assert len(done.records) == 3


@pytest.mark.parametrize("setting", ["select.refine=off", "budget=1h", "select.refine=auto screen.basis=linear"])
def test_no_process_where_no_network_is_trained_or_time_is_short(setting, monkeypatch):
    monkeypatch.setattr(pipeline, "pays", lambda *_: True)
    monkeypatch.setattr(module, "Aside", None)
    assert fit_series(SERIES, CONFIG.override(setting.split())).graph.names == SERIES.names
