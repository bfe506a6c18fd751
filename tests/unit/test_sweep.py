"""The grid, its names and refusals; a folder that belongs to one sweep; the table, the page and the picture."""

from __future__ import annotations

import json
import os
from itertools import pairwise

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.errors import ConfigError, FitFailedError, InputError, RunDirError
from rcgnn.health import GradHealth, GraphHealth, HealthRecord, LossHealth
from rcgnn.rundir import RunDir
from rcgnn.series import Series
from rcgnn.sweep import conduct as room
from rcgnn.sweep import figures
from rcgnn.sweep.conduct import conduct, identity
from rcgnn.sweep.grid import folder_name, make_grid, shown, split_values
from rcgnn.sweep.page import Swept, heat_maps, page, verdict_line
from rcgnn.sweep.trial import FIGURES, run_trial
from rcgnn.sweep.trial import figures as figures_of

TWO = ["losses.sparse=1e-4,1e-5,1e-6", "losses.acyclic=1e-5,1e-6"]
QUICK = ["recipe=origin-after", "train.epochs=1", "data.window=4"]
DIES = """
import os
from rcgnn.sweep.trial import run_trial

def dies(series, folder, trial, tell):
    if "seed=2" in trial.name:
        os._exit(7)
    if "seed=3" in trial.name:
        raise KeyError("no such sensor")
    return run_trial(series, folder, trial, tell)
"""


def series(rows=40, seed=0, **more):
    return Series.of(np.random.default_rng(seed).normal(size=(rows, 3)), source="table.csv", **more)


def row(grid, number, **more):
    trial = grid.trials[number]
    return {"trial": trial.name, **dict(zip(grid.swept, trial.values, strict=True)), **dict.fromkeys(FIGURES), **more}


# --- the grid ---------------------------------------------------------------------------------------------------------------------------


def test_every_combination_once_and_the_fixed_in_all():
    grid = make_grid([*TWO, "train.epochs=4"], fixed=["recipe=origin-after"])
    assert grid.swept == ("losses.sparse", "losses.acyclic")
    assert grid.values == (("1e-4", "1e-5", "1e-6"), ("1e-5", "1e-6"))
    asked = [(t.config.losses.sparse, t.config.losses.acyclic) for t in grid.trials]
    assert asked == [(s, a) for s in (1e-4, 1e-5, 1e-6) for a in (1e-5, 1e-6)]
    assert {(t.config.train.epochs, t.config.recipe, t.config.losses.recon) for t in grid.trials} == {(4, "origin-after", 10.0)}
    assert len({t.name for t in grid.trials}) == 6


def test_a_recipe_can_be_swept_and_brings_its_presets():
    grid = make_grid(["recipe=auto,origin-after"])
    assert [t.config.train.batch for t in grid.trials] == [64, 8]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["losses.sparse=1e-4"], "no setting has several values"),
        ([], "no setting has several values"),
        (["losses.spars=1,2"], "Did you mean 'sparse'?"),
        (["losses.sparse"], "expected section.name=value"),
        (["losses.sparse=1,2", "losses.sparse=3"], "set twice"),
        (["losses.sparse=1e-4,0.0001"], "same value is given twice"),
        (["losses.sparse=1,,2"], "nothing between two commas"),
        (["losses.sparse=1,-2"], "losses.sparse: input should be greater than or equal to 0"),
        (["losses.sparse=1,two"], "losses.sparse"),
        (["seed=" + ",".join(map(str, range(501)))], "501 combinations are more than 500"),
        (["losses=1,2"], "losses"),
    ],
)
def test_what_is_no_grid_is_refused_in_one_sentence(settings, words):
    with pytest.raises(InputError) as refused:
        make_grid(settings)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_setting_is_a_config_error_and_most_can_be_raised():
    with pytest.raises(ConfigError):
        make_grid(["train.lrr=1,2"])
    assert len(make_grid(["seed=" + ",".join(map(str, range(501)))], most=501).trials) == 501


