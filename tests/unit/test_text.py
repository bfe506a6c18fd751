"""How a text table is written is found out from the text alone: encoding, separator, header, decimal mark, lines."""

from __future__ import annotations

import codecs

import pyarrow as pa
import pytest

from rcgnn.data.columns import Roles
from rcgnn.data.text import Layout, _fast, decode, find_decimal, find_layout, read_text
from rcgnn.errors import TableError

TEXT = "température;débit\n1,5;2\n"
MARKS = {
    "utf-8-sig": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", MARKS)
def test_a_byte_order_mark_decides(encoding):
    raw = MARKS[encoding] + TEXT.encode(encoding.removesuffix("-sig"))
    assert decode(raw, "t") == TEXT


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
def test_without_a_mark_the_bytes_tell(encoding):
    assert decode(TEXT.encode(encoding), "t") == TEXT


def test_words_of_other_alphabets_in_two_bytes_are_still_read():
    """Every second byte of the latin cells is zero, and none of the others; half of all is enough."""
    text = "Δ;a\n" + "λλλ;1\n" * 30
    assert decode(text.encode("utf-16-le"), "t") == text
    assert decode(text.encode("utf-16-be"), "t") == text


@pytest.mark.parametrize(("end", "cells"), [("\r\n", 2), ("\r", 2), ("\n", 2)])
def test_line_ends_become_one(end, cells):
    assert decode(f"a;b{end}1;2{end}".encode(), "t") == "a;b\n1;2\n"
    assert decode(f"a{end}{end}1".encode(), "t").count("\n") == cells


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the file is empty"),
        (b" \n\t\n", "the file is empty"),
        (b"PK\x03\x04", "not a text table"),
        (b"PAR1xx", "not a text table"),
        (b"\xd0\xcf\x11\xe0xx", "not a text table"),
        (b"\x1f\x8bxx", "not a text table"),
        (b"a;b\n1;\x002\n" + b"3;4\n" * 9, "holds zero bytes"),
        (codecs.BOM_UTF8 + b"a;\xff\n", "is not valid utf-8; save the file as UTF-8"),
    ],
)
def test_what_is_no_text_is_told_apart(raw, words):
    with pytest.raises(TableError, match=words):
        decode(raw, "t")


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (codecs.BOM_UTF8 + b"a;\xff\n", 5),
        (codecs.BOM_UTF16_LE + b"a\x00\x00\xd8\x41\x00", 4),
        (codecs.BOM_UTF16_BE + b"\x00a\xd8\x00\x00\x41", 4),
    ],
)
def test_the_broken_byte_is_counted_from_the_beginning_of_the_file(raw, place):
    with pytest.raises(TableError, match=f"byte {place} is not valid utf-"):
        decode(raw, "t")


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("a;b\n1;2\n", Layout(";", ("a", "b"), 1)),
        ("# x\n\n#y\na,b\n1,2\n", Layout(",", ("a", "b"), 4)),
        ("sep=|\na|b;c\n1|2\n", Layout("|", ("a", "b;c"), 2)),
        ('"SEP=;"\na;b\n1;2\n', Layout(";", ("a", "b"), 2)),
        ("a\n1\n2\n", Layout(";", ("a",), 1)),
        ("a;\n1;\n", Layout(";", ("a", ""), 1)),
        ("5;2\n3;4\n", Layout(";", ("x0", "x1"), 0)),
        ("1,5;2\n3;4\n", Layout(";", ("x0", "x1"), 0)),
        ("0;1;2\n3;4;5\n", Layout(";", ("0", "1", "2"), 1)),
        ("1;2;3\n3;4;5\n", Layout(";", ("1", "2", "3"), 1)),
        ("2;3;4\n3;4;5\n", Layout(";", ("x0", "x1", "x2"), 0)),
        ("0\n1\n", Layout(";", ("x0",), 0)),
        ("#c\n1;2.5\n3;4\n", Layout(";", ("x0", "x1"), 1)),
        ('"a\nb";c\n1;2\n', Layout(";", ("a b", "c"), 2)),
        ("a  b;c\n1;2\n", Layout(";", ("a b", "c"), 1)),
        ("a;b\n1,5;2,5\n3,5;4,5\n", Layout(";", ("a", "b"), 1)),
        ("a;b,c;d,e\n1;2,3;4,5\n", Layout(";", ("a", "b,c", "d,e"), 1)),
    ],
)
def test_the_layout_of_a_table(text, layout):
    found = find_layout(text, "t")
    assert (found.names, found.skip) == (layout.names, layout.skip)
    assert found.separator == layout.separator or len(layout.names) == 1


