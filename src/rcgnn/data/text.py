"""Text tables: encoding, separator and decimal mark are found out, then Arrow reads the cells.

A table that Arrow refuses goes through the slow reader, which tolerates surplus empty cells and otherwise names the line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rcgnn.data.cells import MISSING, NUMBER
from rcgnn.data.columns import Columns, Roles, assemble
from rcgnn.data.limits import MOST_COLUMNS, Limit
from rcgnn.data.measured import SEPARATORS, measured
from rcgnn.errors import TableError
from rcgnn.series import Series, default_names

DECLARED = ";\t|,: ^~&@!/\\"
"""Separators that a line `sep=` may name."""
HEAD_LINES = 100
"""Lines from which the separator is judged."""
TITLE_LINES = 10
"""Lines in which the names of the columns are looked for below a title."""
DIGIT = re.compile(r"[+-]?[\d.,]")
"""How a number or a date begins, and few names do."""
SPLIT_CELLS = 500_000
"""Cells kept as text of Python at a time."""
COMMA_NUMBER = r"^[+-]?\d*,\d+([eE][+-]?\d+)?$"
POINT_NUMBER = r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$"
COMMA_THOUSAND = r"^[+-]?\d{1,3}(,\d{3})+$"

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Layout:
    """How a text table is written: the separator, the header cells (none: no header) and the lines before the first row."""

    separator: str
    names: tuple[str, ...]
    skip: int


def read_text(path: Path, roles: Roles) -> Series:
    """A series from a text table, gzipped or not.

    Raises:
        TableError: the file cannot be read or decoded, or its cells are not a table of numbers.
    """
    source = str(path)
    text = decode(measured(path, roles.limit), source)
    _check_width(text, source, roles.limit)
    layout = find_layout(text, source)
    roles.limit.check(source, text.count("\n") - layout.skip, len(layout.names))
    arrays = _fast(text, layout) or _slow(text, layout, source)

    def locate(row: int) -> str:
        return f"line {_line(text, layout, row)}"

    decimal = find_decimal(arrays, layout, source)
    return assemble(Columns(layout.names, tuple(arrays), source, locate, decimal, padded=True), roles)


def _check_width(text: str, source: str, limit: Limit) -> None:
    """Refuses a line of so many cells that to split it would fill memory. Of two marks one may be the decimal mark."""
    for number, line in enumerate(islice(lines_of(text), HEAD_LINES), start=1):
        cells = max(line.count(separator) for separator in SEPARATORS) + 1
        if cells > 2 * MOST_COLUMNS:
            limit.check(f"{source}: line {number}", 1, cells)


def lines_of(text: str) -> Iterator[str]:
    r"""Lines with their ends.

    Example:
        >>> list(lines_of("a\n\nb"))
        ['a\n', '\n', 'b']
    """
    start = 0
    while start < len(text):
        stop = text.find("\n", start) + 1 or len(text)
        yield text[start:stop]
        start = stop


def decode(raw: bytes, source: str) -> str:
    r"""Text from bytes: a byte-order mark decides, then UTF-8, then Latin-1; line ends become \n.

    Example:
        >>> decode("température".encode("latin-1"), "a.csv")
        'température'
    """
    if not raw.strip():
        raise TableError(f"{source}: the file is empty; expected a header line and rows of readings.")
    if raw[:4] in (b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0") or raw[:2] == b"\x1f\x8b":
        raise TableError(
            f"{source}: this is not a text table (a spreadsheet, parquet or zip file?); save it as CSV or rename it to what it is."
        )
    try:
        text = raw.decode(_encoding(raw))
    except UnicodeDecodeError as error:
        place = error.start + len(raw) - len(error.object)  # the decoder that takes off a byte-order mark counts behind it
        raise TableError(f"{source}: byte {place} is not valid {error.encoding}; save the file as UTF-8.") from error
    text = text.lstrip("\ufeff")
    if not text.strip():
        raise TableError(f"{source}: the file is empty; expected a header line and rows of readings.")
    if "\x00" in text:
        raise TableError(f"{source}: holds zero bytes, so it is not a text table; was the file cut or is it another format?")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(raw: bytes) -> str:
    for mark, name in _BOMS:
        if raw.startswith(mark):
            return name
    head = raw[:2000]
    if head[1::2].count(0) > 0.4 * len(head[1::2]):
        return "utf-16-le"
    if head[::2].count(0) > 0.4 * len(head[::2]):
        return "utf-16-be"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def find_layout(text: str, source: str) -> Layout:
    r"""Separator, names and first row of a text table.

    Lines that are empty or start with # before the header are passed over; a line `sep=;` is obeyed.

    Example:
        >>> find_layout("a;b\n1,5;2\n", "a.csv")
        Layout(separator=';', names=('a', 'b'), skip=1)
    """
    lines = list(islice((line.removesuffix("\n") for line in lines_of(text)), HEAD_LINES + 1000))
    filled = [number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    skip = filled[0] if filled else len(lines)
    declared = re.fullmatch(r"sep=(.)", lines[skip].strip("\"' "), re.IGNORECASE) if skip < len(lines) else None
    if declared:
        if declared[1] not in DECLARED:
            raise TableError(f"{source}: line {skip + 1} says that {declared[1]!r} separates the cells; expected one of ; , | : or a tab.")
        skip = filled[1] if len(filled) > 1 else len(lines)
    body = lines[skip : skip + HEAD_LINES]
    if not body:
        raise TableError(f"{source}: the file has no header line; expected column names and rows of readings.")
    separator = declared[1] if declared else _separator(body)
    _refuse_title(body, separator, skip, source)
    header, lines_taken = _header(body, separator)
    if _is_header(header):
        return Layout(separator, tuple(header), skip + lines_taken)
    return Layout(separator, default_names(len(header)), skip)


def _refuse_title(body: list[str], separator: str, skip: int, source: str) -> None:
    """A first line as no other, above a line that names several columns, is a title and no header.

    Raises:
        TableError: so it is.
    """
    rows = _split(body, separator)
    alike = sum(len(cells) == len(rows[0][1]) for _, cells in rows)
    if len(_filled(rows[0][1])) > 1 and 2 * alike > len(rows):
        return
    below = [found for other in SEPARATORS for found in _split(body, other)[1:TITLE_LINES]]
    line = next((skip + line for line, cells in below if len(_filled(cells)) > 1 and not any(map(DIGIT.match, _filled(cells)))), None)
    if line is not None:
        title = body[0].strip(separator)[:60]
        raise TableError(
            f"{source}: line {skip + 1} ({title!r}) looks like a title, and line {line} like the names of the columns; "
            f"remove what stands above line {line}, or begin it with #."
        )


def _split(body: list[str], separator: str) -> list[tuple[int, list[str]]]:
    """(line, cells) of the lines that are not empty, 1 being the first; plain parts where quotes do not match."""
    lines = [(number, line) for number, line in enumerate(body, start=1) if line.strip()]
    reader = csv.reader((line + "\n" for _, line in lines), delimiter=separator)
    try:
        return [(lines[reader.line_num - 1][0], cells) for cells in reader]
    except csv.Error:
        return [(number, line.split(separator)) for number, line in lines]


def _filled(cells: list[str]) -> list[str]:
    return [cell.strip() for cell in cells if cell.strip().lower() not in MISSING]


def _header(body: list[str], separator: str) -> tuple[list[str], int]:
    """The first cells and the lines they take: a quoted name may hold a line break."""
    reader = csv.reader((line + "\n" for line in body), delimiter=separator)
    try:
        return [" ".join(cell.split()) for cell in next(reader)], reader.line_num
    except csv.Error:
        return body[0].split(separator), 1


def _separator(body: list[str]) -> str:
    """The separator under which the rows are as wide as the header, wider being better; one column when none is."""

    def score(separator: str) -> tuple[float, int]:
        widths = [len(cells) for _, cells in _split(body, separator)]
        agree = sum(width == widths[0] for width in widths) / len(widths)
        return (agree if widths[0] > 1 else 0.0), widths[0]

    best = max(SEPARATORS, key=score)
    if score(best)[1] > 1:
        return best
    return next((separator for separator in SEPARATORS if not any(separator in line for line in body)), ",")


def _is_header(cells: list[str]) -> bool:
    """A first line of numbers is a row of readings, unless it counts the columns (0, 1, 2, ...)."""
    filled = [cell.strip().replace(",", ".") for cell in cells if cell.strip()]
    if not all(re.match(NUMBER, cell) for cell in filled):
        return True
    counted = filled in ([str(k) for k in range(len(filled))], [str(k) for k in range(1, len(filled) + 1)])
    return (counted and len(filled) > 1) or not filled


def _fast(text: str, layout: Layout) -> list[Any] | None:
    """Arrow's columns of text, or None where it refuses the file."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(k) for k in range(len(layout.names))]
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(text.encode("utf-8", "surrogatepass")),
            read_options=arrow_csv.ReadOptions(skip_rows=layout.skip, column_names=names, block_size=1 << 24),
            parse_options=arrow_csv.ParseOptions(delimiter=layout.separator, ignore_empty_lines=len(names) > 1),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    return list(table.columns)