def test_commas_in_brackets_and_quotes_do_not_separate():
    assert split_values("[a -> b, c -> d],[]", "") == ["[a -> b, c -> d]", "[]"]
    assert split_values("{'a, b': 1},\"c, d\"", "") == ["{'a, b': 1}", '"c, d"']
    grid = make_grid(["prior.forbid=[a -> b, c -> d],[a -> b]"])
    assert [t.config.prior.forbid for t in grid.trials] == [["a -> b", "c -> d"], ["a -> b"]]


def test_names_are_readable_unique_and_fit_for_a_folder():
    assert folder_name(["losses.sparse", "losses.acyclic"], ["1e-4", "1e-5"]) == "sparse=1e-4_acyclic=1e-5"
    assert folder_name(["model.hidden", "screen.hidden"], ["8", "on"]) == "model.hidden=8_screen.hidden=on"
    strange = [folder_name(["losses.balance"], [value]) for value in ("torchjd:MGDA", "torchjd/MGDA", "x" * 500, "x" * 501, "../../up")]
    assert len(set(strange)) == 5
    assert all("/" not in name and ":" not in name and len(name) < 140 for name in strange)


@pytest.mark.parametrize("value", [1e-4, 2.5e-7, 1.0, 0.3, 123456.789, 1 / 3, 3e-300])
def test_numbers_are_shown_so_that_they_come_back(value):
    assert float(shown(value)) == pytest.approx(value, rel=1e-14)


# --- a row ------------------------------------------------------------------------------------------------------------------------------


def record(epoch, val=None, *, gain=None, edges=3, clip=0.5, norm=2.0, attempt=1):
    return HealthRecord(
        attempt=attempt, epoch=epoch, step=epoch, lr=1e-3, seed=1, loss=LossHealth(val=val), gain_over_self=gain,
        grad=GradHealth(raw_max=norm, clip_share=clip), graph=GraphHealth(edges=edges, density=0.1),
    )  # fmt: skip


def test_a_row_tells_the_best_evaluated_epoch_the_last_epoch_and_the_largest_norm():
    records = [
        record(1, 0.3, gain=0.1, norm=9.0),
        record(2, 0.2, gain=0.4),
        record(3, clip=0.1),
        record(4, 0.25, gain=0.2, clip=0.05, edges=1),
    ]
    found = figures_of({"verdict": "links found", "links": 5, "seconds": {"train": 1.0, "screen": 0.5}}, records)
    assert found == {
        "verdict": "links found", "links": 5, "network_links": 1, "held_out_loss": 0.2, "gain_over_self": 0.4, "clip_share": 0.05,
        "raw_max": 9.0, "seconds": 1.5, "reruns": 0, "stopped_epoch": None, "stopped_rung": None,
    }  # fmt: skip


def test_a_row_is_about_the_last_attempt_and_what_is_absent_is_null():
    lost, kept = record(1, 0.1, edges=0, norm=50.0), record(1, 0.4, edges=2, attempt=3)
    found = figures_of({"verdict": "links found", "links": 2, "seconds": {}}, [lost, kept])
    assert (found["held_out_loss"], found["network_links"], found["raw_max"], found["reruns"]) == (0.4, 2, 2.0, 2)
    none = figures_of({"verdict": "no links found", "links": 0, "seconds": {}}, [])
    assert {none[name] for name in ("network_links", "held_out_loss", "gain_over_self", "clip_share", "raw_max")} == {None}


# --- the page ---------------------------------------------------------------------------------------------------------------------------


def swept(losses, settings=TWO, **more):
    grid = make_grid(settings)
    rows = [
        row(grid, i, held_out_loss=loss, links=10 + i, clip_share=0.1 * i, verdict="links found", **more) for i, loss in enumerate(losses)
    ]
    return Swept(grid, tuple(rows), "table.csv", "rcgnn sweep")