def test_the_separator_is_that_of_most_rows_and_the_wider_of_two():
    ragged = "a;b;c\n1;2;3\n1;2;3\n1;2;3\n1;2\n"
    assert find_layout(ragged, "t").separator == ";"
    assert find_layout("a,b,c;d;e;f\n1,2,3\n1,2,3\n", "t").names == ("a", "b", "c;d;e;f"), "rows count more than the header's width"
    assert find_layout("a|b;c|d;e|f\n1|2;3|4;5|6\n", "t").separator == "|"


def test_a_table_of_one_column_is_cut_nowhere():
    assert find_layout("flow\n1;5\n2,5\n", "t").separator not in ";,"


def test_the_first_hundred_lines_tell():
    assert find_layout("a;b\n" + "1;2\n" * 99 + "1|2|3|4\n" * 500, "t") == Layout(";", ("a", "b"), 1)


def test_a_quote_that_is_never_closed_does_not_swallow_the_names():
    long = '"a;b\n' + "1;2\n" + ("x" * 3000 + ";2\n") * 98  # more than one cell may hold
    assert find_layout(long, "t").names == ('"a', "b")


def test_a_line_of_nothing_above_the_names_is_refused_as_a_title():
    with pytest.raises(TableError, match=r"line 1 .* looks like a title, and line 2 like the names"):
        find_layout(";;\nt;flow;level\n0;1;2\n1;2;3\n", "t")


def test_only_remarks_are_no_table():
    with pytest.raises(TableError, match="no header line"):
        find_layout("# a\n# b\n", "t")
    with pytest.raises(TableError, match="no header line"):
        find_layout("sep=;\n", "t")


@pytest.mark.parametrize(("lines", "title"), [(1, True), (9, True), (10, False)])
def test_a_title_is_looked_for_in_ten_lines(lines, title):
    text = "Plant 7\n" * lines + "time;flow;level\n" + "0;1;2\n" * 30
    if title:
        with pytest.raises(TableError, match=rf"line 1 \('Plant 7'\) looks like a title, and line {lines + 1} like the names"):
            find_layout(text, "t")
    else:
        find_layout(text, "t")


def test_a_long_title_is_cut_and_lines_before_it_are_counted():
    with pytest.raises(
        TableError, match=r"line 3 \('x{60}'\) looks like a title, and line 5 like the names of the columns; remove what stands above"
    ):
        find_layout("# r\n\n" + "x" * 80 + "\n\nflow;level\n1;2\n3;4\n", "t")


@pytest.mark.parametrize(
    ("columns", "separator", "mark"),
    [
        ([["1,5"], ["2"]], ";", ","),
        ([["1,5"], ["2.5"]], ";", "."),
        ([["1.5"], ["2"]], ";", "."),
        ([["1"], ["2"]], ";", "."),
        ([["x,5"], ["2"]], ";", "."),
        ([["1,234"], ["2"]], ";", ","),
        ([["1,234", "1,5"], ["2", "3"]], ",", ","),
        ([[" 1,5 "], ["2"]], ";", ","),
        ([["-1,5e-3"], [""]], ";", ","),
        ([[",5"], [""]], ";", ","),
    ],
)
def test_a_comma_is_the_decimal_mark_where_no_number_has_a_point(columns, separator, mark):
    assert find_decimal([pa.array(cells) for cells in columns], Layout(separator, ("a", "b"), 1), "t") == mark


