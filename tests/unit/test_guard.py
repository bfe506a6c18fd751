import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rcgnn.train.guard import CLIP_MADS, LEVEL_SHIFT, MAD_FLOOR, Guard, first_bad, out_of_box


def armed(**more) -> Guard:
    guard = Guard(**more)
    guard.keep("start")
    for i in range(20):
        assert guard.judge(1.0 + 0.01 * (i % 5)) == "accept"
    return guard


def test_unarmed_guard_accepts_any_finite_norm():
    guard = Guard()
    assert [guard.judge(10.0**k) for k in range(8)] == ["accept"] * 8


def test_spike_is_skipped_and_leaves_the_statistics_alone():
    guard = armed()
    before = list(guard.window), guard.level()
    assert guard.judge(1e8) == "skip"
    assert (list(guard.window), guard.level()) == before
    assert guard.judge(1.0) == "accept"


def test_spike_threshold_is_six_floored_mads():
    assert armed().judge(1.02 * math.exp(6 * MAD_FLOOR) * 0.98) == "accept"
    assert armed().judge(1.02 * math.exp(6 * MAD_FLOOR) * 1.02) == "skip"


def test_level_shift_is_readmitted_at_the_eighth_spike_in_a_row():
    guard = armed()
    actions = [guard.judge(100.0) for _ in range(LEVEL_SHIFT)]
    assert actions == ["skip"] * (LEVEL_SHIFT - 1) + ["readmit"]
    assert guard.judge(100.0) == "accept"
    assert guard.take_counts().readmitted == 1


def test_three_incidents_in_a_hundred_steps_roll_back_and_three_returns_stop():
    guard = armed()
    asked = [guard.nonfinite() for _ in range(12)]
    assert asked == ["skip", "skip", "rollback"] * 3 + ["skip", "skip", "stop"]
    assert guard.failure == "refinement failed: NONFINITE"


def test_separate_spikes_are_separate_incidents():
    guard = armed()
    actions = []
    for _ in range(3):
        actions += [guard.judge(1e6), guard.judge(1.0)]
    assert actions == ["skip", "accept", "skip", "accept", "rollback", "accept"]


def test_incidents_far_apart_do_not_add_up():
    guard = armed()
    for _ in range(5):
        assert guard.judge(1e6) == "skip"
        for _ in range(50):
            assert guard.judge(1.0) == "accept"


def test_no_rollbacks_allowed_means_stop():
    guard = armed(max_rollbacks=0)
    assert [guard.nonfinite() for _ in range(3)][-1] == "stop"


def test_clip_level_is_three_mads_and_never_above_the_certificate():
    middle = 1.02
    assert armed().level() == pytest.approx(middle * math.exp(CLIP_MADS * MAD_FLOOR))
    assert armed(certificate=1.5).level() == 1.5
    assert Guard(certificate=2.0).level() == 2.0
    assert Guard().level() is None
    assert armed(clip=10.0, certificate=1.5).level() == 10.0


def test_states_are_used_up_newest_first_and_the_last_one_stays():
    guard = Guard()
    for name in "abcd":
        guard.keep(name)
    assert [guard.last_good() for _ in range(4)] == ["d", "c", "b", "b"]
    with pytest.raises(LookupError, match="call keep"):
        Guard().last_good()


def test_calm_until_a_step_is_skipped():
    guard = armed()
    assert guard.calm
    guard.judge(1e8)
    assert not guard.calm
    guard.take_counts()
    assert guard.calm
    guard.nonfinite()
    assert not guard.calm
    guard.overshot()
    assert not guard.calm


def test_leaving_the_box_goes_back_at_once():
    guard = armed(max_rollbacks=1)
    assert [guard.left_the_box(), guard.left_the_box()] == ["rollback", "stop"]
    assert guard.take_counts().skipped_nonfinite == 2


@given(st.lists(st.floats(1e-6, 1e6) | st.just(float("nan")), min_size=1, max_size=120), st.integers(0, 119))
def test_resumed_guard_goes_on_exactly_as_the_first(norms, cut):
    first = Guard(max_rollbacks=2)
    for norm in norms[:cut]:
        first.judge(norm)
    second = Guard(max_rollbacks=2)
    second.load_state_dict(first.state_dict())
    assert [first.judge(n) for n in norms[cut:]] == [second.judge(n) for n in norms[cut:]]
    assert first.state_dict() == second.state_dict()


@given(st.lists(st.floats(0, 1e300) | st.sampled_from([float("nan"), float("inf")]), max_size=300))
def test_level_is_always_finite_whatever_comes(norms):
    guard = Guard(certificate=7.0)
    for norm in norms:
        guard.judge(norm)
        level = guard.level()
        assert level is not None
        assert 0 < level <= 7.0


def test_first_bad_names_the_first_tensor():
    bad = torch.tensor([float("nan")])
    assert first_bad([("fine", torch.ones(2)), ("absent", None), ("worse", bad), ("worst", bad)]) == "worse"
    assert first_bad([("fine", torch.ones(2))]) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2e4])
def test_out_of_box_names_the_parameter(value):
    parameters = [("a", torch.ones(3)), ("empty", torch.ones(0)), ("b", torch.tensor([0.0, value]))]
    assert out_of_box(parameters) == "b"
    assert out_of_box(parameters[:2]) is None
    assert out_of_box([]) is None