def test_the_lowest_held_out_loss_leads():
    done = swept([0.5, 0.4, None, 0.3, None, 0.8])
    done.rows[2]["error"] = "no | good"
    assert [r["held_out_loss"] for r in done.ranked] == [0.3, 0.4, 0.5, 0.8, None, None]
    assert done.ranked[-1]["error"] == "no | good"
    assert verdict_line(done) == "Lowest held-out loss: 0.3 in sparse=1e-5_acyclic=1e-6."
    text = page(done)
    lines = [line for line in text.splitlines() if line.startswith("| 1e-")]
    assert lines[0].startswith("| 1e-5 | 1e-6 | links found | 13 |")
    assert "no \\| good" in lines[-1]
    assert "6 trials, 1 failed" in text


def test_ties_and_other_rows_are_told():
    assert verdict_line(swept([0.4, 0.3, 0.3, 0.5, 0.5, 0.5])).endswith("sparse=1e-4_acyclic=1e-6 and 1 more.")
    assert "cannot choose" in verdict_line(swept([0.3] * 6))
    assert "cannot choose" not in verdict_line(swept([0.3] * 5 + [0.31]))
    assert "need not compare" in verdict_line(swept([0.3, 0.4], ["data.window=8,16"]))
    assert "need not compare" not in verdict_line(swept([0.3, 0.4], ["train.lr=1e-3,1e-2"]))
    assert "No trial measured" in verdict_line(swept([None] * 6))


def test_two_settings_make_a_grid_in_the_order_of_the_values():
    done = swept([0.5, 0.4, None, 0.3, 0.9, 0.8])
    maps = heat_maps(done)
    assert maps["links"] == [[10, 11], [12, 13], [14, 15]]
    assert maps["held_out_loss"] == [[0.5, 0.4], [None, 0.3], [0.9, 0.8]]
    lines = page(done).splitlines()
    at = lines.index("## Held-out loss")
    assert lines[at + 2 : at + 7] == [
        "| losses.sparse \\ losses.acyclic | 1e-5 | 1e-6 |", "|---|---|---|", "| **1e-4** | 0.5 | 0.4 |", "| **1e-5** | - | 0.3 |",
        "| **1e-6** | 0.9 | 0.8 |",
    ]  # fmt: skip
    one = swept([0.3, 0.4], ["train.lr=1e-3,1e-2"])
    assert heat_maps(one) == {}
    assert figures.draw(one) is None


def test_the_picture_holds_every_number_and_is_the_same_again(monkeypatch):
    pytest.importorskip("matplotlib")
    done = swept([0.5, 0.4, None, 0.3, 0.9, 0.8])
    first, second = figures.draw(done), figures.draw(done)
    assert first == second
    assert all(f"<!-- {text} -->".encode() in first for text in ("0.3", "15", "20.0%", "1e-6", "Held-out loss"))
    monkeypatch.setattr(figures.importlib.util, "find_spec", lambda _: None)
    assert figures.draw(done) is None


# --- the folder -------------------------------------------------------------------------------------------------------------------------


def test_a_trial_is_a_whole_run(tmp_path):
    trial = make_grid([*QUICK, "seed=1,2"]).trials[0]
    told = []
    assert run_trial(series(), tmp_path, trial, told.append) is None
    run = RunDir.open(tmp_path / "seed=1")
    assert (run.summary()["recipe"], run.config().seed, len(run.records()), told) == ("origin-after", 1, 1, [None])


def test_a_trial_that_fails_says_why(tmp_path, monkeypatch):
    trial = make_grid([*QUICK, "seed=1,2"]).trials[0]
    assert "rows" in run_trial(series(rows=3), tmp_path, trial, lambda _: None)

    def broken(*_args, **_more):
        raise ValueError("odd")

    monkeypatch.setattr("rcgnn.pipeline.fit_series", broken)
    assert run_trial(series(), tmp_path, trial, lambda _: None) == "ValueError: odd"


