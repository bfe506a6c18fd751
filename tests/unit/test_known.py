"""Prior knowledge through the whole way of the data: what is forbidden is nowhere, what is required is there."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rcgnn import RCGNN
from rcgnn.config import Config, PriorConfig, ScreenConfig
from rcgnn.errors import ConfigError
from rcgnn.graph import LINK, NONE, UNDECIDED
from rcgnn.looks import Looks
from rcgnn.mechanism.intervention import intervene
from rcgnn.pipeline import Fit, fit_series
from rcgnn.prior import Informed, Prior
from rcgnn.screen.dense import dense_evidence
from rcgnn.screen.features import Sample
from rcgnn.screen.null import largest_by_chance
from rcgnn.screen.score import log_p_values
from rcgnn.screen.structural import Screened, screen, sparse_support
from rcgnn.select.known import REQUIRED, obey
from rcgnn.series import Series
from rcgnn.signal.em import _first_moment
from rcgnn.signal.statespace import Readings

NAMES = ("a", "b", "c", "d")
A, B, C, D = range(4)
QUICK = ["data.max_lag=2", "select.halves=4", "select.refine=off"]


def table(seed: int = 0, rows: int = 700, weak: float = 0.0) -> np.ndarray:
    """a drives b after one step, b drives c after two; d stands alone, but for a weak push on c after one step."""
    x = np.random.default_rng(seed).standard_normal((rows, 4))
    for t in range(2, rows):
        x[t] += 0.4 * x[t - 1]
        x[t, B] += 0.8 * x[t - 1, A]
        x[t, C] += 0.8 * x[t - 2, B] + weak * x[t - 1, D]
    return x


def same_step(seed: int = 0, rows: int = 600) -> np.ndarray:
    """Two Gaussian sensors that go together within the step: nothing in the data says which way."""
    x = np.random.default_rng(seed).standard_normal((rows, 4))
    x[:, B] += 0.8 * x[:, A]
    return x


def fit(x: np.ndarray, *settings: str, **prior) -> Fit:
    config = Config().override([*QUICK, *settings]).model_copy(update={"prior": PriorConfig(**prior)})
    return fit_series(Series.of(x, names=NAMES), config)


@cache
def free() -> Fit:
    return fit(table())


def screened(x: np.ndarray, max_lag: int = 2, keep: np.ndarray | None = None, basis: str = "auto", **prior) -> Screened:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    known = Prior.of(PriorConfig(**prior), NAMES, max_lag)
    rows = np.ones(x.shape, bool) if keep is None else keep
    return screen(Sample(z[None], rows, [slice(0, len(x))], max_lag), Informed.of(ScreenConfig(basis=basis), known))


def test_the_free_fit_finds_the_links():
    assert sorted(free().graph.links()) == [(1, A, B), (2, B, C)]


@pytest.mark.parametrize("basis", ["linear", "nonlinear"])
def test_a_true_link_that_is_forbidden_is_nowhere(basis):
    done = fit(table(), f"screen.basis={basis}", forbid=["a -> b"])
    graph = done.graph
    for array in (graph.score, graph.verdict, graph.strength, graph.confidence):
        assert not array[:, A, B].any()
    assert (2, B, C) in graph.links()
    model = done.screened.ordered.locals[B]
    assert not (done.screened.features[B].owner[model.chosen] == A).any()


def test_a_strong_forbidden_link_is_told_about():
    finding = next(f for f in fit(table(), forbid=["a -> b", "d -> c"]).findings if f.code == "PRIOR_AGAINST_DATA")
    assert (finding.severity, finding.evidence) == ("warn", {"forbidden": ["a -> b"]})
    assert not [f for f in fit(table(), forbid=["d -> c", "b -> a"]).findings if f.code == "PRIOR_AGAINST_DATA"]


def test_forbidding_what_is_not_there_changes_nothing_else():
    done = fit(table(), forbid=["d -> *", "c -> a", "c -> d"])
    graph = done.graph
    assert graph.links() == free().graph.links()
    untouched = [(1, A, B), (2, B, C), (1, A, C), (2, A, D)]
    for key in untouched:
        assert done.screened.evidence.profile[key] == pytest.approx(free().screened.evidence.profile[key], rel=1e-9)
        assert graph.score[key] == pytest.approx(free().graph.score[key], rel=0.05)  # the dense model has fewer sensors
    assert not graph.score[:, D, :3].any()


def test_a_tier_decides_a_direction_that_the_data_leave_open():
    open_ = fit(same_step()).graph
    assert open_.verdict[0, A, B] == open_.verdict[0, B, A] == UNDECIDED
    for first, second in ((A, B), (B, A)):
        done = fit(same_step(), tiers=[[NAMES[first]], [NAMES[second]]])
        graph = done.graph
        assert not [f for f in done.findings if f.code == "PRIOR_AGAINST_DATA"]
        assert graph.links() == [(0, first, second)]
        assert graph.reasons == {}
        assert not graph.score[:, second, first].any()
        assert graph.confidence[0, first, second] > 0.9


def test_a_tier_decides_where_sensors_were_read_in_different_rows():
    x = same_step(rows=900)
    x[np.random.default_rng(1).random(x.shape) < 0.15] = np.nan
    for first, second in ((A, B), (B, A)):
        assert fit(x, tiers=[[NAMES[first]], [NAMES[second]]]).graph.links() == [(0, first, second)]
        assert fit(x, require=[f"{NAMES[first]} -> {NAMES[second]} @ 0"]).graph.links() == [(0, first, second)]


def test_a_required_link_is_there_with_its_reason_and_what_was_measured():
    x = table(weak=0.06)
    assert (1, D, C) not in fit(x).graph.links()
    done = fit(x, require=["d -> c"])
    graph = done.graph
    lags = [k for k, i, j in graph.links() if (i, j) == (D, C)]
    assert lags == [1]
    assert graph.reasons[1, D, C] == REQUIRED
    assert 0.0 < graph.strength[1, D, C] < 0.2
    assert graph.confidence[1, D, C] < 1.0
    assert {(1, A, B), (2, B, C)} <= set(graph.links())
    finding = next(f for f in done.findings if f.code == "PRIOR_AGAINST_DATA")
    assert (finding.severity, finding.evidence) == ("info", {"required": ["d -> c"]})


def test_a_required_link_that_the_data_show_keeps_its_score_and_makes_no_finding():
    done = fit(table(), require=["a -> b"])
    assert done.graph.links() == free().graph.links()
    assert done.graph.reasons == {(1, A, B): REQUIRED}
    assert done.graph.score[1, A, B] == pytest.approx(free().graph.score[1, A, B], rel=1e-6)
    assert not [f for f in done.findings if f.code == "PRIOR_AGAINST_DATA"]


@pytest.mark.parametrize("lags", ["", " @ 0", " @ 0..1"])
@pytest.mark.parametrize(("first", "second"), [(A, B), (B, A)])
def test_a_link_required_within_the_step_is_directed_and_never_turned(first, second, lags):
    x = same_step()
    for gaps in (0.0, 0.1):
        x[np.random.default_rng(1).random(x.shape) < gaps] = np.nan
        graph = fit(x, require=[f"{NAMES[first]} -> {NAMES[second]}{lags}"]).graph
        assert graph.links() == [(0, first, second)]
        assert graph.verdict[0, second, first] == NONE
        assert graph.confidence[0, first, second] > 0.9


def test_the_search_closes_no_circle_over_a_required_link_within_the_step():
    x = same_step(rows=900)
    x[:, C] = 0.9 * x[:, B] + np.random.default_rng(5).standard_normal(900)
    x[:, A] += 0.9 * x[:, C]
    parents = screened(x, require=["a -> b @ 0", "b -> c @ 0"]).ordered.parents
    assert A in parents[B]
    assert B in parents[C]
    assert C not in parents[A]


def test_required_links_within_the_step_choose_lags_that_leave_no_circle():
    done = screened(same_step(), require=["a -> b", "b -> a", "b -> c", "c -> a"])
    assert len(done.picks) == 4
    now = [(i, j) for k, i, j in done.picks if k == 0]
    assert ((A, B) in now) != ((B, A) in now)
    assert all(key[0] in (0, 1, 2) for key in done.picks)


def test_links_with_one_possible_delay_choose_first():
    done = screened(same_step(), require=["a -> b", "b -> c @ 0", "c -> a @ 0"])
    assert done.picks[1:] == ((0, B, C), (0, C, A))
    assert done.picks[0][0] > 0


def test_a_link_that_the_evidence_names_at_another_delay_stays_there():
    done = screened(table(), require=["b -> c"])
    verdict = np.zeros(done.score.shape, np.int8)
    verdict[2, B, C] = LINK
    obey(replace(done, picks=((1, B, C),)), verdict, reasons := {})
    assert np.argwhere(verdict == LINK).tolist() == [[2, B, C]]
    assert reasons == {(2, B, C): REQUIRED}


def test_nothing_is_required_of_shifted_copies():
    x = table()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    prior = Prior.of(PriorConfig(require=["d -> a", "c -> a"], forbid=["a -> b"]), NAMES, 2)
    found = largest_by_chance(
        Looks(Sample(z[None], np.ones(x.shape, bool), [slice(0, len(x))], 2)),
        Informed.of(ScreenConfig(basis="linear"), prior),
        [np.random.default_rng(0)],
    )
    assert found.pairs == 0


def test_what_is_forbidden_does_not_set_the_scale_of_the_p_values():
    found = screened(table(), basis="linear").evidence
    stat = np.where(np.arange(4)[:, None] < 2, 6.0 * found.freedom, 0.0)
    free = replace(found, stat=stat, chosen=np.zeros_like(found.chosen))
    permitted = np.broadcast_to((stat > 0) | np.eye(4, dtype=bool), free.chosen.shape)
    assert log_p_values(free, permitted)[A, B] > log_p_values(free)[A, B]


def test_of_two_statements_about_a_link_the_narrow_one_meets_the_wide_one():
    done = screened(table(), require=["a -> c", "a -> c @ 1"])
    assert done.picks == ((1, A, C), (1, A, C))


def common_cause(seed: int = 0, rows: int = 900) -> np.ndarray:
    """Something never measured acts on all four within the step; a drives b after one step, d hardly drives c."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 4)) + 1.5 * rng.standard_normal((rows, 1))
    for t in range(1, rows):
        x[t] += 0.4 * x[t - 1]
        x[t, B] += 0.8 * x[t - 1, A]
    return x


