"""Decisions look at evidence alone: significance, crumbs, directions that nothing tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcgnn.graph import LINK, NONE, UNDECIDED
from rcgnn.verdict import CRUMB, DIRECTION, DOUBT, HIDDEN, MINOR_LAG, UNCLEAR, UNEVEN, PairEvidence, decide, detectable_share, set_aside

N, K = 4, 2
SURE = -100.0


def found(links: dict[tuple[int, int, int], float], *, log_p: float = SURE, direction: np.ndarray | None = None) -> PairEvidence:
    """Evidence with the given surplus at (k, i, j); a pair has that of its lags together; everything else is nothing."""
    profile = np.full((K + 1, N, N), -5.0)
    for key, value in links.items():
        profile[key] = value
    chosen = np.zeros((K + 1, N, N), bool)
    chosen[tuple(np.array(list(links), int).reshape(-1, 3).T)] = True
    linked = chosen.any(axis=0)
    surplus = np.where(linked, np.where(chosen, profile, 0.0).sum(axis=0), -5.0)
    direction = np.ones((N, N)) if direction is None else direction
    return PairEvidence(surplus, np.where(linked, log_p, 0.0), chosen, direction, 10, profile)


def keys(verdict: np.ndarray, which: int = LINK) -> list[tuple[int, int, int]]:
    return [(int(k), int(i), int(j)) for k, i, j in np.argwhere(verdict == which)]


def test_chosen_significant_pairs_are_links_at_the_chosen_lags_only():
    verdict, reasons = decide(found({(1, 0, 1): 50.0, (2, 0, 1): 50.0, (0, 2, 3): 60.0}), alpha=0.05)
    assert keys(verdict) == [(0, 2, 3), (1, 0, 1), (2, 0, 1)]
    assert reasons == {}
    assert verdict.dtype == np.int8


@pytest.mark.parametrize(("sure", "verdict"), [(0.74, NONE), (0.76, LINK)])
def test_what_is_sure_enough_is_a_link_where_the_copies_show_more(sure, verdict):
    evidence = found({(1, 0, 1): 50.0})
    confidence = np.where(evidence.chosen, sure, 0.0)
    assert decide(replace(evidence, chance=40.0, confidence=confidence), alpha=0.05)[0][1, 0, 1] == verdict


@pytest.mark.parametrize(("sure", "agreed", "verdict"), [(0.49, True, NONE), (0.51, True, LINK), (0.74, False, NONE), (0.76, False, LINK)])
def test_less_is_sure_enough_where_every_opinion_agrees(sure, agreed, verdict):
    evidence = found({(1, 0, 1): 50.0})
    told = {"confidence": np.where(evidence.chosen, sure, 0.0), "agreed": np.full((N, N), agreed)}
    assert decide(replace(evidence, chance=40.0, **told), alpha=0.05)[0][1, 0, 1] == verdict


@pytest.mark.parametrize(("sure", "verdict"), [(0.19, UNDECIDED), (0.21, LINK)])
def test_what_is_hardly_probable_stays_open_however_significant(sure, verdict):
    evidence = found({(1, 0, 1): 50.0, (2, 0, 1): 1.0, (1, 2, 3): 50.0})
    confidence = np.where(evidence.chosen, 0.9, 0.0)
    confidence[:, 0, 1] *= sure / 0.9
    decided, reasons = decide(replace(evidence, confidence=confidence), alpha=0.05)
    assert decided[:, 0, 1].tolist() == [NONE, verdict, NONE]
    assert decided[1, 2, 3] == LINK
    assert reasons == ({(1, 0, 1): DOUBT} if verdict == UNDECIDED else {})


@pytest.mark.parametrize(("factor", "verdict"), [(0.9, LINK), (1.1, UNDECIDED)])
def test_what_does_not_hold_row_by_row_at_the_same_level_is_open(factor, verdict):
    evidence = found({(1, 0, 1): 50.0, (2, 0, 1): 1.0, (1, 2, 3): 50.0})
    rows = np.full((N, N), SURE)
    rows[0, 1] = np.log(factor * 0.05 / (evidence.tests * N))
    decided, reasons = decide(replace(evidence, rowwise=rows), alpha=0.05)
    assert decided[:, 0, 1].tolist() == [NONE, verdict, NONE]
    assert decided[1, 2, 3] == LINK
    assert reasons == ({(1, 0, 1): UNEVEN} if verdict == UNDECIDED else {})


@pytest.mark.parametrize(("factor", "verdict"), [(0.9, LINK), (1.1, UNDECIDED)])
def test_what_its_confidence_makes_a_link_holds_row_by_row_among_all_pairs(factor, verdict):
    evidence = found({(1, 0, 1): 50.0}, log_p=0.0)
    rows = np.full((N, N), np.log(factor * 0.05 / (N * (N - 1))))
    sure = np.where(evidence.chosen, 0.9, 0.0)
    assert decide(replace(evidence, confidence=sure, rowwise=rows), alpha=0.05)[0][1, 0, 1] == verdict


def test_the_doubtful_keep_their_own_reason():
    evidence = found({(1, 0, 1): 50.0})
    told = {"confidence": np.where(evidence.chosen, 0.1, 0.0), "rowwise": np.zeros((N, N))}
    assert decide(replace(evidence, **told), alpha=0.05)[1] == {(1, 0, 1): DOUBT}


def test_what_one_hidden_signal_explains_has_no_direction_at_any_lag():
    alike = np.zeros((N, N), bool)
    alike[0, 1] = alike[1, 0] = True
    evidence = replace(found({(0, 0, 1): 50.0, (2, 1, 0): 40.0, (1, 0, 1): 30.0, (0, 2, 3): 60.0}), exchangeable=alike)
    decided, reasons = decide(evidence, alpha=0.05)
    assert keys(decided) == [(0, 2, 3)]
    assert reasons == {(0, 0, 1): DIRECTION, (0, 1, 0): DIRECTION, (2, 1, 0): HIDDEN, (1, 0, 1): HIDDEN}


def test_agreement_alone_makes_no_link():
    everything = np.ones((N, N), bool)
    evidence = replace(found({}), confidence=np.full((K + 1, N, N), 0.7), agreed=everything)
    assert (decide(evidence, alpha=0.05)[0] == NONE).all()


def test_nothing_is_sure_that_holds_in_few_pieces():
    evidence = found({(1, 0, 1): 50.0})
    confidence = np.where(evidence.chosen, 0.99, 0.0)
    for share, verdict in ((0.4, NONE), (0.5, LINK)):
        pieces = replace(evidence, chance=40.0, confidence=confidence, share=np.full((N, N), share))
        assert decide(pieces, alpha=0.05)[0][1, 0, 1] == verdict


def test_nothing_is_sure_that_the_search_did_not_choose():
    evidence = replace(found({}), confidence=np.full((K + 1, N, N), 0.99))
    assert (decide(evidence, alpha=0.05)[0] == NONE).all()


def test_a_sure_pair_with_an_unclear_direction_stays_open():
    evidence = found({(0, 0, 1): 50.0}, log_p=0.0, direction=np.full((N, N), 0.5))
    verdict, reasons = decide(replace(evidence, confidence=np.where(evidence.chosen, 0.9, 0.0)), alpha=0.05)
    assert verdict[0, 0, 1] == verdict[0, 1, 0] == UNDECIDED
    assert set(reasons.values()) == {DIRECTION}


def test_nothing_chosen_nothing_linked():
    verdict, reasons = decide(found({}), alpha=0.05)
    assert (verdict == NONE).all()
    assert reasons == {}


def test_evidence_without_being_chosen_is_no_link():
    evidence = found({})
    evidence.log_p[:] = SURE
    evidence.surplus[:] = 99.0
    assert (decide(evidence, alpha=0.05)[0] == NONE).all()


@pytest.mark.parametrize(("factor", "verdict"), [(0.9, LINK), (1.1, NONE)])
def test_alpha_is_divided_by_everything_that_competed(factor, verdict):
    alpha, tests = 0.05, 10
    evidence = found({(1, 0, 1): 50.0}, log_p=float(np.log(factor * alpha / (tests * N))))
    assert decide(evidence, alpha=alpha)[0][1, 0, 1] == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.49, NONE), (0.5, LINK), (0.8, LINK), (1.0, LINK)])
def test_a_link_holds_in_half_of_the_pieces_at_least(share, verdict):
    evidence = found({(1, 0, 1): 50.0, (1, 2, 3): 50.0})
    pieces = np.ones((N, N))
    pieces[0, 1] = share
    decided = decide(replace(evidence, share=pieces), alpha=0.05)[0]
    assert (decided[1, 0, 1], decided[1, 2, 3]) == (verdict, LINK)


@pytest.mark.parametrize(("evidence", "verdict"), [(51.0, LINK), (50.0, LINK), (49.0, NONE)])
def test_a_twentieth_of_the_usual_evidence_is_no_crumb(evidence, verdict):
    decided = decide(found({(1, 0, 1): 1000.0, (1, 1, 2): 900.0, (1, 2, 3): 2000.0, (1, 3, 0): evidence, (1, 3, 1): 1000.0}), alpha=0.05)[0]
    assert decided[1, 3, 0] == verdict
    assert decided[1, 0, 1] == decided[1, 1, 2] == decided[1, 2, 3] == LINK


@pytest.mark.parametrize(("share", "verdict"), [(1.1, LINK), (0.9, NONE)])
def test_crumbs_beside_strong_links_are_not_links(share, verdict):
    links = {(1, 0, 1): 1000.0, (1, 1, 2): 1000.0, (1, 2, 3): 1000.0, (1, 3, 0): share * CRUMB * 1000.0}
    assert decide(found(links), alpha=0.05)[0][1, 3, 0] == verdict


@pytest.mark.parametrize(("share", "lags"), [(1.2, [1, 2]), (0.8, [1])])
def test_a_second_lag_is_named_with_a_tenth_of_the_pairs_evidence(share, lags):
    second = share * MINOR_LAG / (1 - share * MINOR_LAG) * 100.0  # that share of the pair's whole
    verdict, _ = decide(found({(1, 0, 1): 100.0, (2, 0, 1): second}), alpha=0.05)
    assert [k for k, _, _ in keys(verdict)] == lags


def test_the_best_lag_is_named_even_where_lags_share_the_evidence():
    """Two lags of a smooth cause: either alone can be spared, both together cannot."""
    evidence = found({(1, 0, 1): 2.0, (2, 0, 1): 1.0})
    evidence.surplus[0, 1] = 200.0
    assert keys(decide(evidence, alpha=0.05)[0]) == [(1, 0, 1)]


@pytest.mark.parametrize(("chance", "verdict"), [(0.0, LINK), (17.8, LINK), (17.9, NONE), (51.0, NONE)])
def test_a_link_must_beat_what_shifted_copies_show(chance, verdict):
    evidence = replace(found({(1, 0, 1): 50.0}), chance=chance)
    assert decide(evidence, alpha=0.05)[0][1, 0, 1] == verdict


def test_a_weak_link_alone_is_no_crumb():
    assert keys(decide(found({(1, 0, 1): 0.5}), alpha=0.05)[0]) == [(1, 0, 1)]


def test_insignificant_pairs_do_not_move_the_median():
    evidence = found({(1, 0, 1): 10.0, (1, 1, 2): 1e6, (1, 2, 3): 1e6})
    evidence.log_p[1, 2] = evidence.log_p[2, 3] = 0.0
    assert keys(decide(evidence, alpha=0.05)[0]) == [(1, 0, 1)]


@pytest.mark.parametrize("share", [UNCLEAR - 0.01, 0.5, UNCLEAR])
def test_an_unclear_direction_is_undecided_both_ways_with_its_reason(share):
    direction = np.ones((N, N))
    direction[0, 1] = share
    verdict, reasons = decide(found({(0, 0, 1): 50.0}, direction=direction), alpha=0.05)
    if share < UNCLEAR:
        assert keys(verdict, UNDECIDED) == [(0, 0, 1), (0, 1, 0)]
        assert reasons == {(0, 0, 1): DIRECTION, (0, 1, 0): DIRECTION}
        assert keys(verdict) == []
    else:
        assert keys(verdict) == [(0, 0, 1)]
        assert reasons == {}


def test_a_clear_link_the_other_way_round_stays():
    direction = np.ones((N, N))
    direction[0, 1] = 0.5
    verdict, reasons = decide(found({(0, 0, 1): 50.0, (0, 1, 0): 50.0}, direction=direction), alpha=0.05)
    assert (keys(verdict), keys(verdict, UNDECIDED)) == ([(0, 1, 0)], [(0, 0, 1)])
    assert set(reasons) == {(0, 0, 1)}


def test_an_unclear_direction_leaves_lagged_links_of_the_pair_alone():
    direction = np.ones((N, N))
    direction[0, 1] = 0.5
    verdict, _ = decide(found({(0, 0, 1): 50.0, (1, 0, 1): 50.0, (2, 1, 0): 50.0}, direction=direction), alpha=0.05)
    assert keys(verdict) == [(1, 0, 1), (2, 1, 0)]


def test_insignificant_pairs_have_no_direction_to_be_unclear_about():
    direction = np.ones((N, N))
    direction[0, 1] = 0.5
    verdict, reasons = decide(found({(0, 0, 1): 50.0}, log_p=0.0, direction=direction), alpha=0.05)
    assert (verdict == NONE).all()
    assert reasons == {}


def test_decide_leaves_its_evidence_alone():
    evidence = found({(0, 0, 1): 50.0, (1, 1, 2): 1.0})
    before = [evidence.surplus.copy(), evidence.log_p.copy(), evidence.chosen.copy(), evidence.direction.copy()]
    decide(evidence, alpha=0.05)
    for array, copy in zip((evidence.surplus, evidence.log_p, evidence.chosen, evidence.direction), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_set_aside_opens_pairs_at_every_lag_linked_or_not():
    verdict, reasons = decide(found({(1, 0, 1): 50.0}), alpha=0.05)
    pairs = np.zeros((N, N), bool)
    pairs[0, 1] = pairs[2, 3] = True
    set_aside(verdict, reasons, pairs, "too few")
    assert keys(verdict) == []
    assert keys(verdict, UNDECIDED) == [(k, i, j) for k in range(3) for i, j in ((0, 1), (2, 3))]
    assert set(reasons.values()) == {"too few"}
    assert set(reasons) == set(keys(verdict, UNDECIDED))


def test_every_open_question_has_a_reason_and_nothing_else_has_one():
    direction = np.full((N, N), 0.5)
    verdict, reasons = decide(found({(0, 0, 1): 50.0, (0, 2, 3): 50.0}, direction=direction), alpha=0.05)
    set_aside(verdict, reasons, np.triu(np.ones((N, N), bool), 1), "too few")
    assert set(reasons) == set(keys(verdict, UNDECIDED))


@given(st.floats(20, 1e6), st.floats(1.0, 60.0), st.floats(0.5, 0.99))
def test_detectable_share_falls_with_rows_and_rises_with_penalty_and_power(rows, penalty, power):
    here = detectable_share(rows, penalty, power)
    assert 0 < here < 1
    assert detectable_share(1.5 * rows, penalty, power) < here < detectable_share(rows, 1.5 * penalty, power)
    assert here <= detectable_share(rows, penalty, min(power + 0.005, 0.999))


def test_detectable_share_is_what_it_says():
    """With this share the statistic -n ln(1 - r^2) exceeds its penalty nine times in ten."""
    rng = np.random.default_rng(0)
    rows, penalty = 800, 15.0
    share = detectable_share(rows, penalty)
    cause = rng.standard_normal((1500, rows))
    effect = np.sqrt(share) * cause + np.sqrt(1 - share) * rng.standard_normal(cause.shape)
    r2 = np.array([np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(cause, effect, strict=True)])
    assert np.mean(-rows * np.log1p(-r2) > penalty) == pytest.approx(0.9, abs=0.03)


def test_no_rows_detect_nothing():
    assert detectable_share(0.0, 15.0) == pytest.approx(1.0, abs=1e-6)
