"""Nasty text tables."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path

import pandas as pd

from hostile.entry import Entry, Write, answered, refused, text

LATE_YEARS = int(pd.__version__.split(".")[0]) >= 3
"""pandas 2 reads no date after 2262."""
NAN = float("nan")
AB = "a,b\n1,2\n3,4\n"
TWO = [[1.0, 2.0], [3.0, 4.0]]
BIG = 2**53


def bomb(line: bytes, size: int, name: str = "table.csv.gz") -> Write:
    """A gzip file that expands to `size` bytes of one line again and again."""

    def write(folder: Path) -> Path:
        pack = zlib.compressobj(9, zlib.DEFLATED, 31)
        block = line * max(2**20 // len(line), 1)
        with (folder / name).open("wb") as file:
            for _ in range(size // len(block)):
                file.write(pack.compress(block))
            file.write(pack.flush())
        return folder / name

    return write


def long_line(folder: Path) -> Path:
    """One line of 100 MB."""
    with (folder / "table.csv").open("w") as file:
        for _ in range(100):
            file.write("1," * 500_000)
    return folder / "table.csv"


def dated(stamps: list[str], column: str = "when") -> str:
    return f"{column};a\n" + "".join(f"{stamp};{row}\n" for row, stamp in enumerate(stamps))


def wide(columns: int, rows: int) -> str:
    return "\n".join([",".join(f"s{k}" for k in range(columns)), *([",".join(["1.5"] * columns)] * rows)]) + "\n"


ENCODINGS: dict[str, Entry] = {
    "utf-8 mark": answered(codecs.BOM_UTF8 + AB.encode(), TWO, names=("a", "b")),
    "utf-8 mark alone": refused(codecs.BOM_UTF8, "is empty"),
    "two utf-8 marks": answered(codecs.BOM_UTF8 * 2 + AB.encode(), TWO, names=("a", "b")),
    "utf-16 le": answered(AB.encode("utf-16-le"), TWO),
    "utf-16 be": answered(AB.encode("utf-16-be"), TWO),
    "utf-16 le with mark": answered(codecs.BOM_UTF16_LE + AB.encode("utf-16-le"), TWO),
    "utf-16 be with mark": answered(codecs.BOM_UTF16_BE + AB.encode("utf-16-be"), TWO, names=("a", "b")),
    "utf-16 cut in a character": refused(codecs.BOM_UTF16_LE + AB.encode("utf-16-le")[:-1], r"byte \d+ is not valid utf-?16"),
    "utf-32": answered(AB.encode("utf-32"), TWO),
    "latin-1": answered("température,b\n1,2\n".encode("latin-1"), [[1, 2]], names=("température", "b")),
    "cp1252 and utf-8 mixed": answered("t°,µ\n1,2\n".encode() + "3,4 \xa0\n".encode("latin-1"), TWO),
    "NUL bytes in a cell": refused(b"a,b\n1,2\x00\n3,4\n", "holds zero bytes"),
    "NUL bytes alone": refused(b"\x00" * 4096, "zero bytes|is empty"),
    "NUL bytes at the end, as after a power cut": refused(AB.encode() + b"\x00" * 4096, "holds zero bytes"),
    "control characters in a name": answered("a\x1b[2J,b\n1,2\n", [[1, 2]]),
    "lone surrogate": refused(b"a,\xed\xa0\x80\n1,x\n", "must hold numbers"),
    "right-to-left name": answered("\u202eflow,b\n1,2\n", [[1, 2]]),
}

SHAPES: dict[str, Entry] = {
    "empty": refused("", "is empty; expected a header line"),
    "only whitespace": refused(" \n\t\n  \r\n", "is empty"),
    "only comments": refused("# a\n# b\n", "has no header line"),
    "only separators": refused(",,,\n,,,\n", "has no name|named columns and no row|no cell"),
    "header only": refused("a,b\n", "no row of readings; expected at least one row"),
    "header without line end": refused("a,b", "no row of readings"),
    "one row": answered("a,b\n1,2\n", [[1, 2]]),
    "one row without line end": answered("a,b\n1,2", [[1, 2]]),
    "one cell": answered("a\n1\n", [[1]]),
    "one number": answered("1\n", [[1]], names=("x0",)),
    "short row": refused("a,b,c\n1,2,3\n4,5\n", "line 3 has 2 cells where the header has 3"),
    "long row": refused("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells where the header has 2.*correct the line"),
    "row longer by empty cells": answered("a,b\n1,2,,\n3,4\n", TWO),
    "duplicate names": refused("a,b,a\n1,2,3\n", "columns 1 and 3 are both called 'a'; rename"),
    "names that differ by blanks": refused("a, a\n1,2\n", "both called 'a'"),
    "empty name first": refused(",a\n0,1\n", "column 1 has no name .*row index"),
    "empty name between": refused("a,,b\n1,2,3\n", "column 2 has no name; name it"),
    "a very long name": answered("n" * 50_000 + ",b\n1,2\n", [[1, 2]]),
    "a very long name, twice": refused(("n" * 50_000 + ",") * 2 + "b\n1,2,3\n", "columns 1 and 2 are both called 'nnn.*rename"),
    "a very long cell": refused("a,b\n1," + "x" * 100_000 + "\n", r"column 'b' must hold numbers, but line 2 holds 'xxx.*\.\.\."),
    "10,000 columns": Entry(text(wide(10_000, 3)), names=tuple(f"s{k}" for k in range(10_000))),
    "30,000 columns": refused(wide(30_000, 1), "expected at most 20,000 columns, got 30,000; .*other way round"),
    "10,000 empty names": refused("," * 9_999 + "\n" + ",".join(["1"] * 10_000) + "\n", "column 1 has no name"),
    "one line of 100 MB": Entry(long_line, refused="line 1: expected at most 20,000 columns"),
    "one cell of 3 MB": answered("a\n" + "7" * 3_000_000 + "\n1\n", [[NAN], [1]]),
    "one cell of 1 MB, and a short row": refused("a,b\n1," + "7" * 1_000_000 + "\n3\n", "line 2 cannot be split into cells .*field"),
    "quote never closed": refused('a,b\n1,2\n"3,4\n5,6\n', "line 4 has 1 cells where the header has 2.*is a quote left open there"),
    "quote in the middle": refused('a,b\n1,2"5\n', r"column 'b' must hold numbers, but line 2 holds '2\"5'"),
    "quotes everywhere": answered('"a","b"\n"1","2"\n"3","4"\n', TWO),
    "line break in a quoted name": answered('"a\nb",c\n1,2\n', [[1, 2]], names=("a b", "c")),
    "CR line ends": answered("a,b\r1,2\r3,4\r", TWO),
    "CRLF line ends": answered("a,b\r\n1,2\r\n3,4\r\n", TWO),
    "mixed line ends": answered("a,b\r1,2\r\n3,4\n", TWO),
    "vertical tabs and form feeds": answered("a,b\n1,2\x0b\n3,4\x0c\n", TWO),
    "unit separators": refused("a\x1fb\n1\x1f2\n", "must hold numbers"),
    "line and paragraph separators": refused("a,b\u2028 1,2\u2029 3,4\n", "no row of readings"),
    "separator said, and wrong": refused("sep=|\na,b,c\n1,2,3\n", "column 'a,b,c' must hold numbers, but line 3 holds '1,2,3'"),
    "separator said, then an empty line": answered("sep=;\n\na;b\n1,5;2\n", [[1.5, 2]], names=("a", "b")),
    "a letter as separator": refused("sep=é\naéb\n1é2\n", "line 1 says that 'é' separates the cells; expected one of"),
    "a quote as separator": refused('sep="\na"b\n1"2\n', "has no header line|line 1 says|must hold|no row"),
    "separator said, then nothing": refused("sep=;\n", "has no header line"),
    "two tables": refused(AB + "\nc,d\n5,6\n", "column 'a' must hold numbers, but line 5 holds 'c'"),
    "HTML": refused("<html><body>503</body></html>\n", "no row of readings"),
    "JSON": refused('{"a": [1, 2], "b": [3, 4]}\n', "no row of readings|must hold numbers"),
}

CELLS: dict[str, Entry] = {
    "missing in many ways": answered(
        "a,b\n1,2\n,NA\n#N/A,NaN\nnull,none\n-nan,<NA>\nN/A,nat\n3,4\n", [[1, 2], *([[NAN, NAN]] * 5), [3, 4]]
    ),
    "infinite": answered("a,b\n1,2\ninf,-inf\nInfinity,+INF\n3,4\n", [[1, 2], [NAN, NAN], [NAN, NAN], [3, 4]]),
    "1e400 and 1e-400": answered("a,b\n1e400,1e-400\n3,4\n", [[NAN, 0], [3, 4]]),
    "-9999": answered("a,b\n1,2\n-9999,4\n", [[1, 2], [NAN, 4]], options={"na": ["-9999"]}),
    "-200 as -200.0": answered("a,b\n1,2\n-200.0,4\n", [[1, 2], [NAN, 4]], options={"na": ["-200"]}),
    "a marker that was not named": refused(
        "a,b\n1,2\nmissing,4\n", r"column 'a' must hold numbers, but line 3 holds 'missing'.*--na 'missing'"
    ),
    "decimal commas": answered("a;b\n1,5;2,5\n", [[1.5, 2.5]]),
    "decimal marks mixed": refused("a;b\n1,5;2.5\n", "column 'a' must hold numbers, but line 2 holds '1,5'"),
    "decimal marks mixed in a column": refused("a;b\n1,5;2\n1.5;3\n", "column 'a' must hold numbers, but line 2 holds '1,5'"),
    "thousands, quoted": refused('a,b\n"1,234",2\n"5,678",3\n', "1,234 may mean 1234 or 1.234; write them without"),
    "thousands and decimals, German": refused("a;b\n1.234,5;2\n1.300,5;3\n", "Write numbers without a mark between thousands"),
    "thousands with blanks": refused("a;b\n1 234;2\n1 300;3\n", "Write numbers without a mark between thousands"),
    "thousands with no-break spaces": refused("a;b\n1\u00a0234;2\n1\u00a0300;3\n", "Write numbers without a mark between thousands"),
    "integers beyond 2^53": answered(f"a,b\n{BIG},1\n{BIG + 2},2\n", [[float(BIG), 1], [float(BIG + 2), 2]]),
    "integers beyond 64 bits": answered(f"a,b\n{10**30},1\n{-(10**30)},2\n", [[1e30, 1], [-1e30, 2]]),
    "booleans": answered("a,b\nTrue,1\nFALSE,2\n", [[1, 1], [0, 2]]),
    "booleans and numbers": refused("a,b\nTrue,1\n0.5,2\n", "column 'a' must hold numbers, but line 2 holds 'True'"),
    "yes and no": refused("a,b\nyes,1\nno,2\n", "It holds text: remove the column.*--regime 'a'"),
    "categories": refused("a,b\nlow,1\nhigh,2\n", "It holds text"),
    "percent": refused("a,b\n5%,1\n6%,2\n", "must hold numbers, but line 2 holds '5%'"),
    "units in cells": refused("a,b\n5 bar,1\n6 bar,2\n", "must hold numbers, but line 2 holds '5 bar'"),
    "hexadecimal": refused("a,b\n0x1F,1\n0x2F,2\n", "must hold numbers, but line 2 holds '0x1F'"),
    "underscores": refused("a,b\n1_000,1\n", "must hold numbers, but line 2 holds '1_000'"),
    "Arabic digits": refused("a,b\n\u0661,1\n", "must hold numbers"),
    "a formula": refused("a,b\n=1+1,1\n\"=cmd|' /C calc'!A0\",2\n", "must hold numbers, but line 2 holds '=1[+]1'"),
    "typographic minus": answered("a,b\n\u22121,2\n", [[-1, 2]]),
    "Fortran exponents": refused("a,b\n1.5D+03,1\n", "must hold numbers, but line 2 holds '1.5D[+]03'"),
    "all missing": refused("a,b\nNA,\n,NA\n", "no cell of the 2 columns holds a reading; check"),
    "a column all missing": answered("a,b\n1,\n2,NA\n", [[1, NAN], [2, NAN]]),
}

DAYS = [86_400.0, 86_400.0]
TIMES: dict[str, Entry] = {
    "dates, ISO": answered(dated(["2024-01-31", "2024-02-01", "2024-02-02"]), steps=DAYS),
    "dates, day first": answered(dated(["31/01/2024", "01/02/2024", "02/02/2024"]), steps=DAYS),
    "dates, month first": answered(dated(["01/31/2024", "02/01/2024", "02/02/2024"]), steps=DAYS),
    "dates, points": answered(dated(["31.01.2024", "01.02.2024", "02.02.2024"]), steps=DAYS),
    "dates, month names": answered(dated(["31 Jan 2024", "1 Feb 2024", "2 Feb 2024"]), steps=DAYS),
    "dates, year first": answered(dated(["2024/01/31", "2024/02/01", "2024/02/02"]), steps=DAYS),
    "dates, two kinds in a column": refused(
        dated(["2024-01-31", "01/02/2024", "2024-02-02"]), "line 3 has no usable time in column 'when'.*expected"
    ),
    "epoch in milliseconds": answered("time,a\n1706745600000,1\n1706745660000,2\n", steps=[60_000.0]),
    "epoch in nanoseconds": answered("time,a\n1706745600000000000,1\n1706745660000000000,2\n", steps=[6e10]),
    "before 1970": answered(dated(["1969-12-30", "1969-12-31", "1970-01-01"]), steps=DAYS),
    "no such day": refused(dated(["2024-02-28", "2024-02-30", "2024-03-01"]), "line 3 has no usable time.*got '2024-02-30'. Correct"),
    "year 9999": answered(dated(["9999-12-29", "9999-12-30", "9999-12-31"]), steps=DAYS)
    if LATE_YEARS
    else refused(dated(["9999-12-29", "9999-12-30", "9999-12-31"]), "column 'when' must hold numbers"),
    "year 0": answered(dated(["0000-01-01", "0000-01-02", "0000-01-03"]), steps=DAYS),
    "unsorted": refused(dated(["2024-01-02", "2024-01-01", "2024-01-03"]), "time does not rise from line 2 .* to line 3 .*sort the table"),
    "sorted downwards": refused(dated(["2024-01-03", "2024-01-02", "2024-01-01"]), "time does not rise from line 2"),
    "duplicate stamps": refused(dated(["2024-01-01", "2024-01-01", "2024-01-02"]), "does not rise from line 2 .*drop repeated stamps"),
    "summer time begins": answered(
        dated(["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00", "2024-03-31T04:00+02:00"]), steps=[3600.0, 3600.0]
    ),
    "summer time ends, with zones": answered(
        dated(["2024-10-27T02:30+02:00", "2024-10-27T02:30+01:00", "2024-10-27T03:30+01:00"]), steps=[3600.0, 3600.0]
    ),
    "summer time ends, without zones": refused(
        dated(["2024-10-27 02:00", "2024-10-27 02:30", "2024-10-27 02:00", "2024-10-27 02:30"]), "time does not rise from line 3"
    ),
    "stamps with and without zone": answered(
        dated(["2024-01-01T00:00:00Z", "2024-01-01 01:00:00", "2024-01-01T02:00:00Z"]), steps=[3600.0, 3600.0]
    ),
    "an empty stamp": refused(dated(["2024-01-01", "", "2024-01-03"]), "line 3 has no usable time in column 'when'"),
    "infinite stamp": refused("time;a\n0;1\ninf;2\n", "line 3 has no usable time", time="time"),
    "time is constant": refused("time;a\n5;1\n5;2\n", "does not rise", time="time"),
    "an absent time column": refused(AB, "there is no column 'tme' for --time; .*columns are a, b", time="tme"),
    "time and mode in one column": refused(
        AB, "column 'a' is named for --time and --regime; a column is one of them", time="a", regime="a"
    ),
}

PACKED: dict[str, Entry] = {
    "gzip": Entry(lambda folder: _gz(folder, AB.encode()), values=TWO),
    "gzip of gzip": Entry(lambda folder: _gz(folder, gzip.compress(AB.encode())), refused="not a text table"),
    "gzip, cut": Entry(lambda folder: _gz(folder, AB.encode() * 1000, cut=20), refused="cannot be read .*is the file complete"),
    "gzip, wrong checksum": Entry(lambda folder: _gz(folder, AB.encode(), spoil=-6), refused="cannot be read .*is the file complete"),
    "gzip, rubbish after the end": Entry(
        lambda folder: _gz(folder, AB.encode(), tail=b"rubbish"), refused="cannot be read .*is the file complete"
    ),
    "gzip, two members": Entry(lambda folder: _gz(folder, b"a,b\n1,2\n", tail=gzip.compress(b"3,4\n")), values=TWO),
    "gzip, empty inside": Entry(lambda folder: _gz(folder, b""), refused="is empty"),
    "gzip that is none": refused(AB, "cannot be read", name="table.csv.gz"),
    "gzip bomb of cells": Entry(
        bomb(b"1,2\n", 2**27), refused="expected at most 1,000,000 cells, got more than .*raise --max-cells", options={"max_cells": 10**6}
    ),
    "gzip bomb of one cell": Entry(
        bomb(b"7", 2**27), refused="expected at most 1,000 cells, in a text of at most 67 MB", options={"max_cells": 1000}
    ),
    "gzip bomb of empty lines": Entry(bomb(b"\n", 2**27), refused="expected at most 1,000 cells", options={"max_cells": 1000}),
    "zip called csv": refused(b"PK\x03\x04" + b"\x00" * 100, "this is not a text table"),
    "gzip called csv": refused(gzip.compress(AB.encode()), "this is not a text table"),
    "Excel of old called csv": refused(b"\xd0\xcf\x11\xe0" + b"\x00" * 100, "this is not a text table"),
    "too many cells": refused(
        AB, "expected at most 3 cells, got 2 rows x 2 columns = 4; leave out columns or rows, or raise --max-cells", max_cells=3
    ),
    "just enough cells": answered(AB, TWO, options={"max_cells": 4}),
}


def _gz(folder: Path, content: bytes, *, cut: int = 0, spoil: int | None = None, tail: bytes = b"") -> Path:
    packed = bytearray(gzip.compress(content))
    if spoil is not None:
        packed[spoil] ^= 0xFF
    path = folder / "table.csv.gz"
    path.write_bytes(bytes(packed[: len(packed) - cut]) + tail)
    return path


TEXTS = {**ENCODINGS, **SHAPES, **CELLS, **TIMES, **PACKED}
