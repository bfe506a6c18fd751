"""Second looks by a crew give what they give one after the other in this process, whatever happens to the crew."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from threading import Event

import numpy as np
import pytest

from rcgnn import looks as module
from rcgnn.config import Config
from rcgnn.crew import RETRIES, End, processes
from rcgnn.errors import InputError
from rcgnn.looks import Looks, by_crew, here
from rcgnn.pipeline import Fit, fit_series
from rcgnn.series import Series
from rcgnn.store import Pace, Store
from rcgnn.synth import simulate

QUICK = Config().override(["data.max_lag=1", "select.refine=off", "select.halves=4", "screen.basis=linear", "device=cpu"])


class Counted:
    """Something large: how often it was packed for a process is known."""

    def __init__(self) -> None:
        self.packed = 0

    def __reduce__(self):
        self.packed += 1
        return int, (40,)


def plus(shared, number):
    return shared + number


def whose(_shared, _number):
    return os.getpid()


def dies_at(marks, work, task, tell):
    """The work, by a process that dies at the second look: once, or each time where `marks` says so."""
    if task.number == 1 and not (marks / "died").exists():
        if (marks / "always").exists():
            with (marks / "calls").open("a") as calls:
                calls.write(".")
        else:
            (marks / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(task, tell)


def dying(engine, marks):
    @contextmanager
    def clumsy(work, size, limit):
        with engine(partial(dies_at, marks, work), size, limit) as crew:
            yield crew

    return clumsy


# --- who looks, and what is handed over -------------------------------------------------------------------------------------------------


def test_answers_come_in_the_order_of_the_tasks_and_what_is_shared_is_packed_once_a_process_at_most():
    shared = Counted()
    with by_crew(processes, 2)(shared) as looks:
        assert looks.each(plus, list(range(7))) == list(range(40, 47))
        assert looks.each(plus, [2, 1]) == [42, 41]
        assert looks.each(plus, []) == []
        others = set(looks.each(whose, list(range(20))))
    assert shared.packed in (1, 2)  # once for both where they are told at the same time, never once a look
    assert os.getpid() not in others
    assert len(others) <= 2
    with here(40) as looks:
        assert looks.each(plus, [2, 1]) == [42, 41]
        assert looks.each(whose, [1]) == [os.getpid()]


def test_processes_are_ready_before_the_first_look(monkeypatch):
    given = []

    @contextmanager
    def engine(work, size, limit):
        with processes(work, size, limit) as crew:
            give = crew.give
            monkeypatch.setattr(crew, "give", lambda task: (given.append(task), give(task)))
            yield crew

    with by_crew(engine, 2)(40) as looks:
        assert len(looks.crew.result().workers) == 2
        assert [task.look for task in given] == [module._ready] * 2
        assert looks.each(plus, [1]) == [41]


def test_what_is_large_is_handed_over_while_something_else_goes_on(monkeypatch):
    release = Event()

    @contextmanager
    def slow(work, size, limit):
        assert release.wait(30)
        with processes(work, size, limit) as crew:
            yield crew

    with by_crew(slow, 1)(40) as looks:
        assert not looks.crew.done()
        release.set()
        assert looks.each(plus, [1]) == [41]


def test_a_crew_that_cannot_be_had_is_told_at_the_first_look():
    def nowhere(_work, _size, _limit):
        raise InputError("no cluster")

    with by_crew(nowhere, 1)(40) as looks, pytest.raises(InputError, match="no cluster"):
        looks.each(plus, [1])


@pytest.mark.parametrize(("next_done", "waiting"), [(0, 0), (-1, 2)], ids=["ready first", "ready last"])
def test_a_process_that_is_not_ready_yet_is_not_waited_for(next_done, waiting):
    class Crew:
        """Three places; what is done next is what was given first, or last."""

        def __init__(self, work) -> None:
            self.work, self.given = work, []

        busy = property(lambda self: len(self.given))
        free = property(lambda self: 3 - len(self.given))

        def give(self, task) -> None:
            self.given.append(task)

        def ended(self):
            task = self.given.pop(next_done)
            yield task, End("done", self.work(task, None))

    with by_crew(lambda work, *_: nullcontext(Crew(work)), 2)(40) as looks:
        assert looks.each(plus, []) == []
        assert looks.each(plus, [1]) == [41]
        assert [task.look for task in looks.crew.result().given] == [module._ready] * waiting
        assert looks.each(plus, [5, 6]) == [45, 46]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")
def test_a_look_whose_process_dies_is_done_again_and_one_that_kills_them_all_is_done_here(tmp_path):
    with by_crew(dying(processes, tmp_path), 2)(40) as looks:
        assert looks.each(plus, [0, 1, 2]) == [40, 41, 42]
    assert (tmp_path / "died").exists()
    (tmp_path / "died").unlink()
    (tmp_path / "always").touch()
    with by_crew(dying(processes, tmp_path), 1)(40) as looks:
        assert looks.each(plus, [0, 1, 2]) == [40, 41, 42]
    assert (tmp_path / "calls").read_text() == "." * (RETRIES + 1)


def test_what_was_kept_is_not_looked_at_again(tmp_path, monkeypatch):
    monkeypatch.setattr(Pace, "allows", lambda *_: True)
    store = Store.begin(tmp_path, {})
    first = fit_series(Series.of(seasonal()), QUICK, store=store)

    @contextmanager
    def nobody(shared):
        looks = Looks(shared)
        monkeypatch.setattr(Looks, "each", lambda *_: pytest.fail("it was looked at again"))
        yield looks

    assert told(fit_series(Series.of(seasonal()), QUICK, store=store, spread=nobody)) == told(first)


# --- whole fits -------------------------------------------------------------------------------------------------------------------------


def seasonal() -> np.ndarray:
    """A shared season: shifted copies show links, so more of them are made."""
    season = np.sin(np.arange(1600) / 5)[:, None] * np.array([2.0, -2.0, 3.0])
    return season + np.random.default_rng(0).standard_normal((1600, 3))


def gappy() -> np.ndarray:
    """Short, with missing readings: the state space runs, and further searches."""
    values = simulate("linear", seed=3, rows=400, sensors=4).series.values.copy()
    values[np.random.default_rng(3).random(values.shape) < 0.3] = np.nan
    return values


def two_modes() -> Series:
    x = np.random.default_rng(1).standard_normal((1000, 3))
    x[1:500, 1] += x[:499, 0]
    x[501:, 2] += 0.8 * x[500:-1, 0]
    return replace(Series.of(x), regime=np.repeat([0, 1], 500), regime_names=("idle", "busy"))


TABLES = {"pieces": lambda: Series.of(seasonal()), "opinions": lambda: Series.of(gappy()), "modes": two_modes}


def told(fit: Fit) -> tuple:
    graph = fit.graph
    arrays = [getattr(graph, name) for name in ("score", "verdict", "confidence", "strength")]
    return [array.tobytes() for array in arrays], [finding.message for finding in fit.findings]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")
@pytest.mark.parametrize("table", TABLES)
def test_a_fit_is_the_same_bit_for_bit_by_a_crew_of_which_one_dies(table, tmp_path):
    series, seen = TABLES[table](), []

    @contextmanager
    def watched(shared):
        with by_crew(dying(processes, tmp_path), 2)(shared) as looks:
            yield looks
            seen.append(looks)

    assert told(fit_series(series, QUICK, spread=watched)) == told(fit_series(series, QUICK))
    assert len(seen) == 1
    assert (tmp_path / "died").exists()
