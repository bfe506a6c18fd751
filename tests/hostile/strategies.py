"""Hypothesis strategies: tables and settings as people write them, and what storms, editors and attackers make of them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import yaml
from hypothesis import strategies as st
from pyarrow import parquet

from hostile.absurd import COLUMNS, as_csv, mixed
from rcgnn.config import Config, Section

Draw = Callable[[Any], Any]


class File(NamedTuple):
    """A file to be read.

    Attributes:
        name: what it is called.
        content: its bytes.
        options: of `read_table`.
    """

    name: str
    content: bytes
    options: dict[str, Any]


MISSING = ["", "NA", "nan", "#N/A", "null", "-9999", "-200", "?", " ", "<NA>", "inf", "-inf", "NaT"]
ODD = [
    "1,234",
    "1.234,5",
    "1 234",
    "0x1f",
    "1e400",
    "5%",
    "1/2",
    "--1",
    "1.2.3",
    '"',
    "'",
    "=1+1",
    "\u221217",
    "\u0661",
    "1_0",
    "1e5e5",
    "+",
    ".",
    ",",
]
WORDS = ["on", "off", "true", "False", "low", "Ärger", "a b", "x;y", "sep=;", "#", "\x00", "\x1b[2J", "\u202e", "🚰", "\ufeff", "n" * 200]
DATES = [
    "2024-01-{:02}",
    "{:02}/01/2024",
    "01/{:02}/2024",
    "2024-03-31T{:02}:00:00+01:00",
    "{:02}.01.24 06:30",
    "{:02} Jan 2024",
    "{:02}:00:00",
]
NAMES = ["a", "b", "flow", "time", "Date", "t", "index", "mode", "x0", "unnamed: 0", "Temp °C", "a.b", "CO(GT)", "p_1"]
STRANGE = ["", " ", "a", '"q"', "\x1b[1m", "data\nline", "1", "\ufeff", "\x00"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]

number = st.one_of(
    st.floats(width=64).map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:.3f}"),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:.2f}".replace(".", ",")),
)
junk = st.one_of(st.sampled_from(ODD + WORDS), st.text(max_size=6))


names_of = st.one_of(st.permutations(NAMES), st.permutations(NAMES), st.permutations(NAMES), st.permutations([*NAMES[:4], *STRANGE]))
"""Names for columns: mostly those that a table has, all different."""


def rarely(one_in: int) -> st.SearchStrategy[bool]:
    """True once in so many times; shrinks to False."""
    return st.sampled_from([False] * (one_in - 1) + [True])


@st.composite
def text_column(draw: Draw, rows: int) -> list[str]:
    """Cells of one column of a text table, mostly of one kind."""
    kind = draw(st.sampled_from(["plain", "plain", "plain", "plain", "number", "counter", "date", "word", "mixed"]))
    if kind == "counter":
        start, step = draw(st.integers(-3, 10**13)), draw(st.integers(-1, 60_000))
        return [str(start + k * step) for k in range(rows)]
    if kind == "date":
        form, start = draw(st.sampled_from(DATES)), draw(st.integers(1, 12))
        cells = [form.format(start + k) for k in range(rows)]
    elif kind == "plain":
        cells = [f"{x:.2f}" for x in np.random.default_rng(draw(st.integers(0, 99))).normal(size=rows)]
    else:
        cell = {"number": number, "word": st.sampled_from(WORDS), "mixed": st.one_of(number, junk, st.sampled_from(MISSING))}[kind]
        cells = draw(st.lists(cell, min_size=rows, max_size=rows))
    if rows and draw(rarely(3)):
        cells[draw(st.integers(0, rows - 1))] = draw(st.sampled_from(MISSING))
    if rows and draw(rarely(10)):
        cells[draw(st.integers(0, rows - 1))] = draw(junk)
    return cells


@st.composite
def text_files(draw: Draw) -> File:
    """A text table in some layout and encoding, spoilt or not."""
    rows, width = draw(st.integers(0, 12)), draw(st.integers(1, 5))
    names = list(draw(names_of)[:width])
    columns = [draw(text_column(rows)) for _ in range(width)]
    separator, end = draw(st.sampled_from([*",;\t|" * 3, *" :"])), draw(st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n"]))
    quote = draw(st.sampled_from(["", "", "", '"', "'"]))
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in line) for line in zip(*columns, strict=True)]
    head = draw(st.sampled_from([[], [], [], ["# logger"], ["Plant 7", ""], [f"sep={separator}"]]))
    lines = [*head, *([] if draw(rarely(6)) else [separator.join(names)]), *lines]
    while lines and draw(rarely(5)):
        lines = draw(st.sampled_from(LINE_CHANGES))(lines, draw(st.integers(0, len(lines) - 1)), separator)
    content = end.join(lines).encode(draw(st.sampled_from(ENCODINGS)), "replace")
    suffix = draw(st.sampled_from([".csv", ".csv", ".tsv", ".txt", ".csv.gz"]))
    if suffix.endswith("gz"):
        content = gzip.compress(draw(spoilt(content)), mtime=0)
    return File(f"table{suffix}", draw(spoilt(content)), draw(options(names)))


LINE_CHANGES: list[Callable[[list[str], int, str], list[str]]] = [
    lambda lines, k, _: [*lines[: k + 1], *lines[k:]],
    lambda lines, k, _: lines[:k] + lines[k + 1 :],
    lambda lines, k, _: lines[k:] + lines[:k],
    lambda lines, k, mark: [*lines[:k], lines[k] + mark, *lines[k + 1 :]],
    lambda lines, k, mark: [*lines[:k], lines[k].rpartition(mark)[0], *lines[k + 1 :]],
    lambda lines, k, _: [*lines[:k], '"' + lines[k], *lines[k + 1 :]],
    lambda lines, _, __: lines[::-1],
]
"""Lines doubled, lost, turned, longer, shorter, with a quote left open, upside down."""


@st.composite
def options(draw: Draw, names: list[str]) -> dict[str, Any]:
    """What a user says about a table: mostly nothing, sometimes wrong."""
    column = st.sampled_from([*names, "nowhere"])
    given: dict[str, Any] = {}
    if draw(rarely(8)):
        given["time"] = draw(column)
    if draw(rarely(8)):
        given["regime"] = draw(column)
    if draw(rarely(4)):
        given["na"] = draw(st.lists(st.sampled_from([*MISSING, "1", "inf", "[", "\\"]), max_size=2))
    if draw(rarely(10)):
        given["max_cells"] = draw(st.integers(1, 20))
    return given


@st.composite
def sound_files(draw: Draw) -> File:
    """A text table as a logger writes it, with at most one thing that is odd."""
    rows, width = draw(st.integers(1, 30)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = list(draw(st.permutations(NAMES))[:width])
    cells = [[f"{x:.3f}" for x in rng.normal(draw(st.integers(-50, 50)), 3, width)] for _ in range(rows)]
    if draw(st.booleans()):
        form = draw(st.sampled_from(["2024-01-01 {:02}:30", "{:02}.01.2024", "{}", "2024-01-01T00:{:02}:00Z"]))
        names, cells = ["time", *(f"s{k}" for k in range(width))], [[form.format(k % 24 + 1), *line] for k, line in enumerate(cells)]
    separator, comma = draw(st.sampled_from([(",", False), (";", False), (";", True), ("\t", False), ("\t", True)]))
    if comma:
        cells = [[cell.replace(".", ",") for cell in line] for line in cells]
    for _ in range(draw(st.integers(0, 3))):
        cells[draw(st.integers(0, rows - 1))][-1] = draw(st.sampled_from(MISSING))
    if draw(st.booleans()):
        line = cells[draw(st.integers(0, rows - 1))]
        line[draw(st.integers(0, len(line) - 1))] = draw(st.one_of(number, junk))
    content = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(separator.join(line) for line in [names, *cells])
    return File("table.csv", content.encode(draw(st.sampled_from(ENCODINGS)), "replace"), draw(options(names)))


@st.composite
def spoilt(draw: Draw, content: bytes) -> bytes:
    """The bytes, mostly as they are; else with a few changed, lost, put in, or written twice."""
    raw = bytearray(content)
    for _ in range(draw(st.sampled_from([0] * 9 + [1, 2, 8]))):
        place = draw(st.integers(0, max(len(raw) - 1, 0)))
        change = draw(st.sampled_from(["byte", "byte", "bit", "cut", "lose", "insert", "twice", "number"]))
        if change == "cut":
            del raw[place:]
        elif change == "lose":
            del raw[place : place + draw(st.integers(1, 8))]
        elif change == "insert":
            raw[place:place] = draw(st.binary(min_size=1, max_size=6))
        elif change == "twice":
            raw[place:place] = raw[place : place + draw(st.integers(1, 60))]
        elif change == "number":
            raw[place : place + 8] = draw(st.sampled_from([b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7, b"\xff\xff\xff\x7f"]))
        elif raw:
            raw[place] = draw(st.integers(0, 255)) if change == "byte" else raw[place] ^ (1 << draw(st.integers(0, 7)))
    return bytes(raw)


KINDS: list[pa.DataType] = [
    pa.float64(), pa.float32(), pa.float16(), pa.int8(), pa.int64(), pa.uint64(), pa.bool_(), pa.null(), pa.string(), pa.large_string(),
    pa.binary(), pa.decimal128(38, 3), pa.decimal256(50, 3), pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.duration("us"),
    pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns"), pa.list_(pa.int8()),
    pa.struct([("x", pa.float64())]), pa.map_(pa.string(), pa.int8()), pa.binary(3), pa.string_view(),
]  # fmt: skip


@st.composite
def arrow_column(draw: Draw, rows: int) -> Any:
    """A column of any Arrow kind, whole numbers read as that kind, some cells missing."""
    kind = draw(st.sampled_from([*[pa.float64(), pa.float32(), pa.int64()] * 9, *KINDS]))
    numbers = draw(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 100), min_size=rows, max_size=rows))
    cells: list[Any] = [None if draw(rarely(10)) else n for n in numbers]
    if draw(rarely(3)):
        cells = sorted(set(numbers)) + [None] * (rows - len(set(numbers)))
    column = as_kind(cells, kind)
    return column.dictionary_encode() if draw(rarely(10)) and not pa.types.is_nested(kind) else column


def as_kind(cells: list[Any], kind: pa.DataType) -> Any:
    """The numbers as cells of that kind; as numbers where it does not take them."""
    forms: dict[str, Callable[[int], Any]] = {
        "string": str, "large_string": str, "string_view": str, "binary": lambda n: str(n).encode(),
        "list<item: int8>": lambda n: [n % 100] * (n % 3), "null": lambda _: None, "fixed_size_binary[3]": lambda _: bytes(3),
        "struct<x: double>": lambda n: {"x": float(n)},
        "map<string, int8>": lambda n: [(str(n), n % 100)], "bool": lambda n: n % 2 == 0,
        "float": float, "double": float, "halffloat": lambda n: np.float16(n % 1000), "int8": lambda n: n % 100, "uint64": abs,
    }  # fmt: skip
    form = forms.get(str(kind), lambda n: n)
    try:
        return pa.array([None if n is None else form(n) for n in cells], kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        try:
            return pa.array([None if n is None else n % 1000 for n in cells], pa.int64()).cast(pa.int32()).cast(kind)
        except (pa.ArrowException, NotImplementedError):
            return pa.array([None if n is None else float(n) for n in cells])


@st.composite
def parquet_files(draw: Draw) -> File:
    """A Parquet file of any kinds, spoilt or not."""
    rows, width = draw(st.integers(0, 6)), draw(st.integers(1, 4))
    names = list(draw(names_of)[:width])
    columns = [draw(arrow_column(rows)) for _ in range(width)]
    out = io.BytesIO()
    packing = draw(st.sampled_from(["none", "snappy", "gzip", "zstd"]))
    try:
        parquet.write_table(pa.Table.from_arrays(columns, names=names), out, compression=packing)
    except (pa.ArrowException, NotImplementedError):
        parquet.write_table(pa.table({"a": [1.0] * rows}), out)
    return File("table.parquet", draw(spoilt(out.getvalue())), draw(options(names)))


@st.composite
def numpy_files(draw: Draw) -> File:
    """An array, or an archive of arrays, spoilt or not."""
    kind = draw(st.sampled_from(["f8", "f8", "f8", "f8", "i4", ">f4", "f2", "i1", "u8", "?", "c16", "U3", "S2", "M8[s]", "O"]))
    shape = draw(st.sampled_from([(4, 2), (4, 2), (4, 2), (2, 3, 2), (), (3,), (0, 2), (2, 0), (1, 1, 1, 1)]))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 9, shape)
    array = (
        values * 1j
        if kind == "c16"
        else values.astype("i4").view("V4")
        if kind == "V4" and shape
        else values.astype(kind if kind != "V4" else "f8")
    )
    out = io.BytesIO()
    if draw(st.booleans()):
        np.save(out, np.asfortranarray(array) if draw(st.booleans()) else array, allow_pickle=True)
        return File("table.npy", draw(spoilt(out.getvalue())), draw(options([])))
    rows = shape[0] if shape else 1
    beside = {
        "mask": array > 1 if kind == "f8" else array,
        "names": np.array(["a", "b"]),
        "regime": np.arange(rows),
        "time": np.arange(rows) / 3,
    }
    parts = {draw(st.sampled_from(["values", "X", "X", "x"])): array} | {name: part for name, part in beside.items() if draw(rarely(3))}
    (np.savez_compressed if draw(st.booleans()) else np.savez)(out, **parts)
    return File("table.npz", draw(spoilt(out.getvalue())), draw(options([])))


def table_files() -> st.SearchStrategy[File]:
    """A file of any format; one in ten is called another."""
    wrong = st.sampled_from(["table.csv", "table.parquet", "table.npz", "table.npy", "table.csv.gz"])
    files = st.one_of(
        text_files(),
        text_files(),
        sound_files(),
        sound_files(),
        parquet_files(),
        numpy_files(),
        st.builds(File, wrong, st.binary(max_size=200), st.just({})),
    )
    return st.one_of(*[files] * 12, st.builds(lambda file, name: file._replace(name=name), files, wrong))


@st.composite
def absurd_tables(draw: Draw) -> str:
    """Text of a table that can be read and makes no sense, for a whole fit."""
    kinds = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=5))
    return as_csv(mixed(kinds, draw(st.sampled_from([1, 2, 3, 8, 20, 45, 70, 120])), draw(st.integers(0, 999))))


LINKS = [
    "a -> b",
    "a->b @ 2",
    "* -> b @ 0..3",
    '"a" -> b',
    "a -> a",
    "a",
    "-> b",
    "a -> b @ 99999999999",
    "a -> zz",
    "a -> b @ 3..1",
    "[a] -> *",
    "a -> b -> c",
]
value = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(), st.text(max_size=6),
    st.sampled_from(["auto", "on", "off", "10m", "1e-3", "fixed", *LINKS]),
)  # fmt: skip
deep = st.recursive(
    value, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3), max_leaves=6
)
SETTINGS = {
    name: list(type(field.default).model_fields) for name, field in Config.model_fields.items() if isinstance(field.default, Section)
}
TOP = [name for name in Config.model_fields if name not in SETTINGS]


@st.composite
def settings_values(draw: Draw) -> dict[str, Any]:
    """Settings by name, most of them real names, few of them real values."""
    inner = st.one_of(value, deep, st.lists(st.sampled_from(LINKS), max_size=3))

    def one(name: str) -> Any:
        known = SETTINGS.get(name)
        whole = known and not draw(rarely(10))
        return draw(st.dictionaries(st.sampled_from([*known, "no"]), inner, max_size=3) if whole and known else deep)

    return {name: one(name) for name in draw(st.lists(st.sampled_from([*SETTINGS, *TOP, "nowhere"]), max_size=4, unique=True))}


YAML_LINES = [
    "a: &a [x]",
    "b: *a",
    "? [1]",
    "- x",
    "!!python/object/apply:os.system ['true']",
    "x: !!timestamp z",
    "n: !!int ''",
    "k: 0o9",
    "d: 2024-99-99",
    "\t",
    "%YAML 9.9",
    "---",
    "...",
    "<<: {a: 1}",
    "{[",
    "&",
    "!!binary x",
    "!!bool maybe",
    "n: 1:99:99",
    "i: " + "9" * 5000,
    "[" * 300,
]


@st.composite
def yaml_files(draw: Draw) -> bytes:
    """A file of settings or prior knowledge, spoilt or not."""
    chosen = draw(
        st.one_of(
            settings_values(),
            st.dictionaries(st.sampled_from([*SETTINGS["prior"], "no"]), st.lists(st.sampled_from(LINKS), max_size=4), max_size=4),
            deep,
        )
    )
    written = yaml.safe_dump(chosen, allow_unicode=draw(st.booleans()), default_flow_style=draw(st.sampled_from([None, True, False])))
    for line in draw(st.lists(st.sampled_from(YAML_LINES), max_size=draw(st.sampled_from([0, 0, 1, 2])))):
        written += line + "\n"
    return draw(spoilt(written.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])), "replace")))


@st.composite
def spoken_settings(draw: Draw) -> list[str]:
    """`--set` texts."""
    one = st.sampled_from(
        [f"{section}.{name}" for section, names in SETTINGS.items() for name in names] + [*TOP, "no.such", "", ".", "data"]
    )
    text = st.one_of(value.map(str), st.sampled_from([*YAML_LINES, "[1, 2", "{a: 1}", "1e-3", "auto"]))
    return [f"{draw(one)}{draw(st.sampled_from(['=', '=', '=', '', '==']))}{draw(text)}" for _ in range(draw(st.integers(1, 3)))]
