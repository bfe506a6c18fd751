"""Tables as users have them: every layout is read, every bad file is one clear `TableError`."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rcgnn.data.readers import READERS, read_table, read_tables
from rcgnn.data.text import decode, find_layout
from rcgnn.errors import TableError
from rcgnn.series import Series

DATA = Path(__file__).parents[2].parent / "shared" / "data"
AIR = DATA / "air_quality_uci" / "data.csv"
needs_data = pytest.mark.skipif(not AIR.exists(), reason="development data sets are not on this machine")


@pytest.fixture
def put(tmp_path):
    """Writes a file and returns its path."""

    def write(content: str | bytes, name: str = "table.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


UCI = (
    "Date;Time;CO(GT);T;AH;;\n"
    "10/03/2004;18.00.00;2,6;13,6;0,7578;;\n"
    "10/03/2004;19.00.00;-200;13,3;0,7255;;\n"
    "11/03/2004;20.00.00;2,2;-200;0,7502;;\n"
    ";;;;;;\n;;;;;;\n"
)


def test_uci_original(put):
    s = read_table(put(UCI), na=["-200"])
    assert s.names == ("CO(GT)", "T", "AH")
    assert s.time is not None
    assert np.diff(s.time).tolist() == [3600.0, 90000.0]
    assert s.values[0].tolist() == [2.6, 13.6, 0.7578]
    assert s.mask.tolist() == [[True, True, True], [False, True, True], [True, False, True]]


@pytest.mark.parametrize("time", [None, "Date"])
def test_uci_time_may_be_named(put, time):
    s = read_table(put(UCI), time=time)
    assert s.time is not None
    assert s.values[1, 0] == -200


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_layouts(put, separator, encoding, end):
    rows = [("température", "débit"), ("1.5", "2"), ("", "-3e-2"), ("NaN", "+4")]
    text = end.join(separator.join(row) for row in rows) + end
    s = read_table(put(text, encoding=encoding))
    assert s.names == ("température", "débit")
    assert np.array_equal(s.values, [[1.5, 2], [np.nan, -0.03], [np.nan, 4]], equal_nan=True)


@pytest.mark.parametrize("marker", ["NaN", "nan", "NA", "N/A", "null", "None", "#N/A", " ", ""])
def test_missing_markers(put, marker):
    assert read_table(put(f"a,b\n1,2\n{marker},3\n")).mask.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(("marker", "cell"), [("-200", "-200.0"), ("-200.0", "-200"), ("?", "?"), ("Bad", "bad"), ("1e3", "1000")])
def test_own_missing_markers(put, marker, cell):
    assert read_table(put(f"a,b\n1,2\n{cell},3\n"), na=[marker]).mask.tolist() == [[True, True], [False, True]]


def test_infinite_is_not_observed(put):
    assert read_table(put("a,b\ninf,1\n2,-inf\n")).mask.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("cells", "step"),
    [
        (["2024-01-31 18:00:00", "2024-01-31 19:00:00"], 3600),
        (["2024-01-31T18:00:00Z", "2024-01-31T18:00:00.5Z"], 0.5),
        (["2024-01-31T18:00:00+02:00", "2024-01-31T18:00:00+01:00"], 3600),
        (["31/01/2024", "01/02/2024"], 86400),
        (["01/31/2024", "02/01/2024"], 86400),
        (["31.01.2024 06:00", "31.01.2024 06:10"], 600),
        (["1/31/2024 11:59 PM", "2/1/2024 12:00 AM"], 60),
        (["2024/01/31", "2024/02/01"], 86400),
        (["31 Jan 2024 10:00", "31 Jan 2024 11:00"], 3600),
        (["23:58", "23:59"], 60),
        (["0.5", "2"], 1.5),
        (["1706724000", "1706724060"], 60),
    ],
)
def test_time(put, cells, step):
    s = read_table(put("when;a\n" + "".join(f"{cell};{k}\n" for k, cell in enumerate(cells))), time="when")
    assert s.time is not None
    assert np.diff(s.time).tolist() == [step]
    assert s.names == ("a",)


def test_ambiguous_dates_take_the_even_reading(put):
    days = "".join(f"0{day}/03/2024,{day}\n" for day in range(1, 10))
    s = read_table(put("day,a\n" + days))
    assert s.time is not None
    assert set(np.diff(s.time)) == {86400.0}


def test_first_counter_called_time_is_the_time(put):
    assert read_table(put("time,a\n0,5\n10,6\n20,4\n")).names == ("a",)
    assert read_table(put("time,a\n0,5\n30,6\n20,4\n")).names == ("time", "a")
    assert read_table(put("speed,a\n0,5\n10,6\n20,4\n")).names == ("speed", "a")


def test_regime(put):
    s = read_table(put("mode,a\n10,1\n9,2\n10,3\n"), regime="mode")
    assert (s.regime_names, s.regime.tolist(), s.names) == (("9", "10"), [1, 0, 1], ("a",))
    s = read_table(put("a,mode\n1,run\n2,idle\n"), regime="mode")
    assert (s.regime_names, s.regime.tolist()) == (("idle", "run"), [1, 0])


def test_small_habits_of_spreadsheets(put):
    assert read_table(put('sep=;\n"a";"b"\n"1,5";"2"\n')).values.tolist() == [[1.5, 2.0]]
    assert read_table(put("# logger 7\n\n# v2\na,b\n1,2\n")).values.tolist() == [[1.0, 2.0]]
    assert read_table(put("a,b\n1,2,\n3,4,,\n")).values.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert read_table(put("a,b\n1,2\n\n3,4\n\n\n")).shape == (2, 2)
    assert read_table(put("valve,x\nTrue,1\nFALSE,2\n")).values.tolist() == [[1, 1], [0, 2]]
    assert read_table(put("1.5,2\n3,4\n")).names == ("x0", "x1")
    assert read_table(put("0,1\n3,4\n")).names == ("0", "1")
    assert read_table(put("a,b\n\u22121,2\n")).values.tolist() == [[-1, 2]]
    assert read_table(put("flow\n1,5\n2,25\n")).values.ravel().tolist() == [1.5, 2.25]
    assert read_table(put("flow\n1\n\n3\n")).mask.ravel().tolist() == [True, False, True]


def test_gzip_and_tsv(put):
    assert read_table(put(gzip.compress(b"a,b\n1,2\n"), "t.csv.gz")).values.tolist() == [[1, 2]]
    assert read_table(put("a\tb\n1\t2\n", "t.TSV")).values.tolist() == [[1, 2]]


BAD = {
    "empty": ("", "is empty"),
    "blank": ("\n  \n", "is empty"),
    "header only": ("a,b\n", "no row of readings"),
    "all text": ("a,b\nx,y\nz,w\n", r"column 'a' must hold numbers, but line 2 holds 'x'.*It holds text.*--regime 'a'"),
    "thousands and decimals": ("a;b\n1.450,5;2\n1.300,5;3\n", r"line 2 holds '1.450,5'. Write numbers without a mark between thousands"),
    "a marker": ("a;b\n1,5;2\nn.v.;3\n", r"line 3 holds 'n.v.'. Remove the column, .*--na 'n.v.'\.$"),
    "title": ("Plant 7\n\nt;flow;level\n0;1,5;2\n1;2,5;3\n", r"line 1 \('Plant 7'\) looks like a title, and line 3 like the names"),
    "wide title": ("Plant 7;;\nMarch;;\nt;flow;level\n0;1;2\n1;2;3\n", r"line 1 \('Plant 7'\) looks like a title, and line 3 like the"),
    "title with a comma": (
        "# x\nPlant 7, hall 3\nt;flow;level\n0;1,5;2,5\n1;2,5;3,5\n",
        r"line 2 \('Plant 7, hall 3'\) looks like a title, and line 3",
    ),
    "one bad cell": ("a,b\n1,2\n\n3,4\n5,oops\n", r"column 'b' .* line 5 holds 'oops'"),
    "units": ("a,b\nm3/s,degC\n1,2\n", r"line 2 holds 'm3/s'.*If the line holds units, remove the line"),
    "no readings": ("a,b\nNA,\n,NA\n", "no cell of the 2 columns"),
    "duplicate": ("a,b,a\n1,2,3\n", r"columns 1 and 3 are both called 'a'"),
    "nameless": (",a,b\n0,1,2\n", r"column 1 has no name \(a row index"),
    "nameless middle": ("a,,b\n0,1,2\n", "column 2 has no name"),
    "short row": ("a,b,c\n1,2,3\n4,5\n", r"line 3 has 2 cells where the header has 3"),
    "long row": ("a,b\n1,2\n3,4,5\n", r"line 3 has 3 cells where the header has 2"),
    "thousands": ('a,b\n"1,234",2\n"5,678",3\n', "1234 or 1.234"),
    "mixed marks": ("a;b\n1,5;2.5\n", r"column 'a' .* line 2 holds '1,5'"),
    "date not first": ("a,day\n1,2024-01-01\n2,2024-01-02\n", r"column 'day' .*--time 'day'"),
    "broken date": ("day,a\n2024-01-01,1\n2024-13-77,2\n2024-01-03,2\n", r"line 3 has no usable time in column 'day'"),
    "unsorted": ("day,a\n2024-01-02,1\n2024-01-01,2\n", r"does not rise from line 2 .* to line 3"),
    "twice the same time": ("day,a\n2024-01-02,1\n2024-01-02,2\n", "does not rise"),
    "only time": ("day\n2024-01-01\n2024-01-02\n", "no column is left"),
    "excel": (b"PK\x03\x04rubbish", "not a text table"),
    "zero bytes": (b"a,b\n1,2\n" + b"\x00" * 5 + b"\n" * 500, "zero bytes"),
    "not utf-16": (b"\xff\xfea\x00b", None),
    "row of quotes": ('a,b\n"1,2\n3,4\n', None),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_text(put, name):
    content, message = BAD[name]
    path = put(content)
    with pytest.raises(TableError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_bad_options(put):
    path = put("temp,flow\n1,2\n")
    with pytest.raises(TableError, match=r"no column 'tmp' for --time; did you mean 'temp'\?"):
        read_table(path, time="tmp")
    with pytest.raises(TableError, match="no column 'mode' for --regime; the columns are temp, flow"):
        read_table(path, regime="mode")
    with pytest.raises(TableError, match="line 3 has no regime"):
        read_table(put("a,mode\n1,x\n2,\n"), regime="mode")
    with pytest.raises(TableError, match="line 3 has no usable time"):
        read_table(put("t,a\n1,1\n,2\n3,3\n"), time="t")


def test_bad_paths(tmp_path, put):
    (tmp_path / "empty").mkdir()
    for path, message in [
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "empty", "folder with no table"),
        (put("a\n1\n", "t.xlsx"), r"must end in one of \.csv"),
        (put("a\n1\n", "noending"), "must end in one of"),
        (put(b"\x1f\x8b\x08junk", "t.csv.gz"), "cannot be read"),
        (put(gzip.compress(b"a,b\n1,2\n" * 100)[:-20], "u.csv.gz"), "cannot be read"),
        (put("a,b\n1,2\n", "plain.csv.gz"), "cannot be read"),
        (put(b"PAR1 cut", "t.parquet"), "cannot be read as parquet"),
        (put(b"PK\x03\x04 cut", "t.npz"), "cannot be read as an .npz"),
        (put(b"", "v.npz"), "cannot be read as an .npz"),
    ]:
        with pytest.raises(TableError, match=message):
            read_table(path)
    with pytest.raises(TableError, match="at least one path"):
        read_tables([])


def test_long_lines_are_found_by_number_in_quoted_text(put):
    with pytest.raises(TableError, match="line 4 holds 'x'"):
        read_table(put('"a\nb",c\n1,2\n3,x\n'))
    with pytest.raises(TableError, match="line 4 holds 'x'"):
        read_table(put('a,c\n"1\n",2\n3,x\n'))
    assert read_table(put('"a\nb",c\n"1\n",2\n3,4\n')).names == ("a b", "c")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.one_of(st.binary(max_size=200), st.text(alphabet='ab01.,;|\t\n"-/: #\r', max_size=120).map(str.encode)))
def test_any_bytes_give_a_series_or_a_table_error(tmp_path, raw):
    path = tmp_path / "fuzz.csv"
    path.write_bytes(raw)
    try:
        assert isinstance(read_table(path), Series)
    except TableError:
        return


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.lists(st.floats(width=64, allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=6),
    separator=st.sampled_from([";", "\t", "|"]),
    comma=st.booleans(),
)
def test_numbers_survive_the_file(tmp_path, cells, separator, comma):
    if np.isnan(cells).all():
        return
    lines = [separator.join("" if np.isnan(x) else repr(x) for x in row) for row in cells]
    text = "\n".join(["a" + separator + "b" + separator + "c", *lines]) + "\n"
    (tmp_path / "t.csv").write_text(text.replace(".", ",") if comma else text)
    seen = read_table(tmp_path / "t.csv").values
    rows = np.flatnonzero(~np.isnan(cells).all(axis=1))[-1] + 1
    assert np.array_equal(seen, np.array(cells)[:rows], equal_nan=True)


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv.gz"])
def test_damaged_files_give_a_series_or_a_table_error(tmp_path, suffix):
    rng = np.random.default_rng(0)
    frame, path = pd.DataFrame(rng.normal(size=(20, 3)), columns=["a", "b", "c"]), tmp_path / f"t{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, values=frame.to_numpy())
    else:
        frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    whole = path.read_bytes()
    refused = 0
    for _ in range(150):
        raw = bytearray(whole)
        for place in rng.integers(0, len(raw), 4):
            raw[place] = rng.integers(256)
        path.write_bytes(raw[: rng.integers(1, len(raw))] if rng.random() < 0.3 else raw)
        try:
            read_table(path)
        except TableError:
            refused += 1
    assert refused > 50


def test_parquet(tmp_path):
    index = pd.date_range("2024-01-01", periods=3, freq="h", name="when")
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [1.5, None, 2.5], "on": [True, False, True]}, index=index)
    frame.to_parquet(tmp_path / "t.parquet")
    s = read_table(tmp_path / "t.parquet")
    assert s.names == ("a", "b", "on")
    assert s.time is not None
    assert np.diff(s.time).tolist() == [3600.0, 3600.0]
    assert s.mask.tolist() == [[True] * 3, [True, False, True], [True] * 3]
    pd.DataFrame({"a": [1.0], "b": [[1, 2]]}).to_parquet(tmp_path / "u.parquet")
    with pytest.raises(TableError, match=r"column 'b' must hold numbers, got list<.*give each of its parts a column"):
        read_table(tmp_path / "u.parquet")


def test_npy_is_a_table_without_names(tmp_path):
    values = np.arange(12.0).reshape(4, 3)
    values[1, 2] = np.nan
    np.save(tmp_path / "plain.npy", values)
    series = read_table(tmp_path / "plain.npy", na=("7",))
    assert series.names == ("x0", "x1", "x2")
    assert np.argwhere(~series.mask).tolist() == [[1, 2], [2, 1]]
    assert series.values[3].tolist() == [9.0, 10.0, 11.0]
    np.savez(tmp_path / "archive", values=values)
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    with pytest.raises(TableError, match="got an archive"):
        read_table(tmp_path / "archive.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "plain.npy").read_bytes()[:150])
    with pytest.raises(TableError, match="plain NumPy array"):
        read_table(tmp_path / "cut.npy")


def test_an_array_beside_tables_is_no_recording(tmp_path):
    (tmp_path / "one.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    np.save(tmp_path / "weights.npy", np.ones((2, 2)))
    assert read_table(tmp_path).shape == (2, 2)


def test_a_parquet_column_is_found_by_its_whole_name(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1.0, 2.0], "a.b": [3.0, None], "c": [5, 6]}), tmp_path / "t.parquet")
    series = read_table(tmp_path / "t.parquet")
    assert series.names == ("a", "a.b", "c")
    assert series.values[0].tolist() == [1.0, 3.0, 5.0]
    assert not series.mask[1, 1]


def test_npz(tmp_path):
    x = np.arange(6.0).reshape(3, 2)
    path = tmp_path / "t.npz"
    np.savez(path, values=x, mask=x > 0, names=["a", "b"], regime=[5, 5, 7])
    s = read_table(path)
    assert (s.names, s.mask.sum(), s.regime_names, s.regime.tolist()) == (("a", "b"), 5, ("5", "7"), [0, 0, 1])
    np.savez(path, X=np.zeros((4, 3, 2)))
    assert read_table(path).recording.tolist() == np.repeat(np.arange(4), 3).tolist()
    assert read_table(path).segments()[1] == slice(3, 6)
    for arrays, message in [
        ({"Y": x}, "no array 'values' or 'X'"),
        ({"X": x, "mask": x[:2]}, "must agree"),
        ({"X": x, "names": ["a"]}, "1 names for 2"),
        ({"X": x, "names": np.array(["a", None], dtype=object)}, "names must be plain .* got Python objects, which are never loaded"),
        ({"X": x[:, 0]}, "rows, sensors"),
        ({"X": np.array([["a"]])}, "must be numbers"),
        ({"X": x, "regime": [1]}, "one per row"),
        ({"X": x * np.nan}, "no cell"),
        ({"X": x, "time": [1, 0, 2]}, "does not rise"),
    ]:
        np.savez(path, **arrays)
        with pytest.raises(TableError, match=message):
            read_table(path)


def test_origin_folder_never_opens_the_truth(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3))
    np.save(tmp_path / "X.npy", x)
    np.save(tmp_path / "M.npy", (x > -1).astype(int))
    np.save(tmp_path / "e.npy", np.repeat([0, 1], 10))
    (tmp_path / "A_true.npy").write_bytes(b"not to be opened")
    s = read_table(tmp_path)
    assert (s.shape, s.mask.sum(), s.regime_names) == ((20, 3), (x > -1).sum(), ("0", "1"))
    np.save(tmp_path / "X.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(TableError, match=r"X\.npy: values must be plain .* got Python objects"):
        read_table(tmp_path)


def test_folder_of_recordings(tmp_path):
    for k in (10, 2, 1):
        (tmp_path / f"data_{k}.csv").write_text(f"a,b\n{k},1\n{k},2\n")
    (tmp_path / "truth.csv").write_text("cause,effect\na,b\n")
    s = read_table(tmp_path)
    assert s.values[:, 0].tolist() == [1, 1, 2, 2, 10, 10]
    assert s.recording.tolist() == [0, 0, 1, 1, 2, 2]
    joined = read_tables([tmp_path / "data_1.csv", tmp_path / "data_2.csv"])
    assert joined.recording.tolist() == [0, 0, 1, 1]
    (tmp_path / "data_2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(TableError, match="same columns"):
        read_table(tmp_path)


def test_every_reader_reads_what_it_is_named_after(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    for suffix in READERS:
        path = tmp_path / f"t{suffix}"
        if suffix == ".parquet":
            frame.to_parquet(path)
        elif suffix == ".npz":
            np.savez(path, values=frame.to_numpy(), names=["a", "b"])
        elif suffix == ".npy":
            np.save(path, frame.to_numpy())
        else:
            text = frame.to_csv(index=False, sep="\t" if "tsv" in suffix else ",").encode()
            path.write_bytes(gzip.compress(text) if suffix.endswith(".gz") else text)
        s = read_table(path)
        names = ("x0", "x1") if suffix == ".npy" else ("a", "b")
        assert (s.names, s.values.tolist()) == (names, [[1, 3], [2, 4]]), suffix


def test_decode_and_layout():
    assert decode("a;b\r\n1;2\r".encode("utf-16"), "x") == "a;b\n1;2\n"
    assert find_layout("a|b|c\n1|2|3\n", "x").separator == "|"


def test_import_is_cheap():
    code = (
        "import sys, rcgnn.data.readers, rcgnn.data.frames, rcgnn.data.quality, rcgnn.data.cleaning; "
        "sys.exit(any(m in sys.modules for m in ('pandas', 'pyarrow', 'narwhals', 'torch', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_data
def test_development_sets():
    air = read_table(AIR)
    assert air.shape == (9357, 13)
    assert air.mask.mean() == pytest.approx(0.8627, abs=1e-3)
    assert read_table(DATA / "petshop_latency_low").shape == (589, 34)
    assert read_table(DATA / "danube").shape == (13790, 23)
    fmri = read_table(DATA / "fmri_feedback_network6_amp")
    assert (fmri.shape, fmri.recording.max()) == ((5000, 8), 9)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("flow\n1,5\n2,5\n", ("flow",)),
        ('"flow\nm3/h","temp\nC"\n1,2\n3,4\n', ("flow m3/h", "temp C")),
        ("a;b\n1;2;\nna;na;\n3;4;\n", ("a", "b")),
    ],
    ids=["one column with commas", "names over two lines", "a separator more in every row"],
)
def test_a_header_is_not_taken_for_a_title(put, content, names):
    assert read_table(put(content)).names == names


@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "table.npz"])
def test_columns_are_left_out_of_every_kind_of_file(tmp_path, name):
    path = tmp_path / name
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]})
    if name.endswith("npz"):
        np.savez(path, values=frame.to_numpy(), names=np.array(list("abc")))
    else:
        frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path)
    assert read_table(path, drop="b").names == ("a", "c")
    assert read_tables([path, path], drop=["b"], max_cells=8 if name.endswith("parquet") else 12).values.tolist() == [[1, 5], [2, 6]] * 2
    with pytest.raises(TableError, match="there is no column 'd' for --drop"):
        read_table(path, drop=["d"])
    with pytest.raises(TableError, match="--drop leaves one sensor, 'a'; links need 2"):
        read_table(path, drop=["b", "c"])


def test_a_parquet_column_that_is_no_number_may_be_left_out(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [1.0, 2.0], "parts": [[1, 2], [3]], "c": [5.0, 6.0]}).to_parquet(path)
    with pytest.raises(TableError, match="'parts' must hold numbers"):
        read_table(path)
    assert read_table(path, drop=["parts"]).names == ("a", "c")
