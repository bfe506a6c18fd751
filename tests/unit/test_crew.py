"""Tasks in processes of their own: what becomes of them when a process is gone before it has heard anything."""

from __future__ import annotations

import os
import pickle
import time
from collections import deque
from functools import partial

import numpy as np
import pytest

from rcgnn import crew

MUCH = np.ones(200_000)
"""More than a pipe holds."""


def leave(pipe):
    os._exit(7)


def idle(pipe):
    time.sleep(60)


def total(shared, task, tell):
    tell(None)
    return float(shared.sum()) + task


WORK = partial(total, MUCH)


def choosy(task, tell):
    """A mistake in code for task 1, a kill for task 2, no memory for task 3, an end of its own for task 7."""
    tell({"task": task})
    if task == 3:
        raise MemoryError("no room")
    if task == 7:
        raise SystemExit(5)
    if task == 1:
        raise KeyError("flow", "pump")
    if task == 2:
        os._exit(9)
    return os.getpid()


@pytest.mark.parametrize("error", [KeyError("flow"), TypeError("first line.\nsecond line says what to do.")])
def test_last_words_are_told_and_the_error_goes_on(error):
    said = []
    with pytest.raises(type(error)) as raised, crew.LastWords(said.append):
        raise error
    assert raised.value is error
    assert said == [{"KeyError": "KeyError: 'flow'"}.get(type(error).__name__, "TypeError: first line. second line says what to do.")]


def test_who_leaves_has_last_words_and_work_that_ends_well_has_none():
    said = []
    with pytest.raises(SystemExit), crew.LastWords(said.append):
        raise SystemExit(3)
    with crew.LastWords(said.append):
        pass
    assert said == ["SystemExit: 3"]


def test_an_error_ends_its_task_once_and_the_others_go_on(capfd):
    """A mistake has its words and its traceback, is not given out again, and its place gets a new process; a named error keeps it."""
    with crew.processes(choosy, 1) as staff:
        ends = dict(crew.work_off(staff, deque([0, 4, 3, 5, 1, 2, 7, 6])))
        assert [worker.process.is_alive() for worker in staff.workers] == [True]
    assert {task: end.how for task, end in ends.items()} == {
        0: "done", 4: "done", 3: "failed", 5: "done", 1: "failed", 2: "lost", 7: "failed", 6: "done"
    }  # fmt: skip
    assert ends[0].result == ends[4].result == ends[5].result != ends[6].result
    assert (ends[3].why, ends[3].exit_code) == ("MemoryError: no room", None)
    assert (ends[1].exit_code, ends[7].exit_code, ends[7].why) == (1, 5, "SystemExit: 5")
    assert (ends[1].error, ends[1].why, ends[1].facts) == ("KeyError: ('flow', 'pump')",) * 2 + ({"task": 1},)
    assert ends[2].why == "the process ended (exit code 9), 3 times; is there enough memory?"
    told = capfd.readouterr().err
    assert told.count("Traceback (most recent call last)") == 1
    assert "KeyError: ('flow', 'pump')" in told


def test_tasks_come_back_with_what_was_found():
    with crew.processes(WORK, 1) as staff:
        ends = dict(crew.work_off(staff, deque([1, 2])))
    assert {task: end.result for task, end in ends.items()} == {1: 200_001.0, 2: 200_002.0}


def test_the_second_process_starts_while_the_first_has_not_read_its_work(monkeypatch):
    """Neither reads anything for a while; both are there at once, and the work was made into bytes once."""
    monkeypatch.setattr(crew, "serve", idle)
    made = []
    dumps = crew.ForkingPickler.dumps
    monkeypatch.setattr(crew.ForkingPickler, "dumps", lambda what: made.append(what) or dumps(what))
    with crew.processes(WORK, 2) as staff:
        staff.give(1)
        staff.give(2)
        assert [worker.process.is_alive() for worker in staff.workers] == [True, True]
        assert all(worker.telling.is_alive() for worker in staff.workers)
        assert [what for what in made if what in (1, 2) or what is WORK] == [WORK, 1, 2]
    assert all(worker.process is worker.pipe is worker.telling is None for worker in staff.workers)


def test_what_cannot_be_handed_over_is_said_at_once():
    with crew.processes(WORK, 1) as staff, pytest.raises((pickle.PicklingError, AttributeError)):
        staff.give(lambda: None)


def test_a_process_that_ends_before_it_has_read_anything_is_lost_and_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(crew, "serve", leave)
    with crew.processes(WORK, 2) as staff:
        ends = dict(crew.work_off(staff, deque([1, 2, 3])))
    assert {task: (end.how, end.exit_code) for task, end in ends.items()} == dict.fromkeys((1, 2, 3), ("lost", 7))
