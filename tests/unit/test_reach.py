"""The longest delay from the table: what asks for a longer one, what does not, and what the rest of a fit makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from rcgnn import RCGNN, Series
from rcgnn.config import Config, PriorConfig, ScreenConfig
from rcgnn.errors import ConfigError
from rcgnn.pipeline import fit_series
from rcgnn.prior import Informed, Prior, least_reach
from rcgnn.screen.features import Sample
from rcgnn.screen.reach import LEAST, Reach, candidates, reach
from rcgnn.synth import simulate

NAMES = ("pump", "flow", "level")
FAST = {"refine": "off", "halves": 0, "shifted_copies": 0}
QUICK = ["select.refine=off", "select.halves=4", "data.max_lag=auto"]


def noise(rows: int = 600, sensors: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, sensors))


def delayed(lag: int, size: float = 0.8, rows: int = 600) -> np.ndarray:
    """pump drives flow after `lag` rows, and level after one."""
    x = noise(rows)
    x[lag:, 1] += size * x[:-lag, 0]
    x[1:, 2] += 0.8 * x[:-1, 0]
    return x


def chosen(x: np.ndarray, keep: np.ndarray | None = None, config: ScreenConfig | None = None, copies: int = 3) -> Reach:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    sample = Sample(z[None], np.ones(x.shape, bool) if keep is None else keep, [slice(0, len(x))], LEAST)
    return reach(sample, config or ScreenConfig(), [np.random.default_rng(c) for c in range(copies)])


@pytest.mark.parametrize(("lag", "found"), [(1, 3), (3, 3), (4, 4), (5, 6), (7, 8), (11, 12)])
def test_the_shortest_candidate_that_holds_the_slowest_link(lag, found):
    assert chosen(delayed(lag)).max_lag == found


def test_one_slow_link_beside_strong_fast_ones_is_enough():
    x = noise(800, 4)
    for j in (1, 2, 3):
        x[1:, j] += 3.0 * x[:-1, 0]
    assert chosen(x).max_lag == 3
    x[6:, 3] += 1.0 * x[:-6, 1]
    assert chosen(x).max_lag == 6


def test_chance_asks_for_nothing():
    assert [chosen(noise(500, 5, seed)).max_lag for seed in range(5)] == [3] * 5


def test_a_long_memory_of_its_own_asks_for_nothing():
    x = noise(800)
    x[1:, 2] += 0.8 * x[:-1, 0]
    for t in range(12, len(x)):
        x[t, 1] += 0.8 * x[t - 12, 1]
    found = chosen(x, copies=0)
    assert max(found.value) > 12
    assert found.max_lag == chosen(x).max_lag == 3


def test_a_season_that_all_share_asks_for_nothing_because_shifted_copies_gain_as_much():
    x = simulate("seasonal", seed=1, rows=1500).series.values
    assert chosen(x, copies=0).max_lag >= 24
    assert chosen(x).max_lag == 3


def test_gains_are_judged_on_the_same_rows_and_never_fall_by_more_than_the_price():
    value = chosen(delayed(4)).value
    assert value[3] < value[4] - 100
    assert 0 < value[4] - max(value[k] for k in value if k > 4) < 10


def test_a_sensor_that_is_hardly_read_has_no_say():
    x, keep = delayed(5), np.ones((600, 3), bool)
    keep[100:, 1] = False
    assert chosen(x, keep).max_lag == 3


def test_what_prior_knowledge_forbids_asks_for_nothing():
    known = Prior.of(PriorConfig(exogenous=["flow"]), NAMES, 64)
    assert chosen(delayed(5), config=Informed.of(ScreenConfig(), known)).max_lag == 3


def test_nothing_given_is_changed_and_the_same_again_gives_the_same():
    x = delayed(5)
    x.flags.writeable = False
    assert chosen(x) == chosen(x)


def table(rows: int, sensors: int, parts: int = 1, least: int = LEAST) -> Sample:
    length = rows // parts
    segments = [slice(p * length, (p + 1) * length) for p in range(parts)]
    return Sample(np.zeros((1, rows, sensors)), np.ones((rows, sensors), bool), segments, least)


@pytest.mark.parametrize(
    ("sample", "longest"),
    [
        (table(400, 13), 8),
        (table(1500, 13), 24),
        (table(100_000, 13), 24),
        (table(100_000, 2), 64),
        (table(100_000, 60), 4),
        (table(100_000, 200), 3),
        (table(40, 3), 3),
        (table(2, 2), 3),
        (table(3000, 3, parts=100), 16),
        (table(1500, 13, least=10), 24),
    ],
    ids=["short", "usual", "long", "two sensors", "many", "very many", "tiny", "two rows", "pieces", "a longer start"],
)
def test_candidates_are_bounded_by_rows_sensors_and_pieces(sample, longest):
    tried = candidates(sample)
    assert tried[0] == sample.max_lag
    assert tried[-1] == longest
    assert list(tried) == sorted(set(tried))


def test_a_finding_where_links_may_be_slower_than_anything_tried():
    assert Reach(4, {3: 0.0, 4: 50.0, 6: 49.0}).findings() == []
    (edge,) = Reach(6, {3: 0.0, 4: 0.0, 6: 50.0}).findings()
    (untried,) = Reach(3, {}).findings()
    assert (edge.code, edge.severity, edge.evidence["kind"]) == ("INPUT", "warn", "longest_delay")
    assert edge.evidence["value"] == {"3": 0.0, "4": 0.0, "6": 50.0}
    assert "6 rows, is also the longest tried" in edge.message
    assert "beyond 3 rows were not tried" in untried.message


# --- the whole fit ------------------------------------------------------------------------------------------------------------------


def series(x: np.ndarray) -> Series:
    return Series.of(x, names=NAMES)


def test_a_fit_finds_the_slow_link_that_the_default_misses():
    x = series(delayed(5))
    done = fit_series(x, Config().override(QUICK))
    assert (5, 0, 1) in done.graph.links()
    assert done.graph.max_lag == done.mechanism.max_lag == done.summary["max_lag"] == 6
    assert set(done.summary["evidence_by_max_lag"]) >= {"3", "4", "6", "8"}
    assert "reach" in done.summary["seconds"]
    assert not [f for f in done.findings if f.evidence.get("kind") == "longest_delay"]
    default = fit_series(x, Config().override(QUICK[:2]))
    assert not any((i, j) == (0, 1) for _, i, j in default.graph.links())
    assert "max_lag" not in default.summary


def test_the_answer_is_that_of_the_number_which_was_chosen():
    gaps = delayed(5)
    gaps[np.random.default_rng(1).random(gaps.shape) < 0.1] = np.nan
    auto, number = (fit_series(series(gaps), Config().override([*QUICK, f"data.max_lag={k}"])) for k in ("auto", 6))
    assert auto.signal.smoothed
    np.testing.assert_array_equal(auto.graph.score, number.graph.score)
    np.testing.assert_array_equal(auto.graph.verdict, number.graph.verdict)


def test_the_network_gets_the_number():
    config = Config().override(
        ["data.max_lag=auto", "data.window=8", "select.refine=on", "train.epochs=1", "select.halves=0", "select.shifted_copies=0"]
    )
    done = fit_series(series(delayed(5, rows=400)), config)
    assert done.refined.failed is None
    assert done.refined.candidates.shape[0] == 7


def test_a_delay_that_prior_knowledge_names_is_within_reach():
    x = series(delayed(1))
    done = fit_series(
        x, Config.parse({"data": {"max_lag": "auto"}, "prior": {"lags": ["level -> flow @ 2..9"]}, "select": {"refine": "off"}})
    )
    assert done.graph.max_lag == 9
    short = fit_series(x, Config.parse({"data": {"max_lag": "auto"}, "prior": {"forbid": ["level -> flow"]}, "select": FAST}))
    assert short.graph.max_lag == 3
    with pytest.raises(ConfigError, match=r"from 0 to data\.max_lag = 64"):
        fit_series(x, Config.parse({"data": {"max_lag": "auto"}, "prior": {"lags": ["level -> flow @ 70"]}}))


def test_the_least_reach_delay_is_the_one_that_was_written():
    said = PriorConfig(forbid=["pump -> level"], require=["pump -> flow @ 2"], lags={"flow -> level": "1..5"}, exogenous=["pump"])
    assert least_reach(said, NAMES) == 5
    assert least_reach(PriorConfig(forbid=["* -> level"]), NAMES) == 0
    assert least_reach(PriorConfig(require=["pump -> flow"], forbid=["pump -> flow @ 0..5"]), NAMES) == 6, "or nothing would be left"
    assert least_reach(PriorConfig(forbid=["pump -> flow @ 64"]), NAMES) == 64


def test_one_sensor_alone_has_the_least():
    x = noise(200)
    x[:, 1:] = 1.0
    done = fit_series(series(x), Config().override(QUICK))
    assert done.summary["verdict"] == "undecidable"
    assert done.graph.max_lag == LEAST
    assert not [f for f in done.findings if f.evidence.get("kind") == "longest_delay"]


def test_a_short_table_says_that_links_may_be_slower():
    done = fit_series(series(delayed(8, size=3.0, rows=110)), Config().override(QUICK))
    assert done.graph.max_lag == 8
    assert [f.evidence["max_lag"] for f in done.findings if f.evidence.get("kind") == "longest_delay"] == [8]


# --- the setting ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["long", "0", "65", "2.5", "null", "Auto"])
def test_a_wrong_value_gives_one_sentence(value):
    with pytest.raises(ConfigError, match=r"^--set: data\.max_lag: expected a whole number from 1 to 64, or auto, got .*\.$"):
        Config().override([f"data.max_lag={value}"])


def test_the_word_survives_the_file(tmp_path):
    config = Config().override(["data.max_lag=auto"])
    (tmp_path / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    assert Config.load(tmp_path / "config.yaml") == config
    assert config.data.max_lag == "auto"
    with pytest.raises(ConfigError, match="expected a number of steps here, got auto"):
        _ = config.data.lags
    assert Config().data.lags == 3


@pytest.mark.parametrize("recipe", ["origin-before", "origin-after"])
def test_the_origin_looks_at_no_delay(recipe):
    with pytest.raises(ConfigError, match=f"auto needs the recipe 'auto', got '{recipe}'"):
        Config.assemble(None, ["data.max_lag=auto", f"recipe={recipe}"])


def test_the_estimator_keeps_the_word_and_shows_the_number():
    model = RCGNN(max_lag="auto", select__refine="off", select__halves=4)
    assert repr(model) == "RCGNN(max_lag='auto', select__halves=4, select__refine='off')"
    copy = clone(model).fit(delayed(5))
    assert copy.get_params()["max_lag"] == copy.config_.data.max_lag == "auto"
    assert copy.graph_.max_lag == 6
    assert copy.predict(delayed(5)).shape == (600, 3)
    assert len(copy.intervene({"x0": 1.0}, horizon=7).difference) == 7
    with pytest.raises(ConfigError, match="or auto, got 'far'"):
        RCGNN(max_lag="far").fit(delayed(5))
