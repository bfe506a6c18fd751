"""Tasks in processes of their own: what becomes of them when a process is gone before it has heard anything."""

from __future__ import annotations

import os
from collections import deque
from functools import partial

import numpy as np

from rcgnn import crew

MUCH = np.ones(200_000)
"""More than a pipe holds."""


def leave(pipe):
    os._exit(7)


def total(shared, task, tell):
    tell(None)
    return float(shared.sum()) + task


WORK = partial(total, MUCH)


def test_tasks_come_back_with_what_was_found():
    with crew.processes(WORK, 1) as staff:
        ends = dict(crew.work_off(staff, deque([1, 2])))
    assert {task: end.result for task, end in ends.items()} == {1: 200_001.0, 2: 200_002.0}


def test_a_process_that_ends_before_it_has_read_anything_is_lost_and_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(crew, "serve", leave)
    with crew.processes(WORK, 2) as staff:
        ends = dict(crew.work_off(staff, deque([1, 2, 3])))
    assert {task: (end.how, end.exit_code) for task, end in ends.items()} == dict.fromkeys((1, 2, 3), ("lost", 7))
