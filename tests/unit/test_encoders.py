from __future__ import annotations

import pytest
import torch

from rcgnn.config import ModelConfig
from rcgnn.model.encoders import TAPS, BiasEncoder, MaskedFilter, SensorLinear, SignalEncoder, causal_kernel, noise_scale, past_rows

N, B, L = 4, 3, 20


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def readings(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = seeded(seed)
    visible = (torch.rand(N, B, L, generator=g) > 0.3).float()
    return torch.randn(N, B, L, generator=g) * visible, visible


def shaken(module: torch.nn.Module, seed: int = 5) -> torch.nn.Module:
    """Parameters away from their quiet start, so that no path hides behind a zero."""
    g = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=g))
    return module


def encode(module, reading, visible):
    if isinstance(module, SignalEncoder):
        return torch.cat([module(reading, visible).signal[..., None], module(reading, visible).context], dim=-1)
    out = module(reading, visible)
    return out[0] if isinstance(out, tuple) else out


MODULES = {
    "signal": lambda: shaken(SignalEncoder(N, ModelConfig(), seeded())),
    "bias": lambda: shaken(BiasEncoder(N, 100)),
    "filter": lambda: shaken(MaskedFilter(N)),
}


@pytest.mark.parametrize("name", MODULES)
def test_each_sensor_reads_itself_only(name):
    module = MODULES[name]()
    reading, visible = readings()
    before = encode(module, reading, visible)
    for other in range(N):
        changed = reading.clone()
        changed[other] += 3.0 * visible[other]
        moved = (encode(module, changed, visible) != before).flatten(1).any(1)
        assert moved.nonzero().flatten().tolist() == [other]


@pytest.mark.parametrize("name", MODULES)
def test_nothing_reads_the_future(name):
    module = MODULES[name]()
    reading, visible = readings()
    later = reading.clone()
    later[..., 12:] += 3.0 * visible[..., 12:]
    before, after = encode(module, reading, visible), encode(module, later, visible)
    assert torch.equal(before[:, :, :12], after[:, :, :12])
    assert not torch.equal(before[:, :, 12:], after[:, :, 12:])


def test_expectation_and_context_do_not_read_their_own_row():
    encoder = MODULES["signal"]()
    reading, visible = readings()
    later = reading.clone()
    later[..., 12:] += 3.0 * visible[..., 12:]
    a, b = encoder(reading, visible), encoder(later, visible)
    assert torch.equal(a.expected[..., :13], b.expected[..., :13])
    assert torch.equal(a.context[:, :, :13], b.context[:, :, :13])
    assert not torch.equal(a.expected[..., 13], b.expected[..., 13])


def test_signal_starts_as_the_reading():
    reading, visible = readings()
    signal = SignalEncoder(N, ModelConfig(), seeded())(reading, visible).signal
    seen = visible.bool()
    assert (signal - reading)[seen].abs().max() < 0.1
    assert signal[~seen].abs().sum() > 0


def test_filter_fades_with_the_age_of_the_last_reading():
    reading = torch.zeros(1, 1, 10)
    reading[..., 0] = 1.0
    visible = reading.clone()
    mean, reliability = MaskedFilter(1)(reading, visible)
    assert (torch.diff(mean[0, 0, 1:]) < 0).all()
    assert mean[0, 0, 0] == 0
    assert torch.equal(mean, reliability)
    assert 0 < reliability.max() < 1


def test_past_rows_end_just_before_the_row():
    x = torch.arange(1.0, 11.0).view(1, 1, 10)
    past = past_rows(x)
    assert past.shape == (1, 1, 10, TAPS)
    assert past[0, 0, 0].tolist() == [0.0] * TAPS
    assert past[0, 0, 9].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]


def test_bias_is_slow_and_needs_many_readings():
    bias = BiasEncoder(1, 100)
    with torch.no_grad():
        bias.amount.fill_(20.0)
    ones = torch.ones(1, 1, 400)
    level = bias(ones, ones)[0, 0].detach()
    assert level[0] < 0.011
    assert level[-1].item() == pytest.approx(0.5, abs=0.02)
    flicker = bias((-1.0) ** torch.arange(400).view(1, 1, -1), ones)
    assert flicker.abs().max() < 0.011
    assert bias(ones * 0, ones * 0).abs().max() == 0


def test_kernel_matches_its_formula():
    kernel = causal_kernel(torch.tensor([0.5, 0.9]).log(), 6, skip=1)
    for g, matrix in zip((0.5, 0.9), kernel, strict=True):
        expected = [[g ** (t - s - 1) if t > s else 0.0 for t in range(6)] for s in range(6)]
        assert torch.allclose(matrix, torch.tensor(expected))


def test_noise_scale_inverts_the_steady_state_filter():
    """A random walk (step sd 1) read with noise sd 2 through its own optimal gain gives back 2."""
    q, r = 1.0, 4.0
    p = (q + (q * q + 4 * q * r) ** 0.5) / 2
    gain = p / (p + r)
    g = seeded()
    walk = torch.cumsum(torch.randn(20000, generator=g), 0)
    read = walk + 2.0 * torch.randn(20000, generator=g)
    state, residual = read[0].item(), []
    for x in read.tolist():
        state += gain * (x - state)
        residual.append(x - state)
    noise = torch.tensor(residual).view(1, 1, -1)
    scale = noise_scale(noise, torch.ones_like(noise), torch.tensor([[[gain]]]))
    assert scale.item() == pytest.approx(2.0, rel=0.03)
    assert noise_scale(noise, torch.zeros_like(noise), torch.tensor([[[gain]]])).item() == pytest.approx(1e-3)


def test_sensor_linear_is_one_affine_map_per_sensor():
    layer = SensorLinear(N, 3, 2, seeded())
    with torch.no_grad():
        layer.offset.normal_(generator=seeded(2))
    x = torch.randn(N, B, L, 3, generator=seeded(1))
    expected = torch.stack([x[n] @ layer.weight[n] + layer.offset[n] for n in range(N)])
    assert torch.allclose(layer(x), expected, atol=1e-6)
    assert not SensorLinear(N, 3, 2).weight.any()
    assert len(list(SensorLinear(N, 3, 2, offset=False).parameters())) == 1
