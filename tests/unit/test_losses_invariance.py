from __future__ import annotations

import pytest
import torch

from rcgnn.losses.invariance import invariance

OFF = ~torch.eye(3, dtype=torch.bool)


def test_no_deviation_costs_nothing():
    assert invariance(torch.zeros(4, 2, 3, 3), OFF) == 0


def test_mean_over_regimes_and_pairs_of_the_energy_over_lags():
    deltas = torch.zeros(2, 3, 3, 3)
    deltas[0, :, 0, 1] = torch.tensor([1.0, 2.0, 2.0])
    deltas[1, 1, 2, 1] = 3.0
    assert invariance(deltas, OFF).item() == pytest.approx((9 + 9) / (2 * 6))


def test_pairs_that_are_no_candidates_do_not_count():
    deltas = torch.ones(2, 3, 3, 3)
    only = torch.zeros(3, 3, dtype=torch.bool)
    only[0, 1] = True
    assert invariance(deltas, only) == 3
    assert invariance(deltas, only & False) == 0
