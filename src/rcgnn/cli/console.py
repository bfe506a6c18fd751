"""Where the command line prints, and how text that came from a user is made safe to print."""

from __future__ import annotations

import sys
import unicodedata
from typing import Any

from rich.console import Console

ENDLESS = 100_000
"""Columns of a pipe or a file: nothing is wrapped or cut there."""
JOINER = "\u200d"
"""Holds compound emoji together; the only invisible formatting character that is printed."""


def console(*, stderr: bool = False) -> Console:
    """Standard output (the answer) or standard error (progress, errors); markup in what is printed means nothing."""
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False, "stderr": stderr}
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(**plain) if terminal else Console(**plain, width=ENDLESS, height=25, soft_wrap=True)


def safe(text: object) -> str:
    r"""Text without anything a terminal obeys: control, bidirectional and line-breaking characters become escapes.

    Example:
        >>> safe("pump\x1b[2J")
        'pump\\x1b[2J'
    """
    return "".join(c if _printable(c) else c.encode("unicode_escape").decode("ascii") for c in str(text))


def _printable(character: str) -> bool:
    return character == JOINER or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
