"""Large arrays lie in files, count as memory only while they are looked at, and change no number."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import rcgnn.mapped
import rcgnn.mechanism.blocks
import rcgnn.series
from rcgnn.config import Config
from rcgnn.mapped import LARGE, in_turn, let_go, let_go_of_all, spacious
from rcgnn.pipeline import fit_series
from rcgnn.series import Series, below, columns, concatenate, nothing, taken
from rcgnn.synth import corrupt, simulate


def lies_in_a_file(array):
    owner = array.base
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, mmap.mmap)


@pytest.fixture
def everything_large(monkeypatch):
    for module in (rcgnn.mapped, rcgnn.series):
        monkeypatch.setattr(module, "LARGE", 20)


def resident():
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(fields["RssFile"].split()[0]) * 1024 + int(fields["RssShmem"].split()[0]) * 1024


def test_only_large_arrays_lie_in_files():
    assert not lies_in_a_file(spacious((LARGE // 4, 4)))
    assert lies_in_a_file(spacious((LARGE // 4 + 1, 4)))


@pytest.mark.parametrize("order", ["F", "C"])
def test_what_was_written_is_there_after_letting_go(order):
    array = spacious((LARGE // 2, 3), order=order)
    array[:] = np.arange(3.0)
    let_go(array, array[:, 1:], np.zeros(3))
    assert (array.sum(axis=0) == np.arange(3.0) * len(array)).all()
    assert array.flags.f_contiguous == (order == "F")


@pytest.mark.skipif(sys.platform != "linux", reason="resident pages are told by Linux")
def test_pages_that_were_let_go_are_no_memory_of_the_process():
    array = spacious((LARGE, 8))
    before = resident()
    largest = 0
    for j in in_turn(range(8), array):
        array[:, j] = j
        largest = max(largest, resident() - before)
    assert largest < 2 * array[:, 0].nbytes, "a column at a time, not the whole of it"
    assert resident() - before < array[:, 0].nbytes
    assert array[5].tolist() == list(range(8))


def test_without_room_on_the_disk_it_is_an_ordinary_array(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    array = spacious((LARGE, 2))
    assert array.shape == (LARGE, 2)
    assert not lies_in_a_file(array)


@pytest.mark.usefixtures("everything_large")
def test_tables_and_their_parts_are_those_of_ordinary_arrays():
    x = np.arange(60.0).reshape(20, 3)
    x[3, 1] = np.nan
    series = Series.of(x)
    assert lies_in_a_file(series.values)
    assert lies_in_a_file(series.mask)
    np.testing.assert_array_equal(series.values, x)
    np.testing.assert_array_equal(series.rows(np.array([3, 5])).values, x[[3, 5]])
    np.testing.assert_array_equal(series.sensors([2, 0]).values, x[:, [2, 0]])
    np.testing.assert_array_equal(concatenate([series, series]).values, np.concatenate([x, x]))
    np.testing.assert_array_equal(taken(x, np.arange(20) % 2 == 0), x[::2])
    np.testing.assert_array_equal(below([x]), x)


@pytest.mark.usefixtures("everything_large")
@pytest.mark.parametrize("rows", [np.arange(0, 500, 7), np.array([3, 250, 251, 499]), np.array([], int), np.arange(500) % 2 == 0])
def test_rows_taken_slab_by_slab_are_those_asked_for(rows, monkeypatch):
    for name in ("SLAB", "LEAST_SLAB"):
        monkeypatch.setattr(rcgnn.series, name, 64)
    x = np.random.default_rng(0).standard_normal((500, 3))
    np.testing.assert_array_equal(taken(x, rows), x[rows])


def test_a_table_of_zeros_takes_no_room():
    zeros = nothing((10**9, 100))
    assert zeros.shape == (10**9, 100)
    assert not columns(zeros, [4, 2])[10**8].any()
    with pytest.raises(ValueError, match="read-only"):
        zeros[0] = 1


def station(faults):
    return corrupt(simulate("linear", seed=5, rows=700, sensors=6).series, faults, seed=5)


@pytest.mark.parametrize("faults", [{}, {"missing": 0.2}], ids=["complete", "gaps"])
def test_a_fit_is_the_same_to_the_last_bit_wherever_its_tables_lie(faults, monkeypatch):
    series = station(faults)
    config = Config.model_validate({"data": {"max_lag": 2}, "select": {"refine": "off"}})
    ordinary = fit_series(series, config)
    for module in (rcgnn.mapped, rcgnn.series):
        monkeypatch.setattr(module, "LARGE", 100)
    mapped = fit_series(Series(np.array(series.values), np.array(series.mask), series.names, series.time), config)
    assert lies_in_a_file(mapped.series.values)
    np.testing.assert_array_equal(mapped.graph.score, ordinary.graph.score)
    np.testing.assert_array_equal(mapped.mechanism.resampled, ordinary.mechanism.resampled)


def test_a_fit_finds_the_same_part_by_part(monkeypatch):
    series = station({})
    config = Config.model_validate({"data": {"max_lag": 2}, "select": {"refine": "off"}})
    whole = fit_series(series, config)
    for name, value in {"SLAB": 90, "LEAST_SLAB": 10, "SLAB_CELLS": 1400, "BLOCK_CELLS": 1400}.items():
        monkeypatch.setattr(rcgnn.series, name, value)
    monkeypatch.setattr(rcgnn.mechanism.blocks, "SLAB", 90)
    parts = fit_series(series, config)
    assert len(rcgnn.series.slabs(*series.shape)) > 1
    assert len(rcgnn.series.sensor_blocks(series.shape)) > 1
    np.testing.assert_array_equal(parts.graph.verdict, whole.graph.verdict)
    np.testing.assert_allclose(parts.graph.score, whole.graph.score, rtol=1e-6)
    np.testing.assert_allclose(parts.mechanism.resampled, whole.mechanism.resampled, rtol=1e-7, atol=1e-9)


@pytest.mark.skipif(sys.platform != "linux", reason="resident pages are told by Linux")
def test_all_arrays_that_are_in_use_are_let_go_of_at_once():
    before = resident()
    arrays = [spacious((LARGE, 2)) for _ in range(2)]
    for array in arrays:
        array[:] = 1.0
    assert resident() - before > arrays[0].nbytes
    let_go_of_all()
    assert resident() - before < arrays[0].nbytes / 10
    assert all(float(array[-1].sum()) == 2.0 for array in arrays)


@pytest.mark.skipif(rcgnn.mapped._trim() is None, reason="the C library gives nothing back")
def test_what_nobody_uses_any_more_goes_back_to_the_system():
    def held():
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

    kept = [np.ones(8_000) for _ in range(4_000)]
    last = kept[-1]  # the heap ends with an array in use, so the system gets nothing back by itself
    full, size = held(), last.nbytes * (len(kept) - 1)
    del kept
    assert full - held() < size / 2
    let_go_of_all()
    assert full - held() > size / 2
    assert last[0] == 1.0
