"""Tables and numbers as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

NOTHING = "-"


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; a whole one without decimals.

    Example:
        >>> number(0.12345), number(3), number(None)
        ('0.123', '3', '-')
    """
    if value is None:
        return NOTHING
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [head, *rows]
    escaped = (" | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) for line in lines)
    first, *others = (f"| {line} |" for line in escaped)
    return [first, "|" + "---|" * len(head), *others]


def today() -> str:
    """The date, UTC."""
    return datetime.now(tz=UTC).date().isoformat()