def test_another_table_or_other_settings_are_refused_and_more_values_are_not(tmp_path):
    grid = make_grid([*QUICK, "seed=1,2"])
    told = []
    conduct(series(), grid, tmp_path / "s", tell=lambda *news: told.append(news[:2]))
    conduct(series(), make_grid([*QUICK, "seed=2,3,1"]), tmp_path / "s", tell=lambda *news: told.append(news[:2]))
    assert told == [(1, 2), (2, 2), (1, 1)]
    for other, asked, words in [
        (series(seed=1), grid, "of another table: table.csv"),
        (series(names=("a", "b", "c")), grid, "of another table"),
        (series(), make_grid([*QUICK, "train.lr=1e-3,1e-2"]), "over seed"),
        (series(), make_grid([*QUICK, "seed=1,2", "train.lr=0.5"]), "with train.lr = 0.0005, not 0.5"),
    ]:
        with pytest.raises(RunDirError) as refused:
            conduct(other, asked, tmp_path / "s")
        assert words in str(refused.value)
    assert identity(series(), grid)["settings"]["train"]["epochs"] == 1


def test_a_run_with_other_settings_in_a_trials_place_is_refused(tmp_path):
    short, long = (make_grid(["recipe=origin-before,origin-after", "data.window=4", f"train.epochs={n}"]) for n in (1, 2))
    conduct(series(), short, tmp_path / "s")
    with pytest.raises(RunDirError, match=r"train.epochs = 1, not 2"):
        conduct(series(), long, tmp_path / "s")


def test_a_folder_of_other_files_and_a_damaged_sweep_are_refused(tmp_path):
    grid = make_grid([*QUICK, "seed=1,2"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch", encoding="utf-8")
    with pytest.raises(RunDirError, match="no sweep"):
        conduct(series(), grid, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    for text in ("{", "[]"):
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken" / "sweep.json").write_text(text, encoding="utf-8")
        with pytest.raises(RunDirError):
            conduct(series(), grid, tmp_path / "broken")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunDirError):
        conduct(series(), grid, tmp_path / "file")


def test_a_process_that_dies_is_a_row_and_is_run_again_and_so_is_a_mistake_in_code(tmp_path, monkeypatch):
    (tmp_path / "sweep_trials.py").write_text(DIES, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    from sweep_trials import dies

    grid = make_grid([*QUICK, "seed=1,2,3"])
    monkeypatch.setattr(room, "run_trial", dies)
    done = conduct(series(), grid, tmp_path / "s", jobs=2)
    assert [r["error"] is None for r in done.rows] == [True, False, False]
    assert "exit code 7" in done.rows[1]["error"]
    assert done.rows[2]["error"] == "KeyError: 'no such sensor'"
    monkeypatch.setattr(room, "run_trial", run_trial)
    again = conduct(series(), grid, tmp_path / "s")
    assert (again.reused, [r["error"] for r in again.rows]) == (1, [None] * 3)


def test_a_sweep_in_which_every_trial_fails_writes_its_table_and_says_so(tmp_path):
    with pytest.raises(FitFailedError, match="none of the 2 trials"):
        conduct(series(rows=3), make_grid([*QUICK, "seed=1,2"]), tmp_path / "s")
    assert (tmp_path / "s" / "sweep.csv").read_text(encoding="utf-8").count("\n") == 3


def test_trials_do_not_depend_on_the_number_of_jobs(tmp_path):
    grid = make_grid([*QUICK, "losses.sparse=1e-4,1e-1", "seed=1,2"])
    rows = [conduct(series(), grid, tmp_path / str(jobs), jobs=jobs).rows for jobs in (1, 2)]
    for a, b in zip(*rows, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}
    losses = [r["held_out_loss"] for r in rows[0]]
    assert any(a != b for a, b in pairwise(losses))
    assert json.loads((tmp_path / "1" / "sweep.json").read_text(encoding="utf-8"))["swept"] == ["losses.sparse", "seed"]
    assert Config.load(tmp_path / "1" / "trials" / grid.trials[0].name / "config.yaml") == grid.trials[0].config
