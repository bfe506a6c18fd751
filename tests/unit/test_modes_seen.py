"""What single operating modes add to the graph, and what they take away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.graph import CausalGraph
from rcgnn.looks import Looks
from rcgnn.pipeline import fit_series
from rcgnn.screen.features import Sample
from rcgnn.select.modes import Seen, by_mode, candidates, only, revise
from rcgnn.synth import simulate
from rcgnn.verdict import DIRECTION, DOUBT, UNEVEN

OFF = ["select.refine=off"]


def seen(links: list[tuple[int, int, int]], chosen: list[tuple[int, int]] = (), share: float = 1.0) -> Seen:
    has, pairs = np.zeros((2, 4, 4), bool), np.zeros((4, 4), bool)
    for key in links:
        has[key] = pairs[key[1:]] = True
    for pair in chosen:
        pairs[pair] = True
    score = np.zeros(has.shape)
    for number, key in enumerate(links):
        score[key] = 10.0 - number
    return Seen(has, pairs, score, has * 0.9, share)


def votes(**keys: list[tuple[int, int, int]]) -> np.ndarray:
    verdict = np.zeros((2, 4, 4), np.int8)
    for name, value in (("link", 1), ("open", -1)):
        for key in keys.get(name, []):
            verdict[key] = value
    return verdict


def marked(*keys: tuple[int, int, int]) -> np.ndarray:
    found = np.zeros((2, 4, 4), bool)
    for key in keys:
        found[key] = True
    return found


def test_without_a_difference_nothing_changes():
    verdict = votes(link=[(1, 0, 1)])
    np.testing.assert_array_equal(revise(verdict, {}, seen([(1, 2, 3)]), marked()), verdict)


def test_a_link_of_one_mode_enters_only_if_it_differs():
    verdict = votes(link=[(1, 0, 1)])
    modes = seen([(1, 2, 3), (1, 3, 0)], chosen=[(0, 1)])
    np.testing.assert_array_equal(revise(verdict, {}, modes, marked((1, 2, 3))), votes(link=[(1, 0, 1), (1, 2, 3)]))
    np.testing.assert_array_equal(verdict, votes(link=[(1, 0, 1)]))


def test_what_no_mode_chose_is_dropped_unless_it_is_required_or_modes_are_short():
    verdict = votes(link=[(1, 0, 1), (1, 1, 2), (0, 2, 3)])
    modes = seen([(1, 0, 1)])
    after = revise(verdict, {(0, 2, 3): "required by prior knowledge"}, modes, marked((1, 0, 1)))
    np.testing.assert_array_equal(after, votes(link=[(1, 0, 1), (0, 2, 3)]))
    np.testing.assert_array_equal(revise(verdict, {}, replace(modes, share=0.8), marked((1, 0, 1))), verdict)


def test_open_questions_stay_open_and_nothing_drives_itself():
    verdict = votes(open=[(0, 0, 1), (0, 1, 0)])
    got = candidates(verdict, seen([(1, 0, 1), (1, 2, 2), (1, 2, 3)]), {})
    np.testing.assert_array_equal(got, marked((1, 2, 3)))
    np.testing.assert_array_equal(candidates(votes(link=[(1, 0, 1)]), None, {}), marked((1, 0, 1)))


@pytest.mark.parametrize(("why", "entered"), [(DOUBT, True), (UNEVEN, True), (DIRECTION, False), ("too few joint rows", False)])
def test_a_mode_settles_what_is_weak_in_the_whole_table(why, entered):
    """A link that turns its sign between modes leaves odd crumbs in the whole table."""
    verdict = votes(open=[(0, 0, 1), (1, 0, 1)])
    after = revise(verdict, {(0, 0, 1): why, (1, 0, 1): why}, seen([(1, 0, 1)]), marked((1, 0, 1)))
    np.testing.assert_array_equal(after, votes(open=[(0, 0, 1)], link=[(1, 0, 1)]) if entered else verdict)


def test_links_within_the_step_close_no_circle():
    verdict = votes(link=[(0, 0, 1), (0, 1, 2)])
    modes = seen([(0, 2, 0), (0, 2, 3), (0, 3, 0)], chosen=[(0, 1), (1, 2)])
    every = marked((0, 2, 0), (0, 2, 3), (0, 3, 0))
    np.testing.assert_array_equal(revise(verdict, {}, modes, every), votes(link=[(0, 0, 1), (0, 1, 2), (0, 2, 3)]))


def test_a_mode_has_its_own_rows_and_its_own_scale():
    x = np.random.default_rng(0).standard_normal((2, 12, 2)) * [3.0, 1.0] + 5.0
    x[..., 1] = 4.0  # held
    keep = np.arange(24).reshape(12, 2) % 5 > 0
    sample = Sample(x, keep, [slice(0, 4), slice(4, 9), slice(9, 12)], 1)
    part = only(sample, np.isin(np.arange(12), [0, 1, 2, 3, 9, 10, 11]))
    assert part.segments == [slice(0, 4), slice(4, 7)]
    np.testing.assert_array_equal(part.keep, keep[[0, 1, 2, 3, 9, 10, 11]])
    assert part.signal[..., 0].mean() == pytest.approx(0.0)
    assert part.signal[..., 0].std() == pytest.approx(1.0)
    assert not part.signal[..., 1].any()


def test_a_mode_that_is_short_or_in_which_a_sensor_was_hardly_read_is_not_screened():
    plant = simulate("linear", seed=0, rows=1000, sensors=4)
    mode = (np.arange(1000) >= 550).astype(int)
    values = plant.series.values.copy()
    values[640:, 1] = np.nan
    config = Config().override(OFF)
    fit = fit_series(replace(plant.series, regime=mode, regime_names=("a", "b")), config)
    whole = Sample(fit.signal.draws, np.isfinite(plant.series.values), [slice(0, 550), slice(550, 1000)], 3)
    both, first = (by_mode(Looks(replace(whole, keep=np.isfinite(v))), mode, fit.screened, config) for v in (plant.series.values, values))
    assert (both.share, first.share) == (1.0, 0.55)
    assert by_mode(Looks(whole), np.arange(1000) // 350, fit.screened, config) is None
    assert by_mode(Looks(whole), np.zeros(1000, int), fit.screened, config) is None


def counts(graph: CausalGraph, truth: np.ndarray) -> tuple[int, int]:
    """True and false pairs."""
    return int((graph.summary & truth).sum()), int((graph.summary & ~truth).sum())


def test_modes_find_more_true_links_and_fewer_false_ones():
    plant = simulate("linear", seed=0, rows=1500, sensors=13, regimes=2)
    blind = replace(plant.series, regime=np.zeros(1500, int), regime_names=("0",), recording=plant.series.regime)
    truth = plant.truth.any(axis=0) & ~np.eye(13, dtype=bool)
    (true, false), (found, wrong) = (counts(fit_series(table, Config().override(OFF)).graph, truth) for table in (blind, plant.series))
    assert found == truth.sum() > true
    assert wrong == 0 < false


def test_labels_without_a_meaning_change_no_link():
    differing = 0
    for seed in range(100, 103):
        plant = simulate("linear", seed=seed, rows=1000, sensors=6)
        stretch = np.arange(1000) * 4 // 1000
        labelled = replace(plant.series, regime=stretch % 2, regime_names=("a", "b"))
        graph = fit_series(labelled, Config().override(OFF)).graph
        assert graph.links() == fit_series(replace(plant.series, recording=stretch), Config().override(OFF)).graph.links()
        differing += any(contrast.differs for contrast in graph.contrasts.values())
    assert differing <= 1, "a test at level .05 a table"
