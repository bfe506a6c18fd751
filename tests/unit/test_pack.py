"""Nested values as a file and back: nothing changes, not even the order of axes in memory, and nothing unknown is ever made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from rcgnn.health import Finding, HealthRecord, LossHealth
from rcgnn.pack import kinds, pack, unpack


@dataclass(frozen=True)
class Inner:
    draws: np.ndarray
    later: int = field(default=0, init=False)


@dataclass(frozen=True)
class Outer:
    inner: Inner
    names: tuple[str, ...]
    parents: frozenset[int]


KNOWN = kinds(Inner, Outer, Finding, HealthRecord)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(values)
def test_plain_values_come_back_as_they_were(value):
    found = unpack(pack(value, {}), {})
    assert found == value
    assert repr(found) == repr(value)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_an_array_keeps_the_order_of_its_axes_in_memory(axes):
    array = np.random.default_rng(0).normal(size=(3, 4, 5)).transpose(axes)
    found = unpack(pack([array, array], {}), {})
    assert np.array_equal(found[0], array)
    assert found[0].strides == array.strides
    assert found[0] is found[1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8, np.bool_])
def test_types_shapes_and_flags(dtype):
    for shape in [(), (0,), (2, 0, 3), (4,)]:
        array = np.ones(shape, dtype)
        array.setflags(write=False)
        found = unpack(pack(array, {}), {})
        assert (found.dtype, found.shape, found.flags.writeable) == (array.dtype, shape, False)
    one = unpack(pack(dtype(1), {}), {})
    assert (type(one), one) == (dtype, dtype(1))


def test_a_view_that_only_itself_is_frozen_stays_one():
    base = np.zeros(4)
    view = base[:]
    view.setflags(write=False)
    found = unpack(pack(view, {}), {})
    assert not found.flags.writeable
    assert found.base.flags.writeable


def test_objects_models_and_tensors():
    value = Outer(Inner(np.arange(3.0)), ("a", "Öl 🚰"), frozenset({3, 1}))
    found = unpack(pack(value, KNOWN), KNOWN)
    assert (type(found), found.names, found.parents, found.inner.draws.tolist()) == (Outer, value.names, value.parents, [0.0, 1.0, 2.0])
    finding = Finding(code="A", severity="warn", message="m", evidence={"pair": (1, 2), "x": 0.1})
    record = HealthRecord(epoch=1, step=2, lr=0.1, seed=1, loss=LossHealth(train=1 / 3), diagnoses=[finding])
    assert unpack(pack(record, KNOWN), KNOWN) == record
    state = {"w": torch.arange(6.0).reshape(2, 3).T, "step": torch.tensor(4.0)}
    again = unpack(pack(state, {}), {})
    assert all(torch.equal(again[name], state[name]) and again[name].dtype == state[name].dtype for name in state)
    assert math.isnan(unpack(pack(float("nan"), {}), {}))


def test_what_is_unknown_is_neither_packed_nor_made():
    value = Outer(Inner(np.zeros(1)), (), frozenset())
    with pytest.raises(TypeError, match="Inner is not among"):
        pack(value, kinds(Outer))
    with pytest.raises(TypeError, match="object is not among"):
        pack([object()], {})
    with pytest.raises(ValueError, match="KeyError: 'Outer'"):
        unpack(pack(value, KNOWN), kinds(Inner))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04K\x01.", save({"0": np.zeros(2)}), save({"tree": np.frombuffer(b'{"array": "7"}', np.uint8)})]
)
def test_other_bytes_are_refused(content):
    with pytest.raises(ValueError, match="not a file of packed values"):
        unpack(content, {})
