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
from rcgnn.errors import InputError

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


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (InputError("plant.csv: no column; add one."), "plant.csv: no column; add one."),
        (ValueError("first line.\nsecond line says what to do."), "ValueError: first line. second line says what to do."),
        (KeyError(), "KeyError"),
    ],
)
def test_what_work_raises_is_an_answer_on_one_line(raised, told):
    def work():
        raise raised

    found = crew.attempt(work)
    assert isinstance(found, crew.Raised)
    assert found.error is raised
    assert found.told == told


def test_an_interruption_is_not_an_answer():
    def work():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crew.attempt(work)


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
