"""Quickstart, limits, how-to pages and tutorials are walked from top to bottom in an empty folder, and print what they show.

A block with a `title` is a file that the reader writes. Of a bash block the lines that begin with `rcgnn` are run, through the real door;
`exit code N` in the comment of a line says how it leaves; lines with `your own` there are not run. A text block holds what the block
before it prints: its lines in their order, `...` for what is left out, numbers within rounding.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WALKED = [DOCS / "quickstart.md", DOCS / "limits.md", *sorted((DOCS / "how-to").glob("*.md")), *sorted((DOCS / "tutorials").glob("*.md"))]
NOT_RUN = "<!-- not run -->"
FENCE = re.compile(r"^```(?P<language>\w*)(?P<options>[^\n]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")
RELATIVE, ABSOLUTE = 0.02, 0.02


class Block(NamedTuple):
    """One fenced block: its language, the file it stands for, its text, its first line on the page."""

    language: str
    title: str | None
    body: str
    line: int


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page that are run or shown as output."""
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start()].rstrip().splitlines()
        if before and before[-1].strip() == NOT_RUN:
            continue
        title = re.search(r'title="([^"]+)"', match["options"])
        found.append(Block(match["language"], title[1] if title else None, match["body"], text[: match.start()].count("\n") + 2))
    return found


def same_line(shown: str, printed: str) -> bool:
    """Equal words, and numbers equal within rounding; `...` at the end stands for any words."""
    left, right = shown.split(), printed.split()
    if left[-1:] == ["..."]:
        left = left[:-1]
        right = right[: len(left)]
    return len(left) == len(right) and all(_same_word(a, b) for a, b in zip(left, right, strict=True))


def _same_word(shown: str, printed: str) -> bool:
    if NUMBER.sub("#", shown) != NUMBER.sub("#", printed):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(a == b or ("." in a and abs(float(a) - float(b)) <= max(ABSOLUTE, RELATIVE * abs(float(b)))) for a, b in pairs)


def first_absent(shown: str, printed: str) -> str | None:
    """The first line of a text block that the output lacks, in order; None where all are there."""
    rest: Iterable[str] = iter(printed.splitlines())
    for line in shown.splitlines():
        if line.strip() in ("", "..."):
            continue
        if not any(same_line(line, candidate) for candidate in rest):
            return line
    return None


def commands_of(body: str) -> list[tuple[list[str], int]]:
    """(words, exit code) of the lines that begin with `rcgnn`."""
    found = []
    for line in body.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "rcgnn" and not re.search("#.*your own", line):
            code = re.search(r"#.*exit code (\d+)", line)
            found.append((words[1:], int(code[1]) if code else 0))
    return found


@pytest.fixture
def run(monkeypatch, capsys):
    """`run("fit", ...)` -> (exit code, everything printed)."""

    def command(words: list[str]) -> tuple[int, str]:
        from rcgnn.cli import main

        monkeypatch.setattr(sys, "argv", ["rcgnn", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out + err

    return command


@pytest.mark.parametrize("page", WALKED, ids=lambda p: str(p.relative_to(DOCS)))
def test_page_runs_from_top_to_bottom_and_prints_what_it_shows(page, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "docs"}
    printed = None
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.title:
            (tmp_path / block.title).write_text(block.body, encoding="utf-8")
        elif block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.body, str(page), "exec"), namespace)  # noqa: S102 - our own pages
            printed = capsys.readouterr().out
        elif block.language == "bash":
            answers = [(words, code, run(words)) for words, code in commands_of(block.body)]
            wrong = [(" ".join(words), got) for words, code, got in answers if got[0] != code]
            assert not wrong, f"{page.name}, line {block.line}: {wrong}"
            printed = "".join(text for _, _, (_, text) in answers)
        elif block.language == "text":
            assert printed is not None, f"{page.name}, line {block.line}: nothing was run before this output"
            assert first_absent(block.body, printed) is None, f"{page.name}, line {block.line}: not printed as shown. Printed:\n{printed}"


def test_what_a_page_shows_is_compared_by_words_and_rounded_numbers():
    printed = "Found 14 links\nflow  level  1  +0.403\nsum 2\n"
    assert first_absent("Found 14 links\n...\nsum 2\n", printed) is None
    assert first_absent("flow level 1 +0.41\n", printed) is None
    assert first_absent("flow level ...\n", printed) is None
    assert first_absent("flow pump ...\n", printed) == "flow pump ..."
    assert first_absent("flow level 1 +0.55\n", printed) == "flow level 1 +0.55"
    assert first_absent("Found 15 links\n", printed) == "Found 15 links"
    assert first_absent("sum 2\nFound 14 links\n", printed) == "Found 14 links"


def test_blocks_files_and_exit_codes_are_read():
    shell_block = '```bash\ncd a\nrcgnn fit a.csv --out "b c"  # exit code 2\nrcgnn fit b.csv  # your own\n```\n'
    text = '```csv title="a.csv"\nx\n```\n\n<!-- not run -->\n```bash\nrcgnn x\n```\n\n' + shell_block
    [file, shell] = blocks_of(text)
    assert (file.title, file.body) == ("a.csv", "x\n")
    assert commands_of(shell.body) == [(["fit", "a.csv", "--out", "b c"], 2)]
