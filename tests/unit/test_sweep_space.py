"""Ranges and what is drawn from them; TPE's proposals; rungs; the rows of trials that were stopped."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.errors import InputError, RunDirError
from rcgnn.sweep.grid import make_grid
from rcgnn.sweep.hunt import Hunt, Proposed
from rcgnn.sweep.page import Swept, heat_maps, page, trial_line, verdict_line
from rcgnn.sweep.space import Choice, Range, drawn, grid_of, make_space, read_range
from rcgnn.sweep.trial import FIGURES, STOPPED_FILE, row_of, stopped_at
from rcgnn.sweep.tune import comparable, rungs

# --- ranges -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "whole", "expected"),
    [
        ("1e-6..1e-2", False, Range(1e-6, 1e-2, log=True)),
        ("0.1..9.9", False, Range(0.1, 9.9)),
        ("log:0.1..9.9", False, Range(0.1, 9.9, log=True)),
        ("lin:1e-6..1e-2", False, Range(1e-6, 1e-2)),
        ("-1..1", False, Range(-1.0, 1.0)),
        ("0..1000", False, Range(0.0, 1000.0)),
        ("2..300", True, Range(2.0, 300.0, log=True, whole=True)),
    ],
)
def test_a_range_is_read_as_it_is_written(text, whole, expected):
    assert read_range("x", text, whole=whole) == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["losses.sparse=2..1"], "the lower one first"),
        (["losses.sparse=1..1"], "the lower one first"),
        (["losses.sparse=a..1"], "two numbers"),
        (["losses.sparse=0..inf"], "two numbers"),
        (["losses.sparse=log:0..1"], "begins above 0; write lin:0..1"),
        (["train.epochs=1.5..4"], "takes whole numbers"),
        (["losses.sparse=-1..1"], "losses.sparse: input should be greater than or equal to 0"),
        (["losses.sprase=1..2"], "Did you mean 'sparse'?"),
        (["seed=1"], "nothing to search"),
        (["train.lr=1e-3..1e-2", "train.lr=1"], "set twice"),
    ],
)
def test_what_is_no_range_is_refused_in_one_sentence(settings, words):
    with pytest.raises(InputError) as refused:
        make_space(settings)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_grid_has_no_ranges():
    with pytest.raises(InputError, match="add --search random or --search tpe"):
        make_grid(["losses.sparse=1e-6..1e-2", "seed=1,2"])


def test_draws_are_uniform_by_logarithm_or_by_value_and_stay_inside():
    random = np.random.default_rng(0)
    log = [math.log10(float(Range(1e-6, 1e-2, log=True).draw(random))) for _ in range(2000)]
    assert np.histogram(log, bins=4, range=(-6, -2))[0].tolist() == pytest.approx([500] * 4, abs=80)
    plain = [float(Range(0.0, 4.0).draw(random)) for _ in range(2000)]
    assert np.histogram(plain, bins=4, range=(0, 4))[0].tolist() == pytest.approx([500] * 4, abs=80)
    whole = [int(Range(1, 4, whole=True).draw(random)) for _ in range(2000)]
    assert [whole.count(n) for n in (1, 2, 3, 4)] == pytest.approx([500] * 4, abs=80)
    narrow = Range(1.0001, 1.0002)
    assert all(narrow.holds(narrow.draw(random)) for _ in range(50))
    assert not narrow.holds("1.0")
    assert not narrow.holds("empty")


def test_random_trials_are_all_different_the_same_again_and_have_the_fixed_settings():
    space = make_space(["losses.sparse=1e-6..1e-2", "model.hidden=8,16", "train.epochs=2..5"], fixed=["recipe=origin-after"])
    grid = drawn(space, 30, seed=3)
    assert len({trial.name for trial in grid.trials}) == 30
    assert grid.trials == drawn(space, 30, seed=3).trials
    assert grid.trials[0] != drawn(space, 1, seed=4).trials[0]
    assert {trial.config.recipe for trial in grid.trials} == {"origin-after"}
    assert {trial.config.train.epochs for trial in grid.trials} == {2, 3, 4, 5}
    assert {trial.config.model.hidden for trial in grid.trials} == {8, 16}
    assert list(grid.values[0]) == sorted(grid.values[0], key=float)
    assert all(space.holds(trial.values) for trial in grid.trials)
    assert not space.holds(("1e-7", "8", "2"))
    assert not space.holds(("1e-4", "9", "2"))


def test_more_trials_than_there_are_is_an_input_error():
    with pytest.raises(InputError, match="only 4 were found"):
        drawn(make_space(["train.epochs=2..5"]), 5, seed=1)


def test_choices_are_equal_when_their_values_are():
    assert make_space(["losses.sparse=1e-4,0.0001,1E-5"]).dimensions["losses.sparse"] == Choice(("0.0001", "1E-5"), ("1e-4", "1e-5"))


# --- TPE ----------------------------------------------------------------------------------------------------------------------------------


def ask(source, loss, times):
    """Losses of that many proposals, each told at once."""
    found = []
    for number in range(times):
        trial = source.next(f"t{number}")
        found.append(trial)
        if trial is not None:
            source.over(f"t{number}", loss(trial))
    return found


def distance(trial):
    return (math.log10(trial.config.losses.sparse) + 4) ** 2


def test_tpe_goes_where_held_out_losses_are_low():
    pytest.importorskip("optuna", reason="pip install 'rcgnn[cluster]'")
    space = make_space(["losses.sparse=1e-8..1e-1"])
    found = ask(Proposed(Hunt(space, 40, seed=1), [], []), distance, 40)
    first, last = (statistics.median(distance(trial) for trial in part) for part in (found[:10], found[20:]))
    assert last < first / 4
    assert len({trial.name for trial in found}) == 40


def test_tpe_begins_with_what_was_left_counts_what_is_known_and_ends():
    pytest.importorskip("optuna", reason="pip install 'rcgnn[cluster]'")
    space = make_space(["losses.sparse=1e-8..1e-1", "model.hidden=8,16"])
    trials = drawn(space, 3, seed=1).trials
    source = Proposed(Hunt(space, 6, seed=1), trials[:1], [(trials[1], 0.5), (trials[2], None)])
    found = ask(source, distance, 5)
    assert found[0] == trials[0]
    assert found[4] is None
    assert len({trial.name for trial in (*found[:4], *trials)}) == 6
    values = [trial.params["losses.sparse"] for trial in source.optuna._ot_study.trials if trial.value is not None]
    assert float(trials[1].values[0]) in values


def test_tpe_proposes_nothing_twice_and_ends_where_there_is_nothing_new():
    pytest.importorskip("optuna", reason="pip install 'rcgnn[cluster]'")
    found = ask(Proposed(Hunt(make_space(["model.hidden=8,16,32"]), 9, seed=1), [], []), lambda trial: trial.config.model.hidden, 5)
    assert sorted(trial.values[0] for trial in found[:3]) == ["16", "32", "8"]
    assert found[3:] == [None, None]


# --- trials that were stopped -------------------------------------------------------------------------------------------------------------


def test_rungs_lie_before_the_end_and_not_before_the_first_evaluation():
    assert rungs(Config().override(["train.epochs=90", "train.eval_every=1"])) == (10, 30)
    assert rungs(Config().override(["train.epochs=90", "train.eval_every=20"])) == (20, 60)
    assert rungs(Config().override(["train.epochs=3", "train.eval_every=1"])) == (1,)
    assert rungs(Config().override(["train.epochs=2", "train.eval_every=5"])) == ()


def test_trials_of_different_length_are_not_compared_early():
    comparable(("losses.sparse",))
    with pytest.raises(InputError, match=r"train\.epochs cannot be swept"):
        comparable(("losses.sparse", "train.epochs"))


def swept(*rows):
    space = make_space(["losses.sparse=1e-6..1e-2", "train.lr=1e-4..1e-2"])
    grid = grid_of(space, drawn(space, len(rows), seed=1).trials)
    whole = [{"trial": t.name, **dict(zip(grid.swept, t.values, strict=True)), **dict.fromkeys(FIGURES)} for t in grid.trials]
    return Swept(grid, tuple(row | more for row, more in zip(whole, rows, strict=True)), "table.csv")


def test_stopped_trials_stand_between_whole_and_failed_ones_and_are_never_the_best():
    done = swept(
        {"held_out_loss": 0.1, "stopped_epoch": 5, "stopped_rung": 1},
        {"error": "odd"},
        {"held_out_loss": 0.5, "links": 3},
        {"held_out_loss": 0.4, "links": 2},
    )
    assert [done.rows.index(row) for row in done.ranked] == [3, 2, 0, 1]
    assert done.best == done.rows[3]
    assert done.shown[-2:] == ("stopped_epoch", "stopped_rung")
    assert "1 of 4 trials were stopped early" in verdict_line(done)
    text = page(done)
    assert "4 trials, 1 failed, 1 stopped early." in text
    assert "| stopped after epoch | rung | error |" in text
    assert "stopped after epoch 5, rung 1: held-out loss 0.1" in trial_line(1, 4, done.rows[0])
    assert heat_maps(done) == {}
    whole = swept({"held_out_loss": 0.5, "links": 3})
    assert "stopped_epoch" not in whole.shown
    assert "stopped" not in page(whole)


def test_a_folder_without_an_answer_and_a_damaged_stop_are_told(tmp_path):
    trial = make_grid(["seed=1,2"]).trials[0]
    place = tmp_path / trial.name
    place.mkdir()
    (place / "health.jsonl").write_text("", encoding="utf-8")
    assert "all of them must see --out" in row_of(("seed",), trial, tmp_path)["error"]
    (place / STOPPED_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(RunDirError, match="damaged"):
        stopped_at(place)
    (place / STOPPED_FILE).write_text('{"epoch": 3, "rung": 1}', encoding="utf-8")
    row = row_of(("seed",), trial, tmp_path)
    assert (row["stopped_epoch"], row["stopped_rung"], row["error"], row["verdict"]) == (3, 1, None, None)
