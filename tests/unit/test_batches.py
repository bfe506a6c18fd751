import numpy as np
import pytest
import torch

from rcgnn.data.windows import Windows
from rcgnn.series import Series
from rcgnn.train.batches import HIDDEN_SHARE, Batches, Quarantine, hide

CPU = torch.device("cpu")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def series() -> Series:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 3))
    values[rng.random((400, 3)) < 0.2] = np.nan
    return Series.of(values)


def windows(series, rows=None) -> Windows:
    return Windows.of(series, length=12, stride=None, max_lag=2, rows=np.ones(len(series.values), bool) if rows is None else rows)


def everything(data, size, epoch=0, keep=None):
    keep = torch.ones(len(data), dtype=torch.bool) if keep is None else keep
    return list(data.epoch(size, keep, seeded(epoch), seeded(100 + epoch)))


def test_unobserved_cells_hold_zero_and_nothing_is_nan(series):
    data = Batches.of(windows(series), CPU)
    assert data.values.dtype == torch.float32
    assert torch.isfinite(data.values).all()
    assert (data.values[~data.mask] == 0).all()
    assert data.observed_share == pytest.approx(windows(series).mask.mean())


def test_the_windows_are_not_changed(series):
    given = windows(series)
    before = np.array(given.values)
    data = Batches.of(given, CPU)
    data.values.add_(1.0)
    assert np.array_equal(given.values, before)


def test_an_epoch_visits_every_window_once(series):
    data = Batches.of(windows(series), CPU)
    index = torch.cat([index for index, _ in everything(data, 7)])
    assert len(index.unique()) == len(index)
    assert len(index) >= len(data) - 3
    assert torch.equal(torch.cat([i for i, _ in everything(data, 1)]).sort().values, torch.arange(len(data)))


def test_batches_hold_the_windows_they_name(series):
    data = Batches.of(windows(series), CPU)
    for index, batch in everything(data, 8):
        assert torch.equal(batch.values, data.values[index])
        assert torch.equal(batch.mask, data.mask[index])


def test_a_small_last_batch_is_dropped_but_never_the_only_one(series):
    data = Batches.of(windows(series), CPU)
    sizes = [len(i) for i, _ in everything(data, len(data) - 1)]
    assert sizes == [len(data) - 1]
    assert [len(i) for i, _ in everything(data, 10 * len(data))] == [len(data)]


def test_same_generator_same_epoch_other_epoch_other_order(series):
    data = Batches.of(windows(series), CPU)
    first, again, other = (everything(data, 8, epoch) for epoch in (1, 1, 2))
    assert all(torch.equal(a, b) and torch.equal(x.hidden, y.hidden) for (a, x), (b, y) in zip(first, again, strict=True))
    assert any(not torch.equal(a, b) for (a, _), (b, _) in zip(first, other, strict=True))


def test_hidden_cells_are_observed_and_about_a_tenth(series):
    data = Batches.of(windows(series), CPU)
    hidden = torch.cat([batch.hidden for _, batch in everything(data, 8)])
    mask = torch.cat([batch.mask for _, batch in everything(data, 8)])
    assert not (hidden & ~mask).any()
    assert float(hidden.sum() / mask.sum()) == pytest.approx(HIDDEN_SHARE, abs=0.03)
    assert not hide(mask, 0.0, seeded(0)).any()


def test_blocks_follow_gaps_between_windows(series):
    rows = np.zeros(400, bool)
    rows[50:100] = rows[200:260] = rows[350:400] = True
    blocks = Batches.of(windows(series, rows), CPU).blocks(5)
    assert [int(b.start[0]) for b in blocks] == [50, 200, 350]
    assert sum(len(b) for b in blocks) == len(windows(series, rows))


def test_one_run_is_cut_into_the_least_number(series):
    data = Batches.of(windows(series), CPU)
    assert len(data.blocks(5)) == 5
    assert [len(b) for b in data.part(0, 2).blocks(5)] == [1, 1]
    assert data.part(0, 0).blocks(5) == []


def test_chunks_give_every_row_once(series):
    data = Batches.of(windows(series), CPU)
    cells = torch.cat([cells for _, cells in data.chunks(7)])
    assert int(cells.sum()) == int(series.mask[2:].sum())


def test_quarantine_of_an_unreadable_cell_is_for_good(series):
    data, quarantine = Batches.of(windows(series), CPU), Quarantine(len(windows(series)))
    data.values[5, 3, 1] = float("nan")
    data.mask[5, 3, 1] = True
    index = torch.tensor([4, 5, 6])
    quarantine.add(index, data.take(index), epoch=1)
    assert (~quarantine.keep(1000)).nonzero().flatten().tolist() == [5]
    assert quarantine.count(2) == 1
    assert 5 not in torch.cat([i for i, _ in everything(data, 8, keep=quarantine.keep(2))])


def test_quarantine_of_readable_windows_never_empties_the_table(series):
    data, quarantine = Batches.of(windows(series), CPU), Quarantine(len(windows(series)))
    index = torch.arange(len(data) * 3 // 4)
    quarantine.add(index, data.take(index), epoch=3)
    assert quarantine.keep(4).all()
    assert quarantine.count(4) == 0


def test_quarantine_of_readable_windows_lasts_one_epoch(series):
    data, quarantine = Batches.of(windows(series), CPU), Quarantine(len(windows(series)))
    index = torch.tensor([4, 5, 6])
    quarantine.add(index, data.take(index), epoch=3)
    assert quarantine.count(4) == 3
    assert quarantine.keep(5).all()
