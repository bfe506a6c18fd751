"""Moments of any rows from those of all rows: the same numbers, however they were come by."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rcgnn.screen import moments as moments_module
from rcgnn.screen.features import Offer, Tables, build, linear_columns, rows_of
from rcgnn.screen.gram import LEAST_SD, RIDGE, Beside, Dense, Gram, Less, Masked
from rcgnn.screen.moments import Moments, moments, sums

N, K, T = 4, 2, 90
PAIRS = tuple(combinations(range(N), 2))
GROUPS = np.array([[0, 3, 7], [5, 5, 1], [2, 8, 9]])


def table(draws: int = 2) -> Tables:
    x = np.random.default_rng(0).standard_normal((draws, T, N)) @ (np.eye(N) + 0.4)
    return build(x + 3.0, [slice(0, 50), slice(50, T)], max_lag=K, basis="nonlinear")


def rows(share: float) -> np.ndarray:
    return np.random.default_rng(1).random(len(table().at)) < share


def plainly(tables: Tables, keep: np.ndarray, offer: Offer) -> np.ndarray:
    """Covariances of every draw by NumPy, their mean brought to correlations."""
    second = covariances(tables, keep, offer)
    scale = np.sqrt(np.diag(second))
    return second / np.outer(scale, scale) + RIDGE * np.eye(len(scale))


def covariances(tables: Tables, keep: np.ndarray, offer: Offer) -> np.ndarray:
    return np.mean([np.cov(x, rowvar=False, bias=True) for x in rows_of(tables, keep, offer)], axis=0)


OFFERS = {
    "everything": Offer(),
    "plain values": Offer(columns=linear_columns(table())),
    "products": Offer(PAIRS[:3]),
    "a hidden driver": Offer(PAIRS[1:3], hidden=[np.random.default_rng(2).standard_normal((len(table().at), 1))] * 2),
}


@pytest.mark.parametrize("share", [1.0, 0.9, 0.2], ids=["all rows", "some left out", "few rows"])
@pytest.mark.parametrize("dense", [0, 1_000], ids=["by row", "as a matrix"])
@pytest.mark.parametrize("pooled", [True, False], ids=["products of all", "products of one"])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
def test_moments_are_numpys_whichever_way_they_are_counted(share, dense, pooled, offer, monkeypatch):
    monkeypatch.setattr(moments_module, "DENSE", dense)
    monkeypatch.setattr(moments_module, "_worth", lambda *_: pooled)
    monkeypatch.setattr(moments_module, "CHUNK", 700)
    tables, keep = table(), rows(share)
    features = Moments.of(tables, [offer, Offer(PAIRS, hidden=offer.hidden)]).features(keep, offer)
    found, expected = features.gram, plainly(tables, keep, offer)
    np.testing.assert_allclose(features.scale, 1.0 / np.sqrt(np.diag(covariances(tables, keep, offer))), rtol=1e-9)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-10)
    np.testing.assert_allclose(found.diagonal, np.diag(expected), atol=1e-10)
    np.testing.assert_allclose(found.rows(np.array([4, 0])), expected[[4, 0]], atol=1e-10)
    np.testing.assert_allclose(found.blocks(GROUPS), [expected[np.ix_(g, g)] for g in GROUPS], atol=1e-10)


def test_what_is_made_by_row_is_made_by_row(monkeypatch):
    keep = rows(0.9)
    assert isinstance(moments(table(), keep).gram, Dense)
    monkeypatch.setattr(moments_module, "DENSE", 10)
    found = moments(table(), keep).gram
    assert isinstance(found, Less)
    assert len(found.out) == 2 * (~keep).sum()


def test_targets_share_the_sums_over_all_rows(monkeypatch):
    monkeypatch.setattr(moments_module, "DENSE", 10)
    bank = Moments.of(table())
    assert all(bank.features(rows(share)).gram.total is bank.every.second for share in (0.9, 0.8))


@pytest.mark.parametrize("dense", [0, 1_000])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.3])
def test_a_sensor_that_only_moves_where_it_does_not_count_is_a_constant(dense, share, monkeypatch):
    monkeypatch.setattr(moments_module, "DENSE", dense)
    keep = rows(share)
    x = np.random.default_rng(3).standard_normal((1, T, N))
    tables = build(x, [slice(0, T)], max_lag=0, basis="linear")
    keep = np.arange(T) < share * T
    tables.draws[0][keep, 2] = 0.5
    gram = moments(tables, keep).gram
    assert gram.diagonal[2] == RIDGE
    np.testing.assert_array_equal(gram.rows(np.array([2]))[0], RIDGE * np.eye(N)[2])
    assert LEAST_SD < 1e-3


def test_chunks_of_rows_add_up(monkeypatch):
    every = np.arange(len(table().at))
    whole = sums(table(), every, Offer(PAIRS))
    monkeypatch.setattr(moments_module, "CHUNK", 1)
    row_by_row = sums(table(), every, Offer(PAIRS))
    np.testing.assert_allclose(row_by_row.second, whole.second, rtol=1e-12)
    np.testing.assert_allclose(row_by_row.first, whole.first, rtol=1e-12)


def test_products_of_all_are_counted_where_that_costs_less():
    tables = table()
    shared, own = [Offer(PAIRS)] * N, [Offer(PAIRS[:1])] + [Offer()] * (N - 1)
    assert Moments.of(tables, shared).pool == PAIRS
    assert Moments.of(tables, own).pool == ()


@pytest.mark.parametrize("inside", [Dense, "less"])
def test_what_is_masked_has_no_moments_with_anything(inside, monkeypatch):
    monkeypatch.setattr(moments_module, "DENSE", 1_000 if inside is Dense else 0)
    whole = moments(table(), rows(0.9)).gram
    may = np.arange(len(whole.diagonal)) % 3 > 0
    expected = np.where(np.outer(may, may), whole.matrix, 0.0)
    np.fill_diagonal(expected, np.where(may, 1.0 + RIDGE, RIDGE))
    found: Gram = Masked(whole, may)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-12)
    np.testing.assert_allclose(found.diagonal, np.diag(expected))
    np.testing.assert_allclose(found.rows(np.array([3, 4])), expected[[3, 4]], atol=1e-12)
    np.testing.assert_allclose(found.blocks(GROUPS), [expected[np.ix_(g, g)] for g in GROUPS], atol=1e-12)


def test_rows_left_out_are_read_again_when_they_are_no_longer_at_hand(monkeypatch):
    monkeypatch.setattr(moments_module, "DENSE", 10)
    bank = Moments.of(table())
    bank.shelf.room = 1.0
    one, two = (bank.features(rows(share)).gram for share in (0.9, 0.8))
    before = one.matrix
    assert len(bank.shelf.kept) == 1
    assert two.matrix.shape == before.shape
    np.testing.assert_array_equal(one.matrix, before)
    assert len(bank.shelf.kept) == 1


def test_products_of_one_target_stand_beside_moments_that_all_share(monkeypatch):
    monkeypatch.setattr(moments_module, "_worth", lambda *_: False)
    keep = np.ones(len(table().at), bool)
    found = Moments.of(table(), [Offer(PAIRS)]).features(keep, Offer(PAIRS)).gram
    assert isinstance(found, Beside)
    assert found.cross.shape == (table().plain, len(PAIRS) * K)


def test_moments_that_are_forgotten_leave_nothing_to_their_successors(monkeypatch):
    monkeypatch.setattr(moments_module, "DENSE", 10)
    bank = Moments.of(table())
    for share in np.linspace(0.6, 0.95, 12):  # each is gone before the next is made
        keep = rows(share)
        np.testing.assert_allclose(bank.features(keep).gram.rows(np.array([3]))[0], plainly(table(), keep, Offer())[3], atol=1e-10)


@pytest.mark.parametrize("dense", [0, 1_000])
def test_a_curve_that_is_constant_where_it_counts_is_no_feature_by_rounding(dense, monkeypatch):
    """A switch that is on in .06 of 100,000 rows, and a target that was read only then: the third power is 43 there."""
    monkeypatch.setattr(moments_module, "DENSE", dense)
    on = np.random.default_rng(0).random(100_000) < 0.06
    x = np.stack([on, np.random.default_rng(1).standard_normal(100_000)], axis=1)
    tables = build(x[None], [slice(0, 100_000)], max_lag=0, basis="nonlinear")
    gram = moments(tables, on).gram
    assert gram.diagonal[[0, 2, 4]].tolist() == [RIDGE] * 3
    assert gram.diagonal[1] == 1.0 + RIDGE


def test_what_two_targets_leave_out_together_is_what_one_leaves_out_and_the_rest(monkeypatch):
    """The second looks at few rows more; moments are the same, and what leaves out fewer rows, or other features, is not built on it."""
    tables, read = table(), np.stack([rows(0.9), np.random.default_rng(4).random(len(table().at)) < 0.8], axis=1)
    both, few = read.all(axis=1), Offer(PAIRS, columns=np.r_[0:9, 40:45])
    bank = Moments.of(tables, [Offer(PAIRS)] * N)
    looked_at = []
    plain = moments_module.sums
    monkeypatch.setattr(moments_module, "sums", lambda tables, rows, offer: looked_at.append(len(rows)) or plain(tables, rows, offer))
    one, two, every = read[:, 0], read[:, 1], Offer(PAIRS)
    for keep, offer in [(one, Offer(PAIRS[:2])), (one, every), (two, every), (both, few), (both, every), (one, few)]:
        expected = plainly(tables, keep, offer)
        np.testing.assert_allclose(bank.features(keep, offer).gram.matrix, expected, atol=1e-10)
    out, more = (~one).sum(), (~two).sum()
    assert looked_at == [out, out, more, (~both).sum() - more, (~both).sum() - more, 0]
    assert [left.rows for left in bank.left] == [out, out, more, (~both).sum()]
    bank.features(both, every)
    assert len(bank.left) == 4, "the same rows again"
    monkeypatch.setattr(moments_module, "MOST_KEPT", bank.left[1].sums.second.size)
    scarce = Moments.of(tables, [Offer(PAIRS)] * N)
    for keep in read.T:
        scarce.features(keep, Offer(PAIRS))
    assert len(scarce.left) == 1
