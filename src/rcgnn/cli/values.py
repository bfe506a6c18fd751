"""Values between the command line and the library: numbers as cells, frames as files, `NAME=VALUE` as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rcgnn.errors import InputError
from rcgnn.whole import write_whole

if TYPE_CHECKING:
    import pandas as pd


CellsOption = Annotated[int | None, typer.Option("--max-cells", metavar="N", min=1, help="Most cells of all tables [default: by memory].")]

DropOption = Annotated[list[str] | None, typer.Option("--drop", metavar="COL", help="Column to leave out, whatever it holds.")]


def lag(text: str) -> str:
    """A delay of at least 1, or `auto`, as it was written.

    Raises:
        typer.BadParameter: neither.

    Example:
        >>> lag("auto"), lag("12")
        ('auto', '12')
    """
    if text != "auto" and not (text.isdecimal() and int(text) >= 1):
        raise typer.BadParameter(f"expected a whole number of at least 1, or auto, got {text!r}.")
    return text


def cell(value: float | None) -> str:
    """A number with three digits, a count, or a dash where there is none."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def save_table(path: Path, table: pd.DataFrame) -> None:
    """A frame as CSV, the whole file or none of it; its folder is made. Text is guarded, see `encode.guarded`.

    Raises:
        InputError: the file cannot be written.
    """
    from rcgnn.encode import guarded

    table = table.map(guarded).rename(columns=guarded)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, table.to_csv(index=False, lineterminator="\n").encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another --out.") from error


def pairs_of(settings: Sequence[str]) -> dict[str, float]:
    """`SENSOR=VALUE` texts as numbers by name; the last `=` separates.

    Raises:
        InputError: not of that form, a value that is no number, or a sensor named twice.

    Example:
        >>> pairs_of(["pump=3.0", "a=b=1e2"])
        {'pump': 3.0, 'a=b': 100.0}
    """
    found: dict[str, float] = {}
    for setting in settings:
        name, equals, text = setting.rpartition("=")
        try:
            value = float(text)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise InputError(f"--set {setting}: expected SENSOR=VALUE with a number, for example --set pump=3.0.")
        if name in found:
            raise InputError(f"--set {setting}: {name!r} is set twice; give one value.")
        found[name] = value
    return found