def _slow(text: str, layout: Layout, source: str) -> list[Any]:
    import pyarrow as pa

    width = len(layout.names)
    rows: list[list[str]] = []
    parts: list[list[Any]] = []
    for line, cells in _rows(text, layout, source):
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):
            hint = "is a quote left open there?" if any("\n" in cell for cell in cells) else "or quote cells that hold the separator."
            raise TableError(
                f"{source}: line {line} has {len(cells)} cells where the header has {width} (separator {layout.separator!r}); "
                f"correct the line, {hint}"
            )
        rows.append(cells[:width])
        if len(rows) * width > SPLIT_CELLS:
            parts.append([pa.array(column, pa.string()) for column in zip(*rows, strict=True)])
            rows = []
    if rows:
        parts.append([pa.array(column, pa.string()) for column in zip(*rows, strict=True)])
    if not parts:
        raise TableError(f"{source}: only a header of {width:,} columns, no row of readings; expected at least one row.")
    return [pa.chunked_array(list(column)) for column in zip(*parts, strict=True)]


def _rows(text: str, layout: Layout, source: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row; empty lines count as rows only in a table of one column."""
    body = lines_of(text)
    for _ in range(layout.skip):
        next(body, None)
    reader = csv.reader(body, delimiter=layout.separator)
    try:
        for cells in reader:
            if cells or len(layout.names) == 1:
                yield layout.skip + reader.line_num, cells or [""]
    except csv.Error as error:
        raise TableError(f"{source}: line {layout.skip + reader.line_num} cannot be split into cells ({error}).") from error


def _line(text: str, layout: Layout, row: int) -> int:
    found = next(islice(_rows(text, layout, "table"), row, None), None)
    return found[0] if found else layout.skip + row + 1


def find_decimal(arrays: list[Any], layout: Layout, source: str) -> str:
    """The decimal mark of a table of text cells: a comma when numbers have commas and none has a point.

    Raises:
        TableError: commas that may be thousands or decimals.
    """
    import pyarrow.compute as pc

    def some(pattern: str) -> bool:
        return any(pc.any(pc.match_substring_regex(pc.utf8_trim_whitespace(column), pattern)).as_py() for column in arrays)

    if not some(COMMA_NUMBER) or some(POINT_NUMBER):
        return "."
    commas = [pc.match_substring_regex(column, COMMA_NUMBER) for column in arrays]
    thousand = [pc.match_substring_regex(column, COMMA_THOUSAND) for column in arrays]
    if layout.separator == "," and all(pc.sum(c).as_py() == pc.sum(t).as_py() for c, t in zip(commas, thousand, strict=True)):
        raise TableError(f"{source}: numbers such as 1,234 may mean 1234 or 1.234; write them without thousands separators.")
    return ","
