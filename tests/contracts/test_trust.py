"""What is promised of an answer (docs/trust.md), on a few tables. The same on many, with intervals: benchmarks/trust.py."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from rcgnn.graph import LINK, NONE
from rcgnn.series import Series

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

systems, tables = (importlib.import_module(name) for name in ("trust_systems", "trust_tables"))
SEED = 20900
"""Seeds of the benchmark start at 21000."""
FEW = settings(max_examples=4, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
SURE = 0.8
WHOLE = [seed for seed in range(SEED, SEED + 12) if tables.steady_table(seed).mask.all()]
SEEDS = st.sampled_from(WHOLE)
NOISY = st.sampled_from([seed for seed in WHOLE if tables.steady_system(seed) != "lorenz96"])
"""Without the chaos of five sensors, where every sensor tells of every other and lags change places; figures: docs/trust.md."""


@cache
def plain(seed):
    return tables.fitted(tables.steady_table(seed), tables.STEADY_LAG).graph


def again(series, place, seed):
    """The answer for a changed table beside that for the table itself."""
    return tables.kept(plain(seed), tables.fitted(series, tables.STEADY_LAG).graph, place)


# --- what must not change the links -------------------------------------------------------------------------------------------------


def test_there_are_sure_links_to_lose():
    assert all(
        sum(plain(seed).confidence[key] >= SURE for key in plain(seed).links()) >= 3 for seed in (SEED, SEED + 1, SEED + 2, SEED + 3)
    )


@FEW
@given(SEEDS, st.lists(st.tuples(st.floats(-6, 6), st.floats(-1e3, 1e3)), min_size=5, max_size=5))
def test_any_positive_factor_and_offset_leaves_every_link(seed, units):
    series = tables.steady_table(seed)
    power, offset = np.array(units).T
    other = 10.0**power * (series.values / series.values.std(axis=0) + offset)
    now = again(series.with_values(other, series.mask), list(range(5)), seed)
    assert now.before == now.after
    assert all(abs(before - after) < 0.3 for before, after in now.sure.values())


@FEW
@given(SEEDS, st.permutations(range(5)))
def test_any_order_of_the_columns_leaves_every_link(seed, order):
    now = again(tables.steady_table(seed).sensors(order), np.argsort(order).tolist(), seed)
    assert now.before == now.after


@FEW
@given(SEEDS, st.sampled_from(["clock", "names"]))
def test_other_time_stamps_and_names_change_nothing_at_all(seed, what):
    now = again(*tables.change(tables.steady_table(seed), what, seed), seed)
    assert now.before == now.after
    assert all(before == after for before, after in now.sure.values())


@FEW
@given(NOISY, st.integers(1, 25))
def test_without_the_first_rows_sure_links_stay(seed, rows):
    now = again(tables.steady_table(seed).rows(slice(rows, None)), list(range(5)), seed)
    assert now.lost(0.9) == now.gained(0.9) == 0


@FEW
@given(NOISY, st.sampled_from(["normal", "laplace", "lognormal"]), st.floats(0, 0.8))
def test_a_sensor_that_has_nothing_to_do_with_the_others_changes_no_sure_link(seed, noise, memory):
    series = tables.steady_table(seed)
    column = systems.memory(np.random.default_rng(seed), len(series.values), memory, noise)
    wide = Series(np.column_stack([series.values, column]), np.ones((len(column), 6), bool), (*series.names, "bystander"))
    now = again(wide, list(range(5)), seed)
    assert now.lost(0.9) == now.gained(0.9) == now.drawn == 0


@FEW
@given(NOISY)
def test_the_same_recording_twice_is_not_twice_the_evidence(seed):
    """What repeats is left out, so the answer is that of one copy."""
    now = again(*tables.change(tables.steady_table(seed), "twice", seed), seed)
    assert now.lost(0.8) == now.gained(0.8) == 0
    assert all(after == pytest.approx(before, abs=1e-9) for before, after in now.sure.values())


# --- small systems ------------------------------------------------------------------------------------------------------------------

ROWS = 1000


@pytest.mark.parametrize("name", sorted(systems.TOYS))
def test_the_due_verdict(name):
    toy = systems.TOYS[name]
    answers = [toy.answer(seed, ROWS) for seed in (SEED, SEED + 1)]
    assert not any(toy.wrong(graph) for graph in answers)
    assert any(toy.due(graph) for graph in answers)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(systems.TOYS))
def test_the_due_verdict_on_many_tables(name):
    """Of twenty tables at least sixteen, and no more than two confident and wrong."""
    toy = systems.TOYS[name]
    answers = [toy.answer(seed, ROWS) for seed in range(SEED, SEED + 20)]
    assert sum(toy.due(graph) for graph in answers) >= 16
    assert sum(toy.wrong(graph) for graph in answers) <= 2


def test_effects_of_a_hidden_cause_are_connected_with_each_other_and_with_nothing_else():
    graph = systems.TOYS["hidden cause, one delay"].answer(SEED, ROWS)
    x, y, z = (graph.names.index(one) for one in "xyz")
    assert (graph.verdict[:, [x, y], [y, x]] != NONE).any()
    assert (graph.verdict[:, z] != LINK).all()
    assert (graph.verdict[:, :, z] != LINK).all()


# --- systems without links ----------------------------------------------------------------------------------------------------------


def false_tables(rows, missing, seeds):
    found = [tables.fitted(tables.null_table(system, seed, rows, missing), 3).graph for system in tables.NULLS for seed in seeds]
    return sum(bool(graph.links()) for graph in found), len(found)


LEVEL = 0.05
"""Share of tables with a false link: `select.alpha`."""


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "missing", "count"), [(200, 0.0, 12), (500, 0.0, 12), (1500, 0.0, 12), (200, 0.3, 4)])
def test_false_links_stay_below_the_level(rows, missing, count):
    """Tables with a false link: no more than that level gives once in a hundred times."""
    false, of = false_tables(rows, missing, range(SEED, SEED + count))
    assert false <= binom.ppf(0.99, of, LEVEL)
