from itertools import pairwise

import pytest
import torch

from rcgnn.config import TrainConfig
from rcgnn.train.schedule import SCHEDULES, make_schedule


def rates(schedule, steps):
    seen = []
    for _ in range(steps):
        seen.append(schedule.lr)
        schedule.step()
    return seen


def test_cosine_warms_up_peaks_once_and_falls():
    seen = rates(make_schedule(TrainConfig(lr=1e-2), total=100), 100)
    assert seen[0] == pytest.approx(1e-3)
    assert max(seen) == seen[9] == pytest.approx(1e-2)
    assert all(a > b for a, b in pairwise(seen[10:]))
    assert seen[-1] == pytest.approx(2e-4, rel=0.1)


def test_cosine_survives_one_step_and_more_steps_than_planned():
    assert all(0 < lr <= 5e-3 for lr in rates(make_schedule(TrainConfig(), total=1), 5))
    assert all(0 < lr <= 5e-3 for lr in rates(make_schedule(TrainConfig(), total=0), 5))


def test_plateau_equals_torch():
    ours = make_schedule(TrainConfig(lr=1.0, schedule="plateau"), total=10)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3, cooldown=1)
    losses = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.99999, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9]
    for loss in losses:
        ours.evaluated(loss)
        theirs.step(loss)
        assert ours.lr == optimizer.param_groups[0]["lr"]
    assert ours.lr < 1.0


def test_constant_changes_only_by_a_cut():
    schedule = make_schedule(TrainConfig(lr=1.0, schedule="constant"), total=10)
    assert set(rates(schedule, 20)) == {1.0}
    schedule.cut(0.5)
    assert set(rates(schedule, 20)) == {0.5}


@pytest.mark.parametrize("name", SCHEDULES)
def test_resumed_schedule_goes_on_exactly(name):
    first = make_schedule(TrainConfig(schedule=name), total=40)
    for i in range(17):
        first.step()
        first.evaluated(1.0 + i % 3)
    first.cut(0.5)
    second = make_schedule(TrainConfig(schedule=name), total=40)
    second.load_state_dict(first.state_dict())
    for i in range(30):
        first.evaluated(2.0 + i % 2)
        second.evaluated(2.0 + i % 2)
        assert first.lr == second.lr
        first.step()
        second.step()
