"""The neural stage: it gets the screen's links and some runners-up, and never a cycle within the step."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from rcgnn.candidates import MOST_RUNNERS_UP, Candidates, lag0_order
from rcgnn.config import Config
from rcgnn.errors import RcgnnError
from rcgnn.health import OPEN, silent
from rcgnn.pipeline import Fit, fit_series
from rcgnn.refine import refine, spread_rows
from rcgnn.refined import Refined
from rcgnn.series import Series
from rcgnn.train.training import pick_device

CONFIG = Config().override(
    [
        "data.max_lag=2",
        "select.refine=off",
        "select.halves=0",
        "select.shifted_copies=0",
        "train.epochs=3",
        "train.eval_every=1",
        "device=cpu",
    ]
)
N = 5


@cache
def screened() -> Fit:
    """0 drives 1 after one step; 4 drives 2, and 2 drives 3, within the step."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, N))
    for t in range(1, len(x)):
        x[t] += 0.3 * x[t - 1]
        x[t, 1] += 0.9 * x[t - 1, 0]
        x[t, 2] += 0.8 * x[t, 4]
        x[t, 3] += 0.8 * x[t, 2]
    return fit_series(Series.of(x), CONFIG)


@cache
def refined(*settings: str) -> Refined:
    done = screened()
    return refine(done.prepared, Candidates.of(done.screened), CONFIG.override(settings), progress=silent, on_record=None)


def test_every_record_says_what_the_screen_and_the_table_are():
    done = screened()
    for record in refined("train.epochs=1").records:
        assert record.data["screened"] == done.screened.evidence.chosen.any(axis=0).sum() > 0
        assert record.data["screened"] < record.data["candidates"]
        assert [record.data[name] for name in ("aliases", "left_out", "clipped_share")] == [0, 0, 0]


def test_near_copies_dead_sensors_and_readings_out_of_all_reason_are_told():
    x = screened().prepared.scaled.values.copy()
    x = np.column_stack([x, x[:, 0], np.full(len(x), 3.0)])
    x[::50, 1] = 1e17 * np.random.default_rng(0).standard_normal(len(x[::50]))
    told = (
        fit_series(Series.of(x), CONFIG.override(["select.refine=on", "train.epochs=1", "data.clean=off", "data.scale=false"]))
        .records[0]
        .data
    )
    assert [told["aliases"], told["left_out"]] == [1, 1]
    assert told["clipped_share"] == pytest.approx(0.02 / N, rel=0.5)


def test_every_chosen_link_is_a_candidate_and_some_runners_up_are():
    chosen, candidates = screened().screened.evidence.chosen, Candidates.of(screened().screened).links
    assert (candidates >= chosen).all()
    extra = int(candidates.sum() - chosen.sum())
    assert 0 < extra <= min(int(chosen.sum()), MOST_RUNNERS_UP * N) + N
    assert not candidates[:, np.arange(N), np.arange(N)].any()


def test_runners_up_are_the_next_best():
    found = screened().screened
    candidates, chosen = Candidates.of(found).links, found.evidence.chosen
    place = np.argsort(lag0_order(found))
    open_ = ~candidates & ~np.eye(N, dtype=bool)
    open_[0] &= place[:, None] < place[None, :]
    runners = candidates & ~chosen
    assert found.evidence.profile[runners].min() >= found.evidence.profile[open_].max()


def test_lag_zero_candidates_follow_one_order():
    found = screened().screened
    order = lag0_order(found).tolist()
    assert sorted(order) == list(range(N))
    for j, parents in enumerate(found.ordered.parents):
        assert all(order.index(i) < order.index(j) for i in parents)
    for _, i, j in np.argwhere(Candidates.of(found).links[:1]):
        assert order.index(i) < order.index(j)


def test_true_links_gain_on_held_out_blocks():
    done = refined()
    assert done.failed is None
    assert len(done.records) == 3
    true = {(0, 1): 1, (4, 2): 0, (2, 3): 0}
    for (i, j), lag in true.items():
        graph_way = (i, j) if done.candidates[lag, i, j] else (j, i)  # a Gaussian chain may run either way
        assert done.gain[graph_way] > 2 * done.stderr[graph_way] > 0
    runners = done.candidates.any(axis=0) & ~screened().screened.evidence.chosen.any(axis=0)
    assert done.gain[runners].max() < min(done.gain[0, 1], 0.05)


def test_what_was_no_candidate_has_no_weight_and_no_gain():
    done = refined()
    assert done.weights.shape == (1, 3, N, N)
    assert not done.weights[:, ~done.candidates].any()
    assert not done.gain[~done.candidates.any(axis=0)].any()
    assert np.isfinite(done.gain).all()
    assert (done.stderr >= 0).all()


