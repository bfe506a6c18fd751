"""Bytes of files: equal for equal values, no NaN, no pickle."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rcgnn.encode import as_csv, as_json, as_npz, dotted, from_npz, guarded, unguarded


def test_json_holds_null_for_what_is_absent():
    assert json.loads(as_json({"a": float("nan"), "b": np.array([1.0, np.inf]), "c": None})) == {"a": None, "b": [1.0, None], "c": None}


def test_csv_has_an_empty_cell_for_what_is_absent_and_leaves_other_keys_out():
    assert as_csv(("a", "b"), [{"a": 'x"y', "b": None, "c": 3}, {"a": "", "b": 0.5, "c": 4}]) == b'"a","b"\n"x""y",""\n"",0.5\n'


FORMULAS = [
    "=1+1",
    "=cmd|x",
    "+5V",
    "-dP (bar)",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1",
    "-",
    "-1-1",
    "+inf",
    "--5",
    "-5 ",
]
HARMLESS = ["flow", "", "5", "-5", "+5", "-.5", "+1.5e-3", "-1E9", "a=b", "5-3", " =1", "'quoted'", "'", "it's"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_compute_is_guarded(text):
    assert guarded(text) == "'" + text
    assert as_csv((text,), [{text: text}]).decode().count("\"'") == 2, "in the header and in the cell"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_and_numbers_stay(text):
    assert guarded(text) == text


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS, *("'" + text for text in (*FORMULAS, *HARMLESS)), "''=1"])
def test_what_is_guarded_comes_back(text):
    assert unguarded(guarded(text)) == text
    assert unguarded(guarded(guarded(text))) == guarded(text)


def test_npz_round_trip_and_equal_bytes():
    arrays = {"b": np.array(["Öl", "x"]), "a": np.arange(6.0).reshape(2, 3)[:, ::2], "empty": np.zeros((0, 3), np.int64)}
    content = as_npz(arrays)
    assert content == as_npz(arrays)
    back = from_npz(content)
    assert list(back) == ["b", "a", "empty"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype


def test_objects_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        as_npz({"a": np.array([{}], dtype=object)})
    np.savez(tmp_path / "bad.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        from_npz((tmp_path / "bad.npz").read_bytes())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x93NUMPY\x01\x00v\x00", as_npz({"a": np.zeros(9)})[:-30]])
def test_damaged_archives_are_a_value_error(content):
    with pytest.raises(ValueError):  # noqa: PT011 - zipfile and NumPy word it each in their own way
        from_npz(content)


def test_dotted_names_go_one_level_deep():
    assert dotted({"seed": 1, "empty": {}, "data": {"bounds": {"low": 2}, "names": ["a"]}}) == {
        "seed": 1,
        "data.bounds": {"low": 2},
        "data.names": ["a"],
    }


def test_a_large_table_of_zeros_takes_little_room_and_comes_back():
    array = np.zeros((4, 300, 300))
    array[1, 2, 3] = 0.1
    content = as_npz({"score": array, "small": np.zeros(9)})
    assert len(content) < array.nbytes / 50
    np.testing.assert_array_equal(from_npz(content)["score"], array)