def test_a_norm_above_the_certificate_is_a_spike_from_the_first_step_on():
    guard = Guard(certificate=7.0)
    assert [guard.judge(6.9), guard.judge(7.1), guard.judge(6.9)] == ["accept", "skip", "accept"]
    assert guard.counts.skipped_spike == 1
    always = Guard(certificate=7.0)
    assert [always.judge(100.0) for _ in range(8)] == ["skip"] * 7 + ["readmit"]


def test_a_step_that_was_put_back_is_not_counted_as_accepted():
    guard = Guard()
    assert guard.judge(1.0) == "accept"
    assert guard.overshot() == "skip"
    assert (guard.counts.accepted, guard.counts.undone, guard.calm) == (0, 1, False)
    assert [guard.overshot(), guard.overshot()] == ["skip", "rollback"]
    assert guard.last_rule == "UPDATE_RATIO"


@pytest.mark.parametrize(("steps", "action"), [(7, "accept"), (8, "skip")])
def test_spikes_are_called_from_the_ninth_accepted_step_on(steps, action):
    guard = Guard()
    for _ in range(steps):
        guard.judge(1.0)
    assert guard.judge(1e8) == action


def test_seven_spikes_in_a_row_are_skipped_and_the_eighth_is_the_new_level():
    guard = armed()
    assert [guard.judge(1e3) for _ in range(8)] == ["skip"] * 7 + ["readmit"]
    assert list(guard.window) == [pytest.approx(math.log(1e3))], "the old level is forgotten"
    assert guard.spikes_in_a_row == 0


def test_a_run_of_spikes_ends_with_an_accepted_step():
    guard = armed()
    for _ in range(2):
        assert [guard.judge(1e3) for _ in range(7)] == ["skip"] * 7
        assert guard.judge(1.0) == "accept"
    assert guard.take_counts().skipped_spike == 14


@pytest.mark.parametrize(("apart", "action"), [(99, "rollback"), (100, "skip")])
def test_three_incidents_count_within_a_hundred_steps(apart, action):
    guard = armed()
    guard.nonfinite()
    guard.nonfinite()
    for _ in range(apart - 2):
        assert guard.judge(1.0) == "accept"
    assert guard.nonfinite() == action


def test_after_a_return_the_count_of_incidents_starts_anew():
    guard = armed()
    guard.keep("good")
    guard.nonfinite()
    guard.judge(1e6)
    assert guard.overshot() == "rollback"
    assert guard.last_rule == "UPDATE_RATIO"
    assert (guard.rollbacks, guard.spikes_in_a_row, len(guard.incidents)) == (1, 0, 0)
    assert guard.take_counts().rollbacks == 1
    assert guard.judge(1e6) == "skip"


@pytest.mark.parametrize("resumed", [False, True])
def test_the_level_is_that_of_the_last_128_steps(resumed):
    """64 of each: the median is sqrt 2, the MAD ln sqrt 2, the level 2^.5 2^1.5; one step more or less would show."""
    guard = Guard()
    for _ in range(200):
        guard.judge(1.0)
    if resumed:
        state, guard = guard.state_dict(), Guard()
        guard.load_state_dict(state)
    for _ in range(64):
        assert guard.judge(2.0) == "accept"
    assert guard.level() == pytest.approx(4.0)


@pytest.mark.parametrize("norm", [0.0, 1e-300, 1e300, 1.7e308])
def test_any_finite_norm_has_a_finite_level(norm):
    guard = Guard()
    assert [guard.judge(norm) for _ in range(20)] == ["accept"] * 20
    assert 0 < guard.level() < math.inf


@pytest.mark.parametrize("norm", [1e-6, 1.0, 1e6])
def test_the_level_goes_with_the_size_of_the_norms(norm):
    guard = Guard()
    for _ in range(20):
        guard.judge(norm)
    assert guard.level() == pytest.approx(norm * math.exp(0.75))


def test_a_level_above_the_certificate_is_lowered_and_one_below_it_stays():
    guard = Guard(certificate=50.0)
    for _ in range(20):
        guard.judge(1.0)
    assert guard.level() == pytest.approx(math.exp(0.75))
    assert guard.judge(49.0) == "skip", "far from its kind, though below the certificate"


def test_a_step_put_back_after_the_counts_were_taken_leaves_none_below_zero():
    guard = Guard()
    guard.judge(1.0)
    guard.judge(1.0)
    guard.overshot()
    assert guard.take_counts().accepted == 1
    guard.overshot()
    assert guard.take_counts().accepted == 0


def test_three_good_states_are_kept():
    guard = Guard()
    for name in "abcd":
        guard.keep(name)
    assert [guard.last_good(), guard.last_good(), guard.last_good()] == ["d", "c", "b"]


@pytest.mark.parametrize(("value", "named"), [(10_000.0, None), (-10_000.0, None), (10_001.0, "b"), (-10_001.0, "b")])
def test_the_box_ends_at_ten_thousand_on_both_sides(value, named):
    assert out_of_box([("a", torch.ones(3)), ("b", torch.tensor([value, 0.0]))]) == named


def test_three_returns_are_allowed_unless_told_otherwise():
    assert [Guard().roll_back("SPIKE") for _ in range(2)] == ["rollback", "rollback"]
    guard = Guard(max_rollbacks=1)
    assert [guard.roll_back("SPIKE"), guard.roll_back("BUDGET")] == ["rollback", "stop"]
    assert guard.failure == "refinement failed: BUDGET"
