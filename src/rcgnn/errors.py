"""Every error that rcgnn raises on purpose. A message says where, expected, got, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

SHOWN = 8
"""Known names that a message lists at most."""


class RcgnnError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code = 1


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


def near(word: str, known: Sequence[str]) -> str:
    """The end of a message that lists what there is anyway: the nearest of it, or nothing.

    Example:
        >>> near("autoo", ["auto", "off"]), near("xyz", ["auto", "off"])
        (" Did you mean 'auto'?", '')
    """
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else ""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, else the first few there are.

    Example:
        >>> did_you_mean("pumpe", ["pump", "flow"])
        " Did you mean 'pump'?"
    """
    more = ", ..." if len(known) > SHOWN else "."
    return near(word, known) or f" Known here: {', '.join(known[:SHOWN])}{more}"
