"""What is known before the fit: one notation, wildcards, and one clear error for what does not fit together."""

from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.config import Config, PriorConfig, ScreenConfig
from rcgnn.errors import ConfigError
from rcgnn.prior import Informed, Prior, known_to, nothing_required

NAMES = ("pump", "flow", "temp_1", "temp_2", "weather")
K = 3
ALL = tuple(range(K + 1))


def known(names: tuple[str, ...] = NAMES, max_lag: int = K, **said) -> Prior:
    return Prior.of(PriorConfig(**said), names, max_lag)


def forbidden(prior: Prior) -> set[tuple[int, str, str]]:
    return {(int(k), prior.names[i], prior.names[j]) for k, i, j in np.argwhere(~prior.permitted)}


@pytest.mark.parametrize(
    ("text", "lags"),
    [
        ("pump -> flow", ALL),
        ("pump->flow", ALL),
        ("pump -> flow @ 2", (2,)),
        ("  pump  ->  flow@0..1 ", (0, 1)),
        ("pump -> flow @ 1 .. 3", (1, 2, 3)),
        ('"pump" -> "flow" @ 0', (0,)),
    ],
)
def test_a_link_is_read(text, lags):
    assert forbidden(known(forbid=[text])) == {(k, "pump", "flow") for k in lags}


def test_wildcards_match_by_case_and_never_link_a_sensor_to_itself():
    prior = known(forbid=["temp_* -> pump @ 1", "* -> weather @ 0"])
    others = {(0, name, "weather") for name in NAMES if name != "weather"}
    assert forbidden(prior) == {(1, "temp_1", "pump"), (1, "temp_2", "pump")} | others
    with pytest.raises(ConfigError, match="no sensor is called 'TEMP_\\*' or matches it"):
        known(forbid=["TEMP_* -> pump"])


@pytest.mark.parametrize(
    ("names", "text", "pair"),
    [
        (("T*", "T1", "b"), "T* -> b", ("T*", "b")),
        (("T[1]", "T1", "b"), "T[1] -> b", ("T[1]", "b")),
        (("a -> b", "c", "a"), '"a -> b" -> c', ("a -> b", "c")),
        (("a", "q@1", "q"), "a -> q@1", ("a", "q@1")),
        (("a@x", "b", "c"), "a@x -> b", ("a@x", "b")),
        (("a", "b@home", "c"), 'a -> "b@home"', ("a", "b@home")),
        (('say "hi"', "b", "c"), 'say "hi" -> b', ('say "hi"', "b")),
        (('"q"', "b", "c"), '"""q""" -> b', ('"q"', "b")),
        (("T*", "T1", "b"), '"T*" -> b', ("T*", "b")),
    ],
)
def test_names_with_signs_of_the_notation_can_be_used(names, text, pair):
    assert forbidden(known(names, 1, forbid=[text])) == {(k, *pair) for k in (0, 1)}


def test_an_exact_name_in_quotes_is_never_a_wildcard():
    with pytest.raises(ConfigError, match=r"no sensor is called 'temp_\*'\. Did you mean"):
        known(forbid=['"temp_*" -> pump'])


def test_tiers_and_exogenous():
    prior = known(tiers=[["weather"], ["temp_*"], ["flow"]], exogenous=["pump"])
    backwards = {("temp_1", "weather"), ("temp_2", "weather"), ("flow", "weather"), ("flow", "temp_1"), ("flow", "temp_2")}
    into_pump = {(name, "pump") for name in NAMES if name != "pump"}
    assert forbidden(prior) == {(k, *pair) for k in ALL for pair in backwards | into_pump}


@pytest.mark.parametrize("lags", [{"pump -> flow": "1..2"}, ["pump -> flow @ 1..2"], "pump -> flow @ 1..2"])
def test_known_lags_forbid_all_others_and_require_nothing(lags):
    prior = known(lags=lags)
    assert forbidden(prior) == {(0, "pump", "flow"), (3, "pump", "flow")}
    assert prior.required == ()
    assert known(lags={"pump -> flow": 2}).permitted[:, 0, 1].tolist() == [False, False, True, False]


def test_a_requirement_keeps_the_lags_that_are_permitted():
    prior = known(require=["pump -> flow"], forbid=["pump -> flow @ 0"], lags=["* -> flow @ 0..2"])
    assert [(r.cause, r.effect, r.lags) for r in prior.required] == [(0, 1, (1, 2))]


def test_a_link_required_within_the_step_rules_out_the_way_back():
    prior = known(require=["pump -> flow @ 0", "flow -> pump"])
    assert not prior.permitted[0, 1, 0]
    assert [r.lags for r in prior.required] == [(0,), (1, 2, 3)]


