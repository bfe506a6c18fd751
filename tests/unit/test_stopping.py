import inspect

import numpy as np
import pytest

from rcgnn.train.stopping import Stopping, jaccard, mean_and_stderr

LINKS = np.array([True, True, False, False])


def feed(stopping, losses, links=LINKS):
    return [stopping.update(epoch, np.asarray(loss, float), links) for epoch, loss in enumerate(losses)]


def test_goes_on_while_the_loss_gains():
    assert not any(feed(Stopping(3), [[10.0 - i, 20.0 - i] for i in range(15)]))


def test_stops_after_patience_quiet_evaluations():
    stopping = Stopping(3)
    answers = feed(stopping, [[2.0, 3.0], [1.0, 2.0], *[[1.1, 2.1]] * 5])
    assert answers.index(True) == 4
    assert stopping.best_epoch == 1


def test_gain_within_one_standard_error_is_no_gain():
    rng = np.random.default_rng(0)
    answers = feed(Stopping(3), [[1.0, 1.0, 1.0, 1.0]] + [1.0 + rng.normal(0, 0.5, 4) - 0.01 for _ in range(6)])
    assert any(answers)


def test_blocks_are_compared_with_themselves():
    """Blocks differ by 100, the gain is .1 in each: an unpaired error of 33 would hide it."""
    assert not any(feed(Stopping(2), [[0.0 - 0.1 * i, 100.0 - 0.1 * i] for i in range(12)]))


def test_moving_graph_is_not_stopped():
    stopping = Stopping(2)
    answers = [stopping.update(e, np.ones(3), np.roll(LINKS, e)) for e in range(10)]
    assert not any(answers)
    assert stopping.overlap is not None
    assert stopping.overlap < 0.98


def test_restart_forgets_quiet_evaluations():
    stopping = Stopping(3)
    feed(stopping, [[1.0, 1.0]] * 3)
    stopping.restart()
    assert stopping.update(3, np.ones(2), LINKS) is False


def test_best_is_the_lowest_mean():
    stopping = Stopping(9)
    feed(stopping, [[3.0], [1.0], [2.0]])
    assert (stopping.best_epoch, stopping.best_loss) == (1, 1.0)
    assert stopping.is_best(1)
    assert not stopping.is_best(2)


def test_callers_arrays_are_not_kept():
    stopping, blocks, links = Stopping(1), np.ones(2), LINKS.copy()
    stopping.update(0, blocks, links)
    blocks[:] = 100.0
    links[:] = False
    assert stopping.update(1, np.ones(2), LINKS) is True


def test_truth_cannot_be_handed_in():
    assert list(inspect.signature(Stopping.update).parameters) == ["self", "epoch", "blocks", "links"]


def test_resume():
    first = Stopping(4)
    feed(first, [[3.0, 3.1], [2.0, 2.0], [2.0, 2.1]])
    second = Stopping(4)
    second.load_state_dict(first.state_dict())
    later = [[2.0, 2.0], [2.0, 2.0], [1.99, 2.0], [2.1, 2.0]]
    assert feed(first, later) == feed(second, later)
    assert first.state_dict() == second.state_dict()


@pytest.mark.parametrize(("a", "b", "expected"), [([0, 0], [0, 0], 1.0), ([1, 0], [0, 1], 0.0), ([1, 1], [1, 0], 0.5)])
def test_jaccard(a, b, expected):
    assert jaccard(np.array(a, bool), np.array(b, bool)) == expected


def test_stderr_of_one_value_is_zero():
    assert mean_and_stderr(np.array([2.0])) == (2.0, 0.0)


def test_what_opened_or_closed_since_the_last_evaluation_is_unsettled():
    stop = Stopping(patience=3)
    links = np.array([True, True, False, False])
    stop.update(1, np.ones(2), links)
    assert stop.unsettled is None
    stop.update(2, np.ones(2), ~links)
    assert stop.unsettled == 4
    stop.update(3, np.ones(2), np.array([False, True, True, True]))
    assert stop.unsettled == 1