@pytest.mark.parametrize("require", ["d -> c @ 1", "d -> c @ 0"])
def test_with_hidden_drivers_a_required_link_keeps_its_place_in_the_model(require):
    done = fit(common_cause(), "screen.hidden=on", require=[require], forbid=["a -> c", "b -> a"])
    lag = int(require[-1])
    assert done.screened.drivers is not None
    assert done.screened.picks == ((lag, D, C),)
    own, local = done.screened.features[C], done.screened.ordered.locals[C]
    assert own.plain[lag, D] in local.chosen
    assert done.graph.verdict[lag, D, C] == LINK
    assert done.graph.reasons[lag, D, C] == REQUIRED
    assert not done.graph.score[:, A, C].any()
    assert [key for key in done.graph.links() if key[0] == 0] == [(0, D, C)] * (lag == 0)


def test_what_is_forbidden_takes_no_place_in_the_dense_model():
    x = table()
    known = screened(x, basis="linear", lags=["a -> b @ 1"], forbid=["d -> b"])
    every = screened(x, basis="linear")
    dense, plain = (dense_evidence(one.features, np.full(4, 698.0)) for one in (known, every))
    assert dense[A, B] > plain[A, B]  # one coefficient to pay for in place of two
    assert dense[D, B] == 0.0
    np.testing.assert_allclose(dense[:, [A, C, D]], plain[:, [A, C, D]], rtol=1e-12)


