from __future__ import annotations

import pytest
import torch

from rcgnn.errors import InputError
from rcgnn.model.structure import Structure, allowed_links


def make(candidates, order=None, regimes=1, start=None):
    return Structure(candidates, order, regimes, start, torch.Generator().manual_seed(0))


def test_weights_live_on_candidates_only_and_never_on_the_diagonal():
    candidates = torch.zeros(3, 4, 4, dtype=torch.bool)
    candidates[2, 0, 3] = candidates[1, 2, 1] = candidates[1, 2, 2] = True
    structure = make(candidates, regimes=2)
    with torch.no_grad():
        structure.base.fill_(1.0)
        structure.deltas.fill_(0.5)
    weights = structure.weights()
    assert weights.shape == (2, 3, 4, 4)
    assert weights[0].nonzero().tolist() == [[1, 2, 1], [2, 0, 3]]
    assert structure.edges.T.tolist() == [[1, 2, 1], [2, 0, 3]]
    assert structure.pairs.nonzero().tolist() == [[0, 3], [2, 1]]


def test_same_step_links_follow_the_order():
    order = torch.tensor([2, 0, 1])
    allowed = allowed_links(torch.ones(2, 3, 3, dtype=torch.bool), order)
    assert allowed[0].nonzero().tolist() == [[0, 1], [2, 0], [2, 1]]
    assert allowed[1].sum() == 6


def test_without_an_order_same_step_candidates_stay():
    assert allowed_links(torch.ones(2, 3, 3, dtype=torch.bool), None)[0].sum() == 6


def test_what_was_given_is_not_changed():
    candidates = torch.ones(2, 3, 3, dtype=torch.bool)
    start = torch.ones(2, 3, 3)
    structure = make(candidates, torch.tensor([0, 1, 2]), start=start)
    with torch.no_grad():
        structure.base.zero_()
    assert candidates.all()
    assert (start == 1).all()


def test_first_weights_are_small_and_open():
    base = make(torch.ones(4, 13, 13, dtype=torch.bool)).base
    used = base[base != 0]
    assert len(used) == 4 * 13 * 12
    assert 0.02 < used.abs().mean() < 0.08


def test_one_regime_has_no_deviation_to_train():
    assert not make(torch.ones(2, 2, 2, dtype=torch.bool)).deltas.requires_grad
    assert make(torch.ones(2, 2, 2, dtype=torch.bool), regimes=2).deltas.requires_grad


@pytest.mark.parametrize(
    ("candidates", "order", "start", "said"),
    [
        (torch.ones(3, 3), None, None, r"must be \[K\+1, N, N\]"),
        (torch.ones(2, 3, 3), torch.tensor([0, 0, 1]), None, "list every sensor 0..2 once"),
        (torch.ones(2, 3, 3), None, torch.ones(3, 3), "first weights"),
    ],
)
def test_mistakes_are_named(candidates, order, start, said):
    with pytest.raises(InputError, match=said):
        make(candidates, order, start=start)
