"""Nasty Parquet files, NumPy files and paths."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from hostile.entry import Entry, Write, answered, raw, refused
from hostile.texts import AB, TWO

NAN = float("nan")
VIEWED = pa.string_view() if int(pa.__version__.split(".")[0]) >= 18 else pa.string()
"""Texts that Parquet takes from pyarrow 18 on."""
HOURS = [dt.datetime(2024, 3, 31, h, tzinfo=dt.UTC) for h in range(3)]


def table(name: str = "table.parquet", *, options: dict[str, Any] | None = None, **columns: Any) -> Write:
    """A Parquet file with these columns."""

    def write(folder: Path) -> Path:
        parquet.write_table(pa.table(columns), folder / name, **(options or {}))
        return folder / name

    return write


def changed(write: Write, change: Callable[[bytes], bytes]) -> Write:
    """The same file, changed."""

    def rewrite(folder: Path) -> Path:
        path = write(folder)
        path.write_bytes(change(path.read_bytes()))
        return path

    return rewrite


def encrypted(folder: Path) -> Path:
    """A Parquet file whose footer is encrypted."""
    path = folder / "table.parquet"
    path.write_bytes(b"PARE" + b"\x07" * 200 + (100).to_bytes(4, "little") + b"PARE")
    return path


def named_twice(folder: Path) -> Path:
    parquet.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"]), folder / "table.parquet")
    return folder / "table.parquet"


def claims_rows(content: bytes) -> bytes:
    """A file of 3 rows whose footer speaks of many more: the varint of `num_rows` is made larger in its place."""
    return content.replace(b"\x16\x06\x19", b"\x16\x7e\x19")


A = pa.array([1.0, 2.0, 3.0])
ONE = table(a=A)
PARQUET: dict[str, Entry] = {
    "numbers of all kinds": Entry(
        table(
            int8=pa.array([1, 2], pa.int8()),
            uint64=pa.array([1, 2**64 - 1], pa.uint64()),
            half=pa.array(np.array([1, 2], np.float16)),
            decimal128=pa.array([decimal.Decimal("1.50"), None], pa.decimal128(38, 2)),
            decimal256=pa.array([decimal.Decimal("1.50"), decimal.Decimal(2)], pa.decimal256(60, 2)),
            bool=pa.array([True, None]),
            null=pa.array([None, None]),
        ),
        values=[[1, 1, 1, 1.5, 1.5, 1, NAN], [2, float(2**64 - 1), 2, NAN, 2, NAN, NAN]],
    ),
    "integers beyond 2^53": Entry(table(a=pa.array([2**53 + 2, 2**62])), values=[[float(2**53 + 2)], [float(2**62)]]),
    "dictionary of numbers": Entry(table(a=pa.array([1.5, 2.5, 1.5]).dictionary_encode()), values=[[1.5], [2.5], [1.5]]),
    "dictionary of texts that are numbers": Entry(table(a=pa.array(["1.5", "NA", "2"]).dictionary_encode()), values=[[1.5], [NAN], [2]]),
    "dictionary of words": Entry(
        table(a=pa.array(["low", "high"]).dictionary_encode()), refused="column 'a' must hold numbers, but row 1 holds 'low'"
    ),
    "large and viewed texts": Entry(
        table(a=pa.array(["1", "2"], pa.large_string()), b=pa.array(["3", "4"], VIEWED)), values=[[1, 3], [2, 4]]
    ),
    "bytes": Entry(table(a=pa.array([b"1", b"\xff"])), refused="column 'a' must hold numbers, but row 1 holds b'1'"),
    "bytes of fixed length": Entry(
        table(a=pa.array([b"12", b"34"], pa.binary(2))), refused="column 'a' must hold numbers, but row 1 holds b'12'"
    ),
    "lists": Entry(
        table(a=A, b=pa.array([[1], [2, 3], []])), refused="column 'b' must hold numbers, got list<.*give each of its parts a column"
    ),
    "structs": Entry(table(b=pa.array([{"x": 1, "y": 2}])), refused="column 'b' must hold numbers, got struct<"),
    "maps": Entry(table(b=pa.array([[("x", 1)]], pa.map_(pa.string(), pa.int64()))), refused="column 'b' must hold numbers, got map<"),
    "structs of lists of structs": Entry(table(b=pa.array([{"x": [{"y": [1]}]}])), refused="column 'b' must hold numbers, got struct<"),
    "a column of empty structs": Entry(
        table(a=A, b=pa.array([None] * 3, pa.list_(pa.null()))), refused="column 'b' must hold numbers, got list<"
    ),
    "stamps with a zone": Entry(table(when=pa.array(HOURS, pa.timestamp("us", "Europe/Berlin")), a=A), steps=[3600, 3600], names=("a",)),
    "stamps in nanoseconds": Entry(table(when=pa.array([1, 1001, 2001], pa.timestamp("ns")), a=A), steps=[1e-6, 1e-6], names=("a",)),
    "stamps of an unknown zone": Entry(table(when=pa.array(HOURS, pa.timestamp("us", "Mars/Olympus")), a=A), steps=[3600, 3600]),
    "stamps, one missing": Entry(
        table(when=pa.array([HOURS[0], None, HOURS[2]]), a=A), refused="row 2 has no usable time in column 'when'.*got None"
    ),
    "stamps far away": Entry(table(when=pa.array([-(2**62), 0, 2**62], pa.timestamp("ms")), a=A), steps=[2**62 / 1e3] * 2),
    "stamps, far away, one of them missing": Entry(
        table(when=pa.array([2**62, None, 2**62], pa.timestamp("ms")), a=A), refused="row 2 has no usable time"
    ),
    "stamps, far away and not rising": Entry(
        table(when=pa.array([2**62, 2**62, 2**62 + 10**9], pa.timestamp("ms")), a=A), refused="time does not rise from row 1"
    ),
    "dates": Entry(table(day=pa.array([1, 2, 3], pa.date32()), a=A), steps=[86_400, 86_400]),
    "times of day": Entry(table(t=pa.array([1, 2, 3], pa.time32("s")), a=A), steps=[1, 1]),
    "durations": Entry(table(t=pa.array([1, 2, 3], pa.duration("s")), a=A), steps=[1, 1]),
    "stamps as a sensor": Entry(
        table(a=A, when=pa.array(HOURS)), refused="column 'when' must hold numbers.*It holds dates: name it with --time 'when'"
    ),
    "names that are empty": Entry(table(**{"": A, "b": A}), refused="column 1 has no name"),
    "names twice": Entry(named_twice, refused="columns 1 and 2 are both called 'a'"),
    "a name with control characters": Entry(table(**{"a\nb\x1b[2J": A}), names=("a\nb\x1b[2J",)),
    "no column": Entry(table(), refused="no row of readings|no column"),
    "no row": Entry(table(a=A.slice(0, 0)), refused="no row of readings; expected at least one row"),
    "10,000 columns": Entry(table(**{f"s{k}": pa.array([1.0]) for k in range(10_000)}), values=[[1.0] * 10_000]),
    "a billion rows of one value": Entry(
        table(a=pa.chunked_array([pa.repeat(pa.scalar(1, pa.int8()), 10**7)]), options={"compression": "zstd"}),
        refused="expected at most 1,000,000 cells, got 10,000,000 rows x 1 columns",
        options={"max_cells": 10**6},
    ),
    "long texts, often": Entry(
        table(a=pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), 100_000), ["x" * 10_000])),
        refused=r"column 'a' must hold numbers, but one cell holds 10,000 bytes of text \('xxx.*remove the column",
    ),
    "texts, very often": Entry(
        table(a=pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), 200_000), ["x" * 400])),
        refused="column 'a': expected at most 200,000 cells, in a text of at most 67 MB",
        options={"max_cells": 200_000},
    ),
    "encrypted": Entry(encrypted, refused="expected a plain parquet file, got an encrypted one; decrypt it"),
    "cut at the end": Entry(changed(ONE, lambda whole: whole[:-10]), refused="cannot be read as parquet .*is the file complete"),
    "cut in half": Entry(changed(ONE, lambda whole: whole[: len(whole) // 2]), refused="cannot be read as parquet"),
    "start cut off": Entry(changed(ONE, lambda whole: whole[40:]), refused="cannot be read as parquet"),
    "a page of an unknown kind": Entry(
        changed(table(a=A, b=A), lambda whole: whole[:5] + b"\x06" + whole[6:]),
        refused="column 'a' has 0 rows, expected 3 as the footer says; is the file complete",
    ),
    "wrong magic": Entry(changed(ONE, lambda whole: whole[:-4] + b"ORC1"), refused="cannot be read as parquet .*magic"),
    "footer longer than the file": Entry(
        changed(ONE, lambda whole: whole[:-8] + b"\xff\xff\xff\x7fPAR1"), refused="cannot be read as parquet"
    ),
    "CSV called parquet": refused(AB, "cannot be read as parquet", name="table.parquet"),
    "Parquet called csv": Entry(changed(table("table.csv", a=A), bytes), refused="not a text table"),
    "empty": refused("", "cannot be read as parquet", name="table.parquet"),
}


def npy(header: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An array file with this header, true or not."""
    told = header.encode("latin-1") + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(told))
    return b"\x93NUMPY" + bytes(version) + size + told + body


