from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from rcgnn.numerics import generator, group_norm, masked_mean, pseudo_huber, repeatable, rng, rounded, row_sum_norm, spectral_radius, stream

FLOATS = st.floats(-1e30, 1e30)


def test_streams_differ_by_seed_purpose_and_epoch():
    seeds = [stream(s, p, e) for s in (0, 1) for p in ("a", "b") for e in (0, 1)]
    assert len(set(seeds)) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_stream_is_the_same_in_every_process():
    """A number fixed here once: Python's own `hash` changes with the process and would fail."""
    code = "from rcgnn.numerics import stream; print(stream(1337, 'batches', 3))"
    outputs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout for _ in range(2)}
    assert outputs == {f"{stream(1337, 'batches', 3)}\n"}


def test_numpy_side_does_not_load_torch():
    code = "import sys; from rcgnn.numerics import rng; rng(0, 'x').random(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_generators_repeat():
    assert np.array_equal(rng(1, "x", 2).random(3), rng(1, "x", 2).random(3))
    assert torch.equal(torch.rand(3, generator=generator(1, "x", 2)), torch.rand(3, generator=generator(1, "x", 2)))
    assert not torch.equal(torch.rand(3, generator=generator(1, "x", 2)), torch.rand(3, generator=generator(1, "x", 3)))


def test_masked_mean_ignores_what_it_must_not_see():
    x = torch.tensor([[1.0, float("nan")], [3.0, float("inf")]], requires_grad=True)
    mean = masked_mean(x, torch.tensor([[True, False], [True, False]]), 0)
    assert mean.tolist() == [2.0, 0.0]
    mean.sum().backward()
    assert x.grad.tolist() == [[0.5, 0.0], [0.5, 0.0]]


@given(FLOATS, st.sampled_from([0.5, 2.0, 10.0]))
def test_pseudo_huber_and_its_two_bounds(value, delta):
    assume(value == 0 or abs(value) > 1e-150)  # below, squares lose their digits
    r = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    rho = pseudo_huber(r, delta)
    rho.backward()
    slope = abs(r.grad.item())
    assert slope <= min(abs(value), delta) * (1 + 1e-9)
    assert slope**2 <= 2 * rho.item() * (1 + 1e-9)
    assert 0 <= rho.item() <= min(0.5 * value**2, delta * abs(value)) * (1 + 1e-9)


def test_pseudo_huber_does_not_cancel_for_small_residuals():
    r = torch.tensor([1e-6, 1e-4], dtype=torch.float32)
    assert torch.allclose(pseudo_huber(r, 2.0), 0.5 * r.double().square(), rtol=1e-6)


def test_group_norm_has_zero_gradient_at_zero_and_holds_large_numbers():
    w = torch.zeros(3, 2, requires_grad=True)
    group_norm(w, 0).sum().backward()
    assert w.grad.tolist() == [[0.0, 0.0]] * 3
    assert group_norm(torch.full((4,), 1e30), 0).item() == pytest.approx(2e30)


@pytest.mark.parametrize("size", [1, 5, 40])
def test_spectral_radius_is_exactly_zero_without_a_cycle(size):
    g = torch.Generator().manual_seed(size)
    perm = torch.randperm(size, generator=g)
    matrix = torch.triu(torch.randn(size, size, generator=g), 1)[perm][:, perm]
    assert spectral_radius(1e20 * matrix) == 0.0


def test_spectral_radius_agrees_with_numpy_at_any_scale():
    matrix = torch.randn(7, 7, generator=torch.Generator().manual_seed(0))
    expected = np.abs(np.linalg.eigvals(matrix.double().numpy())).max()
    for scale in (1e-30, 1.0, 1e30):
        assert spectral_radius(scale * matrix) == pytest.approx(scale * expected, rel=1e-5)
    assert spectral_radius(matrix) <= row_sum_norm(matrix)


def precision() -> tuple[bool, bool, str]:
    fixed = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return *fixed, torch.get_float32_matmul_precision()


@pytest.mark.parametrize(("asked", "there"), [("float32", "highest"), ("tf32", "high")])
def test_a_cuda_block_is_repeatable_and_as_precise_as_asked_and_leaves_no_trace(asked, there, monkeypatch):
    """No device is needed to see the switches; tests/e2e/test_cuda.py sees what they do."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("medium")  # as another program may have left it
    try:
        before = precision()
        with repeatable(torch.device("cuda"), asked):
            assert precision() == (True, True, there)
        assert precision() == before
        with repeatable(torch.device("cpu"), asked):
            assert precision() == before
        with pytest.raises(KeyError), repeatable(torch.device("cuda"), asked):
            raise KeyError
        assert precision() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_products_of_32_bit_matrices_are_rounded_where_asked_and_those_of_64_bits_never():
    a = torch.full((2, 2), 1.0 + 2.0**-10)
    exact = a @ a
    with rounded(torch.device("cpu"), "bf16"):
        assert (a @ a).dtype == torch.bfloat16
        assert (a.double() @ a.double()).dtype == torch.float64
        assert not torch.equal((a @ a).float(), exact)
    for precision in ("float32", "tf32"):
        with rounded(torch.device("cpu"), precision):
            torch.testing.assert_close(a @ a, exact, rtol=0, atol=0)
