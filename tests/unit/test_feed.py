import math

import pytest
import torch

from rcgnn.train.feed import Feed, compared


def windows(rows=12, count=6, seed=0):
    values = torch.randn(count, rows, 2, generator=torch.Generator().manual_seed(seed))
    return values, torch.ones_like(values, dtype=torch.bool)


def test_the_way_into_batches_does_not_matter():
    values, mask = windows()
    mask[2, 3:, 1] = False
    whole, parts = Feed.of(values, mask), Feed.of(values[:1], mask[:1]).plus(Feed.of(values[1:], mask[1:]))
    for name in vars(whole):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


@pytest.mark.parametrize("factor", [1e3, 1e-2])
def test_a_unit_change_is_its_logarithm(factor):
    values, mask = windows()
    usual, now = Feed.of(values, mask), Feed.of(values * torch.tensor([factor, 1.0]), mask)
    assert now.shift(usual)[0].item() == pytest.approx(math.log(factor), abs=0.4)
    assert now.shift(usual)[1].item() == 0


def test_a_sensor_that_stands_still_is_named_only_where_it_moves_otherwise():
    values, mask = windows()
    usual = Feed.of(values, mask)
    stopped = torch.where(torch.tensor([True, False]), torch.tensor(0.5), values)
    assert Feed.of(stopped, mask).still(usual).tolist() == [True, False]
    assert Feed.of(stopped, mask).still(Feed.of(stopped, mask)).tolist() == [False, False]
    assert Feed.of(stopped[:1], mask[:1]).still(usual).tolist() == [False, False]  # 11 pairs: too few to tell


def test_cells_that_were_not_read_say_nothing():
    values, mask = windows()
    usual = Feed.of(values, mask)
    mask = mask & torch.tensor([False, True])
    now = Feed.of(values * 1e6, mask)
    assert now.shift(usual)[0].item() == 0
    assert not now.still(usual)[0]


def test_without_a_batch_there_is_nothing_to_compare():
    values, mask = windows()
    usual = Feed.of(values, mask)
    assert compared(None, usual, ("pump", "flow")) == {}
    assert compared(usual, usual, ("pump", "flow")) == {"feed_shift": {"pump": 0.0, "flow": 0.0}, "feed_still": []}


def test_a_sensor_that_hardly_ever_moves_may_stand_still():
    """All its changes in one window of forty, which an epoch may leave out."""
    values, mask = windows(count=40)
    rare = values.clone()
    rare[1:, :, 0] = 0.5
    rare[0, :, 0] = torch.arange(12.0)
    usual = Feed.of(rare, mask).plus(Feed.of(rare, mask)).plus(Feed.of(rare, mask))
    assert Feed.of(rare[1:].repeat(3, 1, 1), mask[1:].repeat(3, 1, 1)).still(usual).tolist() == [False, False]
