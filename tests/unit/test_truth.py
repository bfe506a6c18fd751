"""Known graphs: what is written is read back, and every broken file says what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import arrays

from rcgnn.errors import InputError, TableError
from rcgnn.evaluate import Truth, read_truth, write_truth
from rcgnn.synth import simulate, write_simulated

NAMES = ("pump", "flow", "level, left")
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def window(*links, lags=3):
    array = np.zeros((lags + 1, 3, 3), bool)
    for key in links:
        array[key] = True
    return array


@given(links=arrays(bool, (3, 3, 3)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path, links):
    write_truth(tmp_path / "truth.csv", links, NAMES)
    back = read_truth(tmp_path / "truth.csv", NAMES, max_lag=2)
    assert np.array_equal(back.window, Truth.of(links).window)
    assert np.array_equal(back.summary, Truth.of(links).summary)


def test_round_trip_without_lags(tmp_path):
    summary = window((0, 0, 2), (0, 2, 1))[0]
    write_truth(tmp_path / "t.csv", summary, NAMES)
    back = read_truth(tmp_path / "t.csv", NAMES, max_lag=2)
    assert back.window is None
    assert back.instantaneous is None
    assert np.array_equal(back.summary, summary)


def test_reads_what_simulate_writes(tmp_path):
    s = simulate("station", seed=1, rows=20)
    write_simulated(tmp_path, s)
    assert np.array_equal(read_truth(tmp_path / "truth.csv", s.names, 3).window, s.truth)


def test_cause_comes_first(tmp_path):
    (tmp_path / "t.csv").write_text("cause,effect,lag\npump,flow,2\n")
    truth = read_truth(tmp_path / "t.csv", NAMES, max_lag=3)
    assert np.argwhere(truth.window).tolist() == [[2, 0, 1]]
    assert not truth.instantaneous.any()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffCause;Effect;Lag\npump;flow;1.0\n",
        "lag\teffect\tnote\tcause\r\n 1\tflow\thello\t pump \r\n\r\n",
        "cause,effect,lag\npump,flow,1\npump,flow,1\n,,\n",
        'cause,effect,lag\n"pump","flow","1e0"',
    ],
)
def test_tolerant(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert np.argwhere(read_truth(tmp_path / "t.csv", NAMES, max_lag=1).window).tolist() == [[1, 0, 1]]


def test_numbers_match_by_value(tmp_path):
    (tmp_path / "t.csv").write_text("cause,effect\n1.0,2\n")
    assert read_truth(tmp_path / "t.csv", ("0", "1", "2"), 1).summary[1, 2]


def test_exact_name_wins_over_equal_number(tmp_path):
    (tmp_path / "t.csv").write_text("cause,effect\n1.0,x\n")
    assert read_truth(tmp_path / "t.csv", ("1", "1.0", "x"), 1).summary[1, 2]


def test_long_numbers_stay_apart(tmp_path):
    (tmp_path / "t.csv").write_text("cause,effect\n1234567,1234568\n")
    assert read_truth(tmp_path / "t.csv", ("1234567", "1234568"), 1).summary.tolist() == [[False, True], [False, False]]


def test_longer_lags_widen_the_window(tmp_path):
    (tmp_path / "t.csv").write_text("cause,effect,lag\npump,flow,7\n")
    assert read_truth(tmp_path / "t.csv", NAMES, max_lag=3).window.shape == (8, 3, 3)


def test_self_links_are_dropped(tmp_path):
    (tmp_path / "t.csv").write_text("cause,effect,lag\npump,pump,1\n")
    truth = read_truth(tmp_path / "t.csv", NAMES, max_lag=1)
    assert not truth.window.any()
    assert not truth.summary.any()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cause,target\npump,flow\n", "no column 'effect'"),
        ("", "no column 'cause'"),
        ("cause,effect\npump,flwo\n", "line 2: the table has no sensor 'flwo' .it has pump, flow"),
        ("cause,effect\npump\n", "no sensor ''"),
        ("cause,effect,lag\npump,flow,-1\n", "lag is '-1'"),
        ("cause,effect,lag\npump,flow,1\npump,flow,.5\n", "line 3: lag is '.5'"),
        ("cause,effect,lag\npump,flow,\n", "lag is ''"),
        ("cause,effect,lag\npump,flow,inf\n", "lag is 'inf'"),
        ("cause,effect,lag\npump,flow,nan\n", "lag is 'nan'"),
        ("cause,effect,lag\npump,flow,1e12\n", "lag is '1e12'"),
    ],
)
def test_broken_files_say_why(tmp_path, text, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError, match=says):
        read_truth(tmp_path / "t.csv", NAMES, max_lag=3)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_truth(tmp_path / "none.csv", NAMES, 3)
    for name in ("pipe.csv", "pipe.npy"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="expected a file, got a pipe"):
            read_truth(tmp_path / name, NAMES, 3)


def test_a_cell_that_is_no_cell(tmp_path):
    (tmp_path / "t.csv").write_text('cause,effect\n"' + "x" * 200_000 + "\n")
    with pytest.raises(TableError, match=r"cannot be split into cells \(field larger"):
        read_truth(tmp_path / "t.csv", NAMES, 3)


def test_not_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="cannot be read"):
        read_truth(tmp_path / "t.csv", NAMES, 3)


@pytest.mark.parametrize("kind", ["float64", "int8", "bool"])
def test_origin_matrix(tmp_path, kind):
    np.save(tmp_path / "A_true.npy", window((0, 0, 2))[0].astype(kind))
    truth = read_truth(tmp_path / "A_true.npy", NAMES, 3)
    assert truth.window is None
    assert np.argwhere(truth.summary).tolist() == [[0, 2]]


def test_origin_matrix_with_lags(tmp_path):
    np.save(tmp_path / "A_true.npy", window((2, 1, 0)))
    assert np.argwhere(read_truth(tmp_path / "A_true.npy", NAMES, 3).window).tolist() == [[2, 1, 0]]


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.full((3, 3), np.nan), np.zeros(3), np.full((3, 3), "a")])
def test_wrong_matrix(tmp_path, bad):
    np.save(tmp_path / "A_true.npy", bad)
    with pytest.raises(TableError, match="expected"):
        read_truth(tmp_path / "A_true.npy", NAMES, 3)


def test_matrix_that_is_none(tmp_path):
    (tmp_path / "A_true.npy").write_text("hello")
    with pytest.raises(InputError, match="cannot be read as a numpy matrix"):
        read_truth(tmp_path / "A_true.npy", NAMES, 3)


def test_write_refuses(tmp_path):
    with pytest.raises(InputError, match="2 names for a graph of 3 sensors"):
        write_truth(tmp_path / "t.csv", window(), ("a", "b"))
    with pytest.raises(InputError, match="cannot be written"):
        write_truth(tmp_path, window(), NAMES)


def test_truth_checks_itself():
    with pytest.raises(InputError, match=r"must be .N, N., got"):
        Truth.of(np.zeros((2, 3)))
    with pytest.raises(InputError, match="window graph must be"):
        Truth(np.zeros((3, 3)), np.zeros((2, 2, 2)))
    with pytest.raises(InputError, match="exactly the links"):
        Truth(np.zeros((3, 3), bool), window((1, 0, 1)))
    with pytest.raises(ValueError, match="read-only"):
        Truth.of(window()).summary[0, 1] = True


@pytest.mark.parametrize(("table", "links"), [("danube", 22), ("lorenz96_f10", 30)])
def test_published_truths(table, links):
    file = SHARED / table / "truth.csv"
    if not file.exists():
        pytest.skip(f"{file} is not on this machine")
    data = sorted(file.parent.glob("data*.csv"))[0]
    names = data.read_text(encoding="utf-8").splitlines()[0].split(",")
    truth = read_truth(file, names, 3)
    assert truth.window is None
    assert truth.summary.sum() == links


def test_names_that_a_spreadsheet_would_compute_come_back(tmp_path):
    names = ("=A1", "'=A1", "-5")
    links = window((1, 0, 1), (0, 1, 2))
    write_truth(tmp_path / "t.csv", links, names)
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[1:] == ["''=A1,-5,0", "'=A1,''=A1,1"]
    assert np.array_equal(read_truth(tmp_path / "t.csv", names, 3).window, links)
    (tmp_path / "own.csv").write_text("cause,effect,lag\n=A1,-5,0\n", encoding="utf-8")
    assert read_truth(tmp_path / "own.csv", names, 3).window[0, 0, 2], "a name as it is called"
