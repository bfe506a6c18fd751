"""Every error that rcgnn raises on purpose. A message says where, expected, got, what to do."""

from __future__ import annotations


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
