"""docs/troubleshooting.md has a row for every rule, and the messages it quotes are messages of the program."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "rcgnn").rglob("*.py"))


def table_rows(heading: str) -> list[str]:
    part = re.search(rf"^## {heading}$\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert part, heading
    return [line for line in part[1].splitlines() if line.startswith("|")][2:]


def test_every_rule_has_a_row():
    linked = {code for line in PAGE.splitlines() if line.startswith("|") for code in re.findall(r"\]\(rules/(\w+)\.md\)", line)}
    assert {path.stem for path in (ROOT / "docs" / "rules").glob("[A-Z]*.md")} <= linked


def test_messages_that_are_quoted_exist():
    quoted = [said for heading in ("The file is refused", "The command is refused") for row in table_rows(heading) for said in said_in(row)]
    assert len(quoted) > 30
    source = re.sub(r"\{[^{}]*\}", "...", re.sub(r'"\s*\n\s*f?"', "", SOURCE))
    assert not [said for said in quoted if not all(part in source for part in fixed_parts(said))]


def said_in(row: str) -> list[str]:
    """What stands in double quotes in the first cell."""
    return re.findall(r'"([^"]+)"', row.split("|")[1])


def fixed_parts(said: str) -> list[str]:
    """The words of a message without what changes: numbers, quoted values, `...`."""
    return [part.strip(" ,.:") for part in re.split(r"\.\.\.|'[^']*'|\d[\d,.]*", said) if len(part.strip(" ,.:")) > 2]