def test_links_that_were_closed_for_their_cost_are_no_collapse_to_be_trained_again():
    done = refined("train.epochs=1")
    assert done.links == int((np.sqrt((done.weights**2).sum(axis=1)).max(axis=0) > OPEN).sum()) > 0
    none = np.zeros_like(done.weights)
    assert replace(done, weights=none).links == 0
    assert replace(done, weights=none, stopped="NOT_LEARNING").links is None
    assert replace(done, weights=none, failed="refinement failed: COLLAPSE").links == 0
    assert replace(done, weights=none, failed="refinement failed: NONFINITE").links is None


def test_state_holds_every_parameter_as_plain_arrays():
    done = refined()
    assert all(
        isinstance(a, np.ndarray) and a.flags.c_contiguous and np.isfinite(a).all() for a in done.state.values() if a.dtype.kind == "f"
    )
    assert "structure.base" in done.state


def test_same_seed_same_network_other_seed_other_network():
    first, again, other = refined("train.epochs=1"), refined("train.epochs=1", "seed=1337"), refined("train.epochs=1", "seed=5")
    assert all(first.state[name].tobytes() == again.state[name].tobytes() for name in first.state)
    assert any(first.state[name].tobytes() != other.state[name].tobytes() for name in first.state)


def test_every_epoch_is_reported_as_it_ends():
    done, told = screened(), []
    run = refine(
        done.prepared,
        Candidates.of(done.screened),
        CONFIG.override(["train.epochs=2"]),
        progress=silent,
        on_record=lambda record: told.append(record.epoch),
    )
    assert told == [1, 2] == [r.epoch for r in run.records]


def test_nothing_chosen_still_trains():
    x = np.random.default_rng(1).standard_normal((300, 3))
    done = fit_series(Series.of(x), CONFIG.override(["select.refine=on", "train.epochs=1"]))
    assert done.refined.failed is None
    assert done.graph.links() == []


def test_auto_is_the_gpu_where_there_is_one():
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device("cpu") == torch.device("cpu")


def test_a_device_that_is_not_there_is_one_clear_error():
    with pytest.raises(RcgnnError, match="device"):
        refined("device=warp")


def test_of_a_long_table_the_network_sees_pieces_spread_over_it(monkeypatch):
    held = np.arange(3_456_789) % 1000 < 200
    used = spread_rows(held, 13, thin=True)
    assert used.sum() == pytest.approx(50_000, rel=0.03)
    assert used[held].sum() == pytest.approx(10_000, rel=0.1)
    assert used[: len(used) // 2].mean() == pytest.approx(used[len(used) // 2 :].mean(), rel=0.1)
    assert spread_rows(held[:50_000], 13, thin=True).all()
    assert spread_rows(held, 100, thin=True).sum() == pytest.approx(10_000, rel=0.1)
    monkeypatch.setattr("rcgnn.refine.MOST_ROWS", 200)
    monkeypatch.setattr("rcgnn.refine.PIECE", 40)
    done = fit_series(screened().prepared.cleaned.series, CONFIG.override(["select.refine=on", "train.epochs=1", "data.window=8"]))
    (told,) = [f.evidence for f in done.findings if f.evidence.get("kind") == "thinned"]
    assert told["of"] == 400
    assert told["rows"] == pytest.approx(200, abs=40)
    assert done.refined.failed is None
    own = ["select.refine=on", "train.epochs=1", "data.window=8", "data.stride=3"]
    assert fit_series(screened().prepared.cleaned.series, CONFIG.override(own)).refined.thinned is None


def test_where_the_pieces_miss_the_few_long_runs_the_network_sees_all_rows(monkeypatch):
    monkeypatch.setattr("rcgnn.refine.spread_rows", lambda held, *_, **__: np.arange(len(held)) % 2 == 0)
    done = refined("train.epochs=1")
    assert done.thinned is None
    assert done.failed is None


def test_in_bfloat16_the_network_is_trained_on_rounded_products_and_finds_the_strong_links():
    exact, rough = refined(), refined("train.precision=bf16")
    assert rough.failed is None
    assert not np.array_equal(rough.weights, exact.weights)
    assert np.isfinite(rough.weights).all()
    assert all(record.grad.nonfinite == 0 for record in rough.records)
    strong = exact.gain > 0.2
    assert strong.any()
    np.testing.assert_allclose(rough.gain[strong], exact.gain[strong], rtol=0.2)