@pytest.mark.parametrize("basis", ["linear", "nonlinear"])
def test_a_required_link_is_refitted_with_an_interval_and_a_forbidden_one_is_no_term(basis):
    done = fit(table(weak=0.06), f"screen.basis={basis}", require=["d -> c", "a -> d @ 2"], forbid=["a -> b"])
    graph, terms = done.graph, set(map(tuple, done.mechanism.terms.tolist()))
    assert {(1, D, C), (2, A, D), (2, B, C)} <= terms
    assert not [term for term in terms if term[1:] == (A, B)]
    weak, absent = graph.effects[1, D, C], graph.effects[2, A, D]
    assert weak.low < graph.strength[1, D, C] < weak.high
    assert weak.in_units_low < 0.06 < weak.in_units_high
    assert weak.in_units == pytest.approx(float(np.linalg.lstsq(*least_squares(table(weak=0.06), C), rcond=None)[0][-1]), rel=0.05)
    assert absent.low < 0.0 < absent.high
    assert (1, A, B) not in graph.effects
    assert not graph.strength[:, A, B].any()


def least_squares(x: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The equation of c: its own past, b after two steps, d after one."""
    return np.column_stack([np.ones(len(x) - 2), x[1:-1, C], x[:-2, C], x[:-2, B], x[1:-1, D]]), x[2:, target]


def test_a_forbidden_link_within_the_step_moves_nothing_when_the_cause_is_held():
    for first, second in ((A, B), (B, A)):
        done = fit(same_step(), tiers=[[NAMES[first]], [NAMES[second]]])
        assert done.graph.effects[0, first, second].low > 0.5
        held = intervene(done.mechanism, {NAMES[second]: 2.0}, horizon=3, rng=np.random.default_rng(0))
        assert not held.difference[:, first].any()
        moved = intervene(done.mechanism, {NAMES[first]: 2.0}, horizon=3, rng=np.random.default_rng(0))
        assert (moved.difference[:, second] > 0.5).all()


def test_known_lags_are_obeyed_and_nothing_is_required():
    moved = fit(table(), lags={"b -> c": "0..1", "d -> a": 2}).graph
    assert not moved.score[2, B, C].any()
    assert moved.verdict[2, B, C] == NONE
    assert not moved.adjacency[:, D, A].any()
    right = fit(table(), lags={"b -> c": "1..2"}).graph
    assert sorted(right.links()) == [(1, A, B), (2, B, C)]


def test_nothing_drives_an_exogenous_sensor():
    done = fit(table(), exogenous=["c"])
    assert not done.graph.adjacency[:, :, C].any()
    assert not done.graph.score[:, :, C].any()
    assert (1, A, B) in done.graph.links()


def test_forbidden_pairs_hardly_read_together_are_no_open_question():
    x = table(rows=400)
    x[200:, A], x[:200, B] = np.nan, np.nan
    open_, closed = fit(x).graph, fit(x, forbid=["a -> b"], require=["b -> a"]).graph
    assert (open_.verdict[:, A, B] == UNDECIDED).all()
    assert (closed.verdict[:, A, B] == NONE).all()
    assert not [key for key in closed.reasons if key[1:] == (A, B)]
    assert (closed.verdict[:, B, A] == LINK).sum() == 1


def test_a_required_link_of_a_sensor_that_was_left_out_stays_open():
    x = table()
    x[:, D] = 1.0
    done = fit(x, require=["d -> c", "a -> b"], forbid=["d -> a"])
    assert (done.graph.verdict[:, D, C] == UNDECIDED).all()
    assert (done.graph.verdict[:, D, A] == NONE).all()
    finding = next(f for f in done.findings if f.evidence.get("kind") == "prior_left_out")
    assert finding.evidence["links"] == ["d -> c"]
    assert done.graph.reasons[1, A, B] == REQUIRED


def test_with_one_sensor_left_what_is_forbidden_is_still_no_open_question():
    x = np.ones((300, 4))
    x[:, A] = table(rows=300)[:, A]
    graph = fit(x, forbid=["a -> b"]).graph
    assert (graph.verdict[:, A, B] == NONE).all()
    assert (graph.verdict[:, B, A] == UNDECIDED).all()


def test_a_product_with_a_forbidden_sensor_is_not_offered():
    x = np.random.default_rng(0).standard_normal((1200, 4))
    x[1:, C] += 1.5 * x[:-1, A] * x[:-1, B]
    assert screened(x, 1, basis="nonlinear").evidence.chosen[1, [A, B], C].all()
    without = screened(x, 1, basis="nonlinear", forbid=["a -> c"])
    assert not without.evidence.chosen[:, A, C].any()
    assert not without.evidence.chosen[:, B, C].any()


def test_the_smoother_has_no_coefficient_for_a_forbidden_link():
    x = table()
    moment = _first_moment(Readings(x, np.ones(x.shape, bool), [slice(0, len(x))]), 3)
    rows = np.full(4, 700.0)
    prior = Prior.of(PriorConfig(forbid=["a -> b"]), NAMES, 2)
    assert sparse_support(moment, rows)[B, A]
    assert not sparse_support(moment, rows, prior)[B, [A, A + 4, A + 8]].any()
    np.testing.assert_array_equal(sparse_support(moment, rows, prior)[C], sparse_support(moment, rows)[C])


def test_long_tables_are_scored_piece_by_piece_with_it():
    graph = fit(table(rows=3000), forbid=["a -> b"], require=["d -> c"]).graph
    assert not graph.score[:, A, B].any()
    assert graph.adjacency[:, D, C].any()
    assert (2, B, C) in graph.links()


def test_the_network_has_no_forbidden_candidate():
    settings = ["select.refine=on", "train.epochs=2", "train.eval_every=1"]
    done = fit(table(rows=400), *settings, forbid=["a -> b", "* -> d"])
    assert not done.refined.candidates[:, A, B].any()
    assert not done.refined.candidates[:, :, D].any()
    assert done.refined.candidates.any()
    few = fit(table(rows=400), *settings, forbid=["* -> a", "* -> c", "* -> d", "c -> b", "d -> b"]).refined.candidates
    assert few[1, A, B]
    few[:, A, B] = False
    assert not few.any()


def test_the_python_door():
    model = RCGNN(max_lag=2, select__refine="off", select__halves=4, prior__forbid=["x0 -> x1"])
    assert model.get_params()["prior__forbid"] == ["x0 -> x1"]
    assert not model.fit(table()).graph_.adjacency[:, A, B].any()
    model.set_params(prior__forbid=["x0 -> x9"])
    with pytest.raises(ConfigError, match="'x0 -> x9': no sensor is called 'x9'"):
        model.fit(table())
    with pytest.raises(ConfigError, match="Did you mean 'forbid'"):
        RCGNN(prior__forbit=[])


def test_the_origin_takes_no_prior_knowledge():
    with pytest.raises(ConfigError, match="'origin-before' cannot use prior knowledge"):
        fit(table(rows=100), "recipe=origin-before", forbid=["a -> b"])