def test_the_same_requirement_twice_counts_once():
    assert len(known(require=["pump -> flow", "* -> flow", "pump -> flow"]).required) == 4


MISTAKES = {
    "no arrow": ({"forbid": ["pump flow"]}, "prior.forbid: 'pump flow' is not a link"),
    "two arrows": ({"forbid": ["pump -> flow -> weather"]}, "double quotes"),
    "nothing before": ({"forbid": ["-> flow"]}, "is not a link"),
    "empty": ({"require": [""]}, "prior.require: '' is not a link"),
    "bad lag": ({"forbid": ["pump -> flow @ soon"]}, "'soon' is not a delay"),
    "negative lag": ({"forbid": ["pump -> flow @ -1"]}, "'-1' is not a delay"),
    "lag too long": ({"forbid": ["pump -> flow @ 4"]}, "from 0 to data.max_lag = 3"),
    "lags backwards": ({"forbid": ["pump -> flow @ 3..1"]}, "the smaller one first"),
    "lag missing": ({"lags": ["pump -> flow"]}, "names no delay"),
    "unknown": ({"forbid": ["pumps -> flow"]}, "Did you mean 'pump'"),
    "unknown wildcard": ({"forbid": ["x* -> flow"]}, "Known here: pump, flow"),
    "unknown exogenous": ({"exogenous": ["wether"]}, "prior.exogenous: 'wether': no sensor .* Did you mean 'weather'"),
    "unknown in tier": ({"tiers": [["pump"], ["flwo"]]}, "prior.tiers: 'flwo'"),
    "itself": ({"require": ["pump -> pump"]}, "links 'pump' to itself"),
    "itself by wildcard": ({"forbid": ["pum? -> pump"]}, "links 'pump' to itself"),
    "two tiers": ({"tiers": [["temp_1"], ["temp_*"]]}, "'temp_1' is in two tiers"),
    "required, forbidden": (
        {"require": ["pump -> flow @ 1"], "forbid": ["p* -> *"]},
        "prior.require 'pump -> flow @ 1' and prior.forbid 'p\\* -> \\*' contradict each other for pump -> flow",
    ),
    "required, in parts forbidden": (
        {"require": ["pump -> flow @ 1..2"], "forbid": ["pump -> flow @ 1", "pump -> flow @ 2"]},
        "prior.forbid 'pump -> flow @ 1' with prior.forbid 'pump -> flow @ 2' contradict",
    ),
    "required, tiers": (
        {"require": ["flow -> pump"], "tiers": [["pump"], ["flow"]]},
        "prior.require 'flow -> pump' and prior.tiers \\['pump'\\] before \\['flow'\\] contradict",
    ),
    "required, exogenous": ({"require": ["flow -> pump"], "exogenous": ["pump"]}, "prior.exogenous 'pump' contradict"),
    "required, known lags": (
        {"require": ["pump -> flow @ 0"], "lags": {"pump -> flow": "1..2"}},
        "prior.lags 'pump -> flow @ 1..2' contradict",
    ),
    "known lags": (
        {"lags": ["pump -> flow @ 0", "* -> flow @ 1..2"]},
        "prior.lags 'pump -> flow @ 0' and prior.lags '\\* -> flow @ 1..2'",
    ),
    "circle": (
        {"require": ["pump -> flow @ 0", "flow -> temp_1 @ 0", "temp_1 -> pump @ 0"]},
        "go round in a circle within one step",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_does_not_fit_is_one_sentence(case):
    said, message = MISTAKES[case]
    with pytest.raises(ConfigError, match=message) as error:
        known(**said)
    assert "\n" not in str(error.value)


def test_a_circle_names_every_statement_on_it():
    with pytest.raises(ConfigError) as error:
        known(require=["pump -> flow @ 0", "flow -> pump @ 0"])
    assert "'pump -> flow @ 0'" in str(error.value)
    assert "'flow -> pump @ 0'" in str(error.value)
    known(require=["pump -> flow @ 0", "flow -> pump @ 1"])


def test_without_links_within_a_step_none_can_be_required():
    said = PriorConfig(require=["pump -> flow @ 0"])
    with pytest.raises(ConfigError, match=r"screen\.instantaneous: false contradict"):
        Prior.of(said, NAMES, K, instantaneous=False)


@pytest.mark.parametrize("raw", [{"prior": {"forbid": "pump -> flow"}}, {"prior": {"forbid": ["pump -> flow"], "tiers": None}}])
def test_one_statement_needs_no_list(raw):
    assert Config.parse(raw).prior == PriorConfig(forbid=["pump -> flow"])


def test_the_section_survives_yaml_and_set(tmp_path):
    config = Config().override(['prior.forbid=["pump -> flow"]', "prior.lags={a -> b: 1..2}", "prior.tiers=[[a], [b, c]]"])
    assert config.prior == PriorConfig(forbid=["pump -> flow"], lags=["a -> b @ 1..2"], tiers=[["a"], ["b", "c"]])
    file = tmp_path / "all.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8")
    assert Config.load(file) == config
    with pytest.raises(ConfigError, match=r"Did you mean 'forbid'"):
        Config().override(["prior.forbit=[]"])


def test_the_file_of_prior_knowledge_is_the_section_or_a_config(tmp_path):
    section, whole, empty = tmp_path / "s.yaml", tmp_path / "w.yaml", tmp_path / "e.yaml"
    section.write_text("forbid: ['a -> b']\n", encoding="utf-8")
    whole.write_text("seed: 5\nprior:\n  forbid: ['a -> b']\n", encoding="utf-8")
    empty.write_text("seed: 5\n", encoding="utf-8")
    for file in (section, whole):
        assert Config.assemble(None, [], file) == Config().override(["prior.forbid=a -> b"])
    assert Config.assemble(whole, ["prior.require=c -> d"], section).prior == PriorConfig(forbid=["a -> b"], require=["c -> d"])
    with pytest.raises(ConfigError, match=r"e\.yaml: holds no prior knowledge"):
        Config.assemble(None, [], empty)
    section.write_text("forbidden: ['a -> b']\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="Did you mean 'forbid'"):
        Config.assemble(None, [], section)


def test_nothing_said_is_no_prior_and_the_origin_takes_none():
    assert Prior.given(Config(), NAMES) is None
    assert Prior.given(Config().override(["prior.forbid=[]", "recipe=origin-after"]), NAMES) is None
    with pytest.raises(ConfigError, match="'origin-after' cannot use prior knowledge"):
        Prior.given(Config().override(["prior.forbid=pump -> flow", "recipe=origin-after"]), NAMES)


def test_only_sensors_that_take_part_stay():
    prior = known(forbid=["weather -> pump"], require=["flow -> weather @ 1", "flow -> temp_1"])
    left = prior.taking_part(np.array([0, 1, 4]))
    assert left.names == ("pump", "flow", "weather")
    assert forbidden(left) == {(k, "weather", "pump") for k in ALL}
    assert [(r.cause, r.effect, r.lags) for r in left.required] == [(1, 2, (1,))]


def test_a_product_needs_both_sensors_permitted_unless_one_is_the_target():
    prior = known(("a", "b", "c"), 1, forbid=["a -> c @ 1"])
    lag = np.array([1, 1, 1, 0, 1, 7])
    owner = np.array([[0, 0], [0, 1], [1, 2], [0, 0], [2, 2], [0, 0]])
    assert prior.features(lag, owner, 2).tolist() == [False, False, True, True, True, False]
    assert prior.features(lag, owner, 1).all()


def test_the_settings_of_the_screen_carry_it_to_every_copy():
    prior = known(require=["pump -> flow"], forbid=["flow -> pump"])
    config = Informed.of(ScreenConfig(gamma=1.0), prior).model_copy(update={"basis": "linear"})
    assert (known_to(config), config.gamma, config.basis) == (prior, 1.0, "linear")
    quiet = known_to(nothing_required(config))
    assert quiet is not None
    assert quiet.required == ()
    np.testing.assert_array_equal(quiet.permitted, prior.permitted)
    assert known_to(ScreenConfig()) is None
    assert nothing_required(ScreenConfig()) == ScreenConfig()


words = st.sampled_from([*NAMES, "temp_*", "*", "?l*"])
tails = st.sampled_from(["", " @ 0", " @ 1", " @ 0..1", " @ 1..3"])
links = st.lists(st.builds("{} -> {}{}".format, words, words, tails), max_size=4)


@settings(max_examples=300, deadline=None)
@given(
    links,
    links,
    st.lists(st.lists(words, max_size=2), max_size=3),
    st.lists(words, max_size=1),
    st.lists(st.builds("{} -> {}{}".format, words, words, tails.filter(bool)), max_size=2),
)
def test_what_is_accepted_never_contradicts_itself(forbid, require, tiers, exogenous, lags):
    try:
        prior = known(forbid=forbid, require=require, tiers=tiers, exogenous=exogenous, lags=lags)
    except ConfigError:
        return
    assert prior.permitted[:, np.arange(len(NAMES)), np.arange(len(NAMES))].all()
    for one in prior.required:
        assert one.lags
        assert one.cause != one.effect
        assert all(prior.permitted[k, one.cause, one.effect] for k in one.lags)
    now: dict[int, set[int]] = {}
    for one in prior.required:
        if one.lags == (0,):
            now.setdefault(one.effect, set()).add(one.cause)
    TopologicalSorter(now).prepare()