def test_commas_before_three_digits_each_are_refused_in_a_table_of_commas():
    with pytest.raises(TableError, match="may mean 1234 or"):
        find_decimal([pa.array(["1,234", "5"]), pa.array(["5,678", "12,345"])], Layout(",", ("a", "b"), 1), "t")


@pytest.fixture
def read(tmp_path):
    def reading(text: str):
        path = tmp_path / "t.csv"
        path.write_text(text, encoding="utf-8")
        return read_text(path, Roles())

    return reading


def test_an_ordinary_table_does_not_need_the_slow_reader():
    text = "# x\n\nflow;level\n" + "1.23456789012;2.345678901234567\n\n" * 3000
    columns = _fast(text, find_layout(text, "t"))
    assert columns is not None, "Arrow refused it"
    assert [len(column) for column in columns] == [3000, 3000]


def test_surplus_empty_cells_are_dropped_and_surplus_readings_refused(read):
    assert read("a;b\n1;2;;\n3;4\n").values.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(TableError, match=r"line 3 has 3 cells where the header has 2 \(separator ';'\)"):
        read("a;b\n1;2;\n3;4;5\n")
    with pytest.raises(TableError, match="line 4 has 1 cells where the header has 2"):
        read("# x\na;b\n1;2\n3\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a;b\n1;2\nx;4\n5;6\n", 3),
        ("a;b\n\n1;2\n\n\nx;4\n5;6\n", 6),
        ("# r\n\na;b\n1;2\nx;4\n5;6\n", 5),
        ("a\n1\n\nx\n5\n", 4),
        ("1;2\n3;4\nx;6\n", 3),
        ('a;b\n"1\n";2\nx;4\n5;6\n', 4),
    ],
)
def test_a_bad_cell_is_named_by_its_line(read, text, line):
    with pytest.raises(TableError, match=f"but line {line} holds 'x'"):
        read(text)


def test_a_line_that_cannot_be_cut_is_named(read):
    with pytest.raises(TableError, match=r"line 5 cannot be split into cells \(field larger"):
        read('# r\n# s\na;b\n1;2\n"' + "x" * 200_000 + "\n")


def test_an_empty_line_is_a_gap_in_a_table_of_one_column_only(read):
    assert read("a\n1\n\n3\n").mask.ravel().tolist() == [True, False, True]
    assert read("a;b\n1;2\n\n3;4\n").shape == (2, 2)


def test_a_table_without_rows_says_so(read):
    with pytest.raises(TableError, match="no row of readings"):
        read("a;b\n")
    with pytest.raises(TableError, match="no row of readings"):
        read("a;b\n\n\n")


def test_a_line_of_very_many_marks_is_refused_before_it_is_split(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("#" + "," * 30_000 + "\na;b\n1;2\n", encoding="utf-8")
    assert read_text(path, Roles()).names == ("a", "b"), "of two marks one may be the decimal mark"
    path.write_text("#" + "," * 40_000 + "\na;b\n1;2\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"t.csv: line 1: expected at most 20,000 columns, got 40,001"):
        read_text(path, Roles())
    path.write_text("#" + "," * 39_999 + "\na;b\n1;2\n", encoding="utf-8")
    assert read_text(path, Roles()).shape == (1, 2)


@pytest.mark.parametrize("raw", [b"a\0b\0cdefgh", b"\0a\0bcdefgh"])
def test_two_fifths_of_zero_bytes_are_not_enough_for_two_bytes_a_letter(raw):
    with pytest.raises(TableError, match="holds zero bytes"):
        decode(raw, "t")


def test_a_title_is_judged_by_half_of_the_rows():
    with pytest.raises(TableError, match=r"line 1 .'Plant;A'. looks like a title, and line 2 like the names"):
        find_layout("Plant;A\nday;flow;level\n1;2;3\n2;3;4\nx;1\n3;4;5\ny;2\n", "t")
    assert find_layout("Plant;A\nday;flow;level\nx;1\n2;3;4\ny;2\n", "t").names == ("Plant", "A"), "three rows of five are like the first"