def head(shape: str, kind: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"


def npz(bombed: int = 0, **members: bytes) -> bytes:
    """An archive of array files; the last one gets `bombed` bytes of zeros more."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, member in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(member)
                for _ in range(bombed // 2**20):
                    file.write(bytes(2**20))
    return content.getvalue()


def saved(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


class Trap:
    """Ends the test if it is ever unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest_is_gone, ())


def pytest_is_gone() -> None:
    raise SystemExit("a pickle was opened")


X = np.array(TWO)
NUMPY: dict[str, Entry] = {
    "npy": answered(saved(X), TWO, name="table.npy"),
    "npy, Fortran order": answered(saved(np.asfortranarray(X)), TWO, name="table.npy"),
    "npy, big-endian": answered(saved(X.astype(">f4")), TWO, name="table.npy"),
    "npy, long doubles": answered(saved(X.astype(np.longdouble)), TWO, name="table.npy"),
    "npy, booleans": answered(saved(X > 1), [[0, 1], [1, 1]], name="table.npy"),
    "npy, complex": refused(saved(X * 1j), "values must be numbers, got an array of complex128", name="table.npy"),
    "npy, texts": refused(saved(np.array([["1"]])), "values must be numbers, got an array of <U1", name="table.npy"),
    "npy, records": refused(saved(np.zeros(2, [("a", float)])), r"values must be numbers|rows, sensors", name="table.npy"),
    "npy, stamps": refused(saved(X.astype("M8[s]")), "values must be numbers", name="table.npy"),
    "npy, a number": refused(saved(np.float64(3)), r"readings must be \[rows, sensors\]", name="table.npy"),
    "npy, one dimension": refused(saved(X[0]), r"readings must be \[rows, sensors\]", name="table.npy"),
    "npy, no rows": refused(saved(X[:0]), r"not empty, got shape \(0, 2\)", name="table.npy"),
    "npy, all missing": refused(saved(X * NAN), "no cell of the 2 sensors holds a reading", name="table.npy"),
    "npy, a pickle within": refused(
        saved(np.array([[Trap()]], dtype=object)), "got Python objects, which are never loaded", name="table.npy"
    ),
    "npy, a pickle alone": refused(b"\x80\x04cos\nsystem\n(S'true'\ntR.", "cannot be read as a plain NumPy array", name="table.npy"),
    "npy, claims 10^18 cells": refused(
        npy(head("(10**9, 10**9)".replace("10**9", "1000000000"))), "at most 20,000 columns", name="table.npy"
    ),
    "npy, claims 10^14 cells": refused(
        npy(head("(1000000000000, 100)")), "expected at most .* cells, got 1,000,000,000,000 rows x 100", name="table.npy"
    ),
    "npy, claims more than 64 bits": refused(npy(head(f"({2**70}, 2)")), "expected at most .* cells", name="table.npy"),
    "npy, claims less than nothing": refused(npy(head("(-1, 2)"), bytes(64)), "cannot be read as a plain NumPy array", name="table.npy"),
    "npy, claims more than there is": refused(npy(head("(100, 2)"), bytes(64)), "cannot be read as a plain NumPy array", name="table.npy"),
    "npy, header of brackets": refused(npy("(" * 9000), "cannot be read as a plain NumPy array", name="table.npy"),
    "npy, header of Python 2": answered(npy(head("(1L, 2L)"), X[0].tobytes()), [[1, 2]], name="table.npy"),
    "npy, header that is a call": refused(npy("__import__('os').abort()"), "cannot be read as a plain NumPy array", name="table.npy"),
    "npy, unknown version": refused(npy(head("(1, 2)"), version=(9, 0)), "cannot be read as a plain NumPy array", name="table.npy"),
    "npy, cut": refused(saved(X)[:-3], "cannot be read as a plain NumPy array", name="table.npy"),
    "npy, huge words": refused(npy(head("(1, 1)", "'<U500000000'")), "values claims 2,000,000,000 bytes", name="table.npy"),
    "npz called npy": refused(npz(values=saved(X)), "got an archive; name the file .npz", name="table.npy"),
    "npz": answered(npz(values=saved(X), names=saved(np.array(["p", "q"]))), TWO, names=("p", "q"), name="table.npz"),
    "npz, nothing in it": refused(npz(), "no array 'values' or 'X' in the archive, only nothing", name="table.npz"),
    "npz, a pickle as names": refused(
        npz(values=saved(X), names=saved(np.array([Trap(), 1], object))), "names must be plain", name="table.npz"
    ),
    "npz, a bomb that tells": refused(
        npz(2**28, values=npy(head("(33554432, 1)"))),
        "expected at most 1,000,000 cells, got 33,554,432 rows",
        name="table.npz",
        max_cells=10**6,
    ),
    "npz, a bomb that lies": answered(npz(2**24, values=npy(head("(2, 1)"))), [[0], [0]], name="table.npz", options={"max_cells": 10**6}),
    "npz, a mask that is a bomb": refused(
        npz(2**24, values=saved(X), mask=npy(head("(16777216, 1)", "'|b1'"))),
        "mask: expected at most 1,000,000 cells",
        name="table.npz",
        max_cells=10**6,
    ),
    "npz, names that are a bomb": refused(
        npz(2**24, values=saved(X), names=npy(head("(1,)", "'<U67108864'"))), "names claims 268,435,456 bytes", name="table.npz"
    ),
    "npz, cut": refused(npz(values=saved(X))[:-30], "cannot be read as an .npz archive", name="table.npz"),
    "npz, a text within": refused(npz(values=b"1,2"), "cannot be read as an .npz archive of plain arrays", name="table.npz"),
    "npz, mask of another shape": refused(npz(values=saved(X), mask=saved(X[:1])), "the mask has shape", name="table.npz"),
    "npz, regimes that are missing": refused(
        npz(values=saved(X), regime=saved(np.array([1, NAN]))), "regime of row 2 is missing", name="table.npz"
    ),
    "npz, time that is infinite": refused(
        npz(values=saved(X), time=saved(np.array([1, np.inf]))), "one finite stamp per row", name="table.npz"
    ),
}


