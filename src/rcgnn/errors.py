"""Every error that rcgnn raises on purpose. A message says where, expected, got, what to do."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence

SHOWN = 8
"""Known names that a message lists at most."""
CUT = 60
"""Characters of what somebody wrote that a message shows at most."""
LONGEST = 1000
"""Characters of a message; of a longer one the middle is left out, since where it is stands first and what to do last."""
JOINER = "\u200d"
"""Holds compound emoji together; the only invisible formatting character that is shown."""


def visible(text: object) -> str:
    r"""Text on one line without anything a terminal obeys: control, bidirectional and line-breaking characters become escapes.

    Example:
        >>> visible("pump\x1b[2J")
        'pump\\x1b[2J'
    """
    return "".join(c if _printable(c) else c.encode("unicode_escape").decode("ascii") for c in str(text))


def _printable(character: str) -> bool:
    return character == JOINER or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def shown(value: object, most: int = CUT) -> str:
    """What somebody wrote, as a message quotes it: never much longer than `most` characters.

    Example:
        >>> shown("oops"), shown([1, 2]), shown("a long story", most=6)
        ("'oops'", '[1, 2]', "'a long...'")
    """
    cut = isinstance(value, str | bytes) and len(value) > most
    text = repr(value[:most]) if cut and isinstance(value, str | bytes) else repr(value)
    if cut:
        return f"{text[:-1]}...{text[-1]}"
    return text if len(text) <= most + 2 or isinstance(value, str | bytes) else f"{text[:most]}..."


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first few names, as a message lists them.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(name if len(name) <= CUT else f"{name[:CUT]}..." for name in names[:most]) + more


class RcgnnError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it. A message is one line, whatever a file is called."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        text = visible(message)
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[5 - LONGEST // 2 :]}")


class InputError(RcgnnError, ValueError):
    """Something the user gave cannot be used: a file, a table, a setting. Nothing was written."""

    exit_code = 2


class TableError(InputError):
    """A table, or a file that should hold one, cannot be read as sensor readings."""


class ConfigError(InputError):
    """A setting is unknown, out of its range, or contradicts another."""


class RunDirError(InputError):
    """A run folder is missing, incomplete, or belongs to something else."""


class TruthRefusedError(InputError):
    """A true graph was offered to something that learns; only `score` may see it."""


class FitFailedError(RcgnnError):
    """A fit could not give any answer. Says which stage and why."""


class StoppedError(RcgnnError):
    """Somebody asked a fit to end before it was done; says what is there and how to go on."""

    exit_code = 130


FAILURES = (RcgnnError, ArithmeticError, ValueError, RuntimeError, MemoryError, OSError, ImportError)
"""What a computation raises for what it was given, or for the machine it is on. Anything else, a TypeError say, is a mistake in code:
nobody catches it, and it ends the process."""


def in_words(error: BaseException) -> str:
    r"""On one line: our own sentence as it is, any other error after its kind.

    Example:
        >>> in_words(InputError("a.csv: no column; add one.")), in_words(ValueError("first\nsecond")), in_words(KeyError())
        ('a.csv: no column; add one.', 'ValueError: first second', 'KeyError')
    """
    if isinstance(error, RcgnnError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def near(word: str, known: Sequence[str]) -> str:
    """The end of a message that lists what there is anyway: the nearest of it, or nothing.

    Example:
        >>> near("autoo", ["auto", "off"]), near("xyz", ["auto", "off"])
        (" Did you mean 'auto'?", '')
    """
    found = difflib.get_close_matches(word[:CUT], known, n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else ""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, else the first few there are.

    Example:
        >>> did_you_mean("pumpe", ["pump", "flow"])
        " Did you mean 'pump'?"
    """
    more = ", ..." if len(known) > SHOWN else "."
    return near(word, known) or f" Known here: {', '.join(known[:SHOWN])}{more}"
