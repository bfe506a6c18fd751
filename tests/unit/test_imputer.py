from __future__ import annotations

import torch

from rcgnn.model.imputer import Imputer

N, B, L, K = 3, 2, 12, 2


def parts(seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    visible = (torch.rand(N, B, L, generator=g) > 0.4).float()
    reading = torch.randn(N, B, L, generator=g) * visible
    ahead = (torch.randn(N, B, L, generator=g), torch.rand(N, B, L, generator=g))
    return reading, visible, ahead, torch.randn(N, B, L - K, generator=g)


def test_result_lies_between_its_estimates():
    reading, visible, ahead, forecast = parts()
    imputer = Imputer(N)
    back, _ = imputer.backward_filter(reading.flip(2), visible.flip(2))
    out = imputer(reading, visible, ahead, forecast)[..., K:]
    three = torch.stack([ahead[0][..., K:], back.flip(2)[..., K:], forecast])
    assert (out >= three.min(0).values - 1e-6).all()
    assert (out <= three.max(0).values + 1e-6).all()


def test_the_first_rows_have_no_forecast():
    reading, visible, ahead, forecast = parts()
    imputer = Imputer(N)
    changed = imputer(reading, visible, ahead, forecast + 10) - imputer(reading, visible, ahead, forecast)
    assert not changed[..., :K].any()
    assert (changed[..., K:] > 0).all()


def test_after_a_gap_the_end_is_known_from_behind():
    """The backward filter reads rows > t: a reading after the gap moves the cells inside it."""
    reading, visible = torch.zeros(N, B, L), torch.zeros(N, B, L)
    visible[..., 8] = 1.0
    ahead, forecast = (torch.zeros(N, B, L), torch.zeros(N, B, L)), torch.zeros(N, B, L - K)
    imputer = Imputer(N)
    reading[..., 8] = 1.0
    out = imputer(reading, visible, ahead, forecast)
    assert (torch.diff(out[..., 2:8]) > 0).all()
    assert not out[..., 8:].any()


def test_only_the_trusted_estimate_counts():
    reading, visible, ahead, forecast = parts()
    imputer = Imputer(N)
    with torch.no_grad():
        imputer.trust[:] = torch.tensor([-80.0, -80.0, 5.0])[:, None]
    assert torch.allclose(imputer(reading, visible, ahead, forecast)[..., K:], forecast, atol=1e-5)


def test_sensors_do_not_meet():
    reading, visible, ahead, forecast = parts()
    imputer = Imputer(N)
    before = imputer(reading, visible, ahead, forecast)
    forecast[1] += 1.0
    reading[1] += visible[1]
    moved = (imputer(reading, visible, ahead, forecast) != before).flatten(1).any(1)
    assert moved.tolist() == [False, True, False]