def link(target: str, *, there: bool = True) -> Write:
    """A symbolic link."""

    def write(folder: Path) -> Path:
        if there:
            (folder / target).write_text(AB)
        (folder / "table.csv").symlink_to(target)
        return folder / "table.csv"

    return write


def made(make: Callable[[Path], Any], name: str = "table.csv") -> Write:
    """What `make` puts at a path."""

    def write(folder: Path) -> Path:
        make(folder / name)
        return folder / name

    return write


def given(path: str) -> Write:
    return lambda folder: Path(path) if path.startswith("/") else folder / path


def unreadable(path: Path) -> None:
    path.write_text(AB)
    path.chmod(0)


def device(name: str) -> Write:
    """A link to a device with a proper ending."""
    return made(lambda path: path.symlink_to(name))


PATHS: dict[str, Entry] = {
    "absent": Entry(given("none.csv"), refused="there is no such file; check the path"),
    "absent folder": Entry(given("no/such/none.csv"), refused="there is no such file; check the path"),
    "a link": Entry(link("other.csv"), values=TWO),
    "a link to nothing": Entry(link("gone.csv", there=False), refused="got a link to 'gone.csv', which is not there; correct the link"),
    "a link to itself": Entry(link("table.csv", there=False), refused="got a link that leads back to itself; correct the link"),
    "a folder called csv": Entry(made(Path.mkdir), refused="a folder with no table in it; expected X.npy or files ending in"),
    "a pipe": Entry(made(os.mkfifo), refused="expected a file, got a pipe; write what comes out of it into a file first"),
    "a pipe called parquet": Entry(made(os.mkfifo, "table.parquet"), refused="expected a file, got a pipe"),
    "zeros without end": Entry(device("/dev/zero"), refused="expected a file, got a device"),
    "nothing without end": Entry(device("/dev/null"), refused="expected a file, got a device"),
    "chance without end": Entry(device("/dev/urandom"), refused="expected a file, got a device"),
    "no ending": Entry(raw(AB.encode(), "table"), refused="the file name must end in one of"),
    "a spreadsheet": Entry(raw(b"PK\x03\x04", "table.xlsx"), refused="the file name must end in one of .*got '.xlsx'"),
    "a name with a line break": Entry(raw(b"a,b\n1,x\n", "ta\nble.csv"), refused=r"ta\\nble.csv: column 'b' must hold numbers"),
    "a name with an escape": Entry(raw(b"a,b\n1,x\n", "\x1b[2Jtable.csv"), refused=r"\\x1b\[2Jtable.csv: column 'b'"),
    "a name with blanks and quotes": Entry(raw(AB.encode(), ' it\'s "my" table.csv'), values=TWO),
    "a name that is too long": Entry(given("n" * 300 + ".csv"), refused="cannot be read .*check the path"),
    "a name with NUL": Entry(given("ta\x00ble.csv"), refused="there is no such file"),
    "a sparse file of 100 GB": Entry(
        made(lambda path: [path.touch(), os.truncate(path, 10**11)]), refused="expected at most .* cells|holds zero bytes"
    ),
    "a file that fails when it is read": Entry(device("/proc/self/mem"), refused="cannot be read .*is the file complete"),
    "a folder of pipes": Entry(made(lambda p: [p.mkdir(), os.mkfifo(p / "data.csv")], "folder"), refused="a folder with no table in it"),
    "a folder with an array that is a pipe": Entry(
        made(lambda p: [p.mkdir(), os.mkfifo(p / "X.npy")], "folder"), refused="a folder with no table"
    ),
    "a folder of links in a circle": Entry(
        made(lambda p: [p.mkdir(), (p / "data").symlink_to(p)], "folder"), refused="a folder with no table"
    ),
}
if os.geteuid() != 0:  # root may read everything
    PATHS["without permission"] = Entry(made(unreadable), refused="cannot be read .*Permission denied")
BINARIES = {**{f"Parquet: {k}": v for k, v in PARQUET.items()}, **NUMPY, **{f"path: {k}": v for k, v in PATHS.items()}}
