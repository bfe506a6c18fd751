"""Files that somebody else wrote: is it one at all, and YAML as plain values."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Refuse = Callable[[str], Exception]
"""The error of a sentence: the caller says of which kind."""
LONGEST_YAML = 1_000_000
"""Bytes of a file of settings at most."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_file(path: Path, refuse: Refuse) -> None:
    """Does the path lead to a plain file? A pipe may never end, and a device may have no end.

    Args:
        path: what was given; links are followed.
        refuse: what is raised where the answer is no.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise refuse(f"{path}: {_absent(path, error)}") from error
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        remedy = "name a file in it" if stat.S_ISDIR(mode) else "write what comes out of it into a file first"
        raise refuse(f"{path}: expected a file, got {kind}; {remedy}.")


def _absent(path: Path, error: OSError | ValueError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ELOOP:
        return "expected a file, got a link that leads back to itself; correct the link."
    if number == errno.ENOENT and path.is_symlink():
        return f"expected a file, got a link to {str(path.readlink())!r}, which is not there; correct the link."
    if number in (errno.ENOENT, errno.ENOTDIR) or isinstance(error, ValueError):
        return "there is no such file; check the path."
    return f"cannot be read ({getattr(error, 'strerror', None) or error}); check the path and its permissions."


class _Plain(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can stand for more values than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "expected a value, got an alias (*name); write the value out", mark)
        return super().compose_node(parent, index)


def plain_yaml(text: str) -> Any:
    """The values that a YAML text holds: numbers, words, lists and mappings, no objects.

    Raises:
        ValueError: it holds none; one sentence says where and why.

    Example:
        >>> plain_yaml("train: {lr: 0.001}")
        {'train': {'lr': 0.001}}
    """
    try:
        loader = _Plain(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error
    except (yaml.YAMLError, ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(_where(error)) from error


def read_yaml(path: Path, refuse: Refuse) -> Any:
    """What a YAML file holds.

    Args:
        path: the file.
        refuse: what is raised where there is none, it is too long, or not YAML.
    """
    check_file(path, refuse)
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST_YAML + 1)
    except OSError as error:
        raise refuse(f"{path}: cannot be read ({error.strerror or error}); check its permissions.") from error
    if len(raw) > LONGEST_YAML:
        raise refuse(f"{path}: expected settings of at most {LONGEST_YAML:,} bytes, got more; is this the right file?")
    try:
        return plain_yaml(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise refuse(f"{path}: byte {error.start} is not valid UTF-8; save the file as UTF-8.") from error
    except ValueError as error:
        raise refuse(f"{path}: cannot be read as YAML ({error}).") from error


def _where(error: Exception) -> str:
    """Line and problem, as far as they are known."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is not None and problem:
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    if isinstance(error, yaml.YAMLError):
        return (str(error).splitlines() or ["no YAML"])[0]
    return f"a value cannot be understood: {error}"
