"""Lines of a foreign training log: parsed, checked, and put into epochs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rcgnn.errors import InputError

SCALARS: dict[str, str] = {
    "epoch": "epoch; lines of one epoch are taken together, 2.5 belongs to 3",
    "step": "optimiser steps so far",
    "loss": "training loss; NaN, infinite or null counts as a step that was not finite",
    "val_loss": "held-out loss",
    "grad_norm": "gradient norm over all parameters, before clipping; NaN, infinite or null as for `loss`",
    "clip_share": "share of steps that were clipped, 0 to 1; for a single step 0, 1, false or true",
    "lr": "learning rate",
    "input_min": "least reading as the network sees it",
    "input_max": "largest one",
}
MAPPINGS: dict[str, str] = {
    "terms": "value of each loss term, before weighting",
    "term_grad_norms": "weighted gradient norm of each term; the data term is `recon` or `data`, else the first",
    "term_cosines": "cosine of each term's gradient with the data term's",
    "sensors": "mean squared residual of each sensor",
}
FIELDS = SCALARS | MAPPINGS
"""Field -> meaning. A mapping is a JSON object, or fields `terms.acyclic`, `terms.recon`, ... In CSV an empty cell is absent."""
ALIASES = {"train_loss": "loss", "learning_rate": "lr", "eval_loss": "val_loss"}
"""Other names that common trainers give."""
MAY_BE_BAD = ("loss", "grad_norm", "input_min", "input_max")
"""Fields in which a value that is not finite is counted, not refused."""
BOUNDS = {"clip_share": (0.0, 1.0), "grad_norm": (0.0, math.inf), "lr": (0.0, math.inf), "epoch": (0.0, 1e9), "step": (0.0, 1e15)}
ABSENT = ("", "null", "none")


@dataclass(frozen=True)
class Line:
    """One line: its number in the file, and its cells by field."""

    number: int
    cells: dict[str, Any]


def json_lines(text: str, where: str) -> tuple[list[Line], str | None]:
    """Objects of JSON lines, and what is wrong with a last line that was cut off, if it was.

    Raises:
        InputError: another line is no JSON object.
    """
    rows = text.split("\n")
    lines: list[Line] = []
    for number, row in enumerate(rows, start=1):
        if not row.strip():
            continue
        try:
            cells = json.loads(row)
        except (ValueError, RecursionError) as error:
            if number == len(rows) and lines:
                return lines, f"line {number} is cut off in the middle."
            raise InputError(f"{where}: line {number} is not JSON; expected one object a line.") from error
        if not isinstance(cells, dict):
            raise InputError(f"{where}: line {number} is not a JSON object but {type(cells).__name__}; expected field names with values.")
        lines.append(Line(number, cells))
    return lines, None


def csv_lines(text: str, where: str) -> list[Line]:
    """Rows of a CSV file by the names in its first line; separated by the comma, semicolon or tab that this line has most of.

    Raises:
        InputError: no row, a name twice, or a row of another length.
    """
    head = text.lstrip().partition("\n")[0]
    table = csv.reader(text.lstrip().splitlines(), delimiter=max(",;\t", key=head.count))
    skipped = text[: len(text) - len(text.lstrip())].count("\n")
    lines: list[Line] = []
    try:
        names = [name.strip() for name in next(table)]
        if len(set(names)) < len(names):
            raise InputError(f"{where}: line {skipped + 1} names a column twice; every name once.")
        for cells in table:
            number = skipped + table.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise InputError(f"{where}: line {number} has {len(cells)} cells, expected {len(names)} as in the first line.")
            lines.append(Line(number, {name: cell for name, cell in zip(names, cells, strict=True) if cell.strip()}))
    except csv.Error as error:
        raise InputError(f"{where}: line {skipped + table.line_num + 1} cannot be read as CSV ({error}).") from error
    if not lines:
        raise InputError(f"{where}: there is no line below the first, {head[:60]!r}; expected one line an epoch or a step.")
    return lines


def known_fields(lines: list[Line]) -> tuple[set[str], set[str]]:
    """Fields of `FIELDS` that occur, and the other names."""
    names = {name for line in lines for name in line.cells}
    known = {name: field_of(name) for name in names}
    return {name for name in known.values() if name}, {name for name, field in known.items() if not field}


def field_of(name: str) -> str | None:
    """The field that a name stands for, or None.

    Example:
        >>> field_of("learning_rate"), field_of("terms.acyclic"), field_of("colour")
        ('lr', 'terms', None)
    """
    name = ALIASES.get(name, name)
    head, dot, tail = name.partition(".")
    if dot:
        return head if head in MAPPINGS and tail else None
    return name if name in FIELDS else None


def scalar(line: Line, name: str, where: str) -> float | None:
    """The number in a field; NaN for one that is there and not finite (only in `MAY_BE_BAD`), None for one that is absent.

    Raises:
        InputError: not a number, or outside its bounds.
    """
    key = next((key for key in (name, *(a for a, field in ALIASES.items() if field == name)) if key in line.cells), None)
    if key is None:
        return None
    value = number(line.cells[key], f"{where}: line {line.number}: {key}")
    if not math.isfinite(value):
        return math.nan if name in MAY_BE_BAD else None
    low, high = BOUNDS.get(name, (-math.inf, math.inf))
    if not low <= value <= high:
        raise InputError(f"{where}: line {line.number}: {key}: expected {low:g} to {high:g}, got {value:g}.")
    return value


def mapping(line: Line, name: str, where: str) -> dict[str, float]:
    """The finite numbers of a mapping, given as one object or as dotted fields."""
    at = f"{where}: line {line.number}: {name}"
    whole = line.cells.get(name)
    if whole is not None and not isinstance(whole, Mapping):
        raise InputError(f"{at}: expected numbers by name such as {{'recon': 0.1}}, got {str(whole)[:40]!r}.")
    cells = dict(whole or {}) | {key.partition(".")[2]: cell for key, cell in line.cells.items() if key.startswith(f"{name}.")}
    numbers = {str(key): number(cell, f"{at}.{key}") for key, cell in cells.items() if key}
    return {key: value for key, value in numbers.items() if math.isfinite(value)}


def number(cell: Any, where: str) -> float:
    """A cell as a number; null is NaN.

    Example:
        >>> number("1e3", "log.csv"), number(True, "log.csv"), number(None, "log.csv")
        (1000.0, 1.0, nan)
    """
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in ABSENT):
        return math.nan
    if isinstance(cell, str) and cell.strip().lower() in ("true", "false"):
        return float(cell.strip().lower() == "true")
    try:
        return float(cell)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: expected a number, got {str(cell)[:40]!r}.") from error


def epochs(lines: list[Line], where: str, size: int) -> list[tuple[int, list[Line]]]:
    """Lines by epoch, in order; without any `epoch`, every `size` lines are one.

    Raises:
        InputError: the epoch falls.
    """
    groups: list[tuple[int, list[Line]]] = []
    numbered = any(field_of(name) == "epoch" for line in lines for name in line.cells)
    for position, line in enumerate(lines):
        value = scalar(line, "epoch", where)
        last = groups[-1][0] if groups else 0
        epoch = position // size + 1 if not numbered else last if value is None else math.ceil(value)
        if groups and epoch < last:
            raise InputError(f"{where}: line {line.number}: the epoch falls from {last} to {epoch}; one log holds one run.")
        if groups and epoch == last:
            groups[-1][1].append(line)
        else:
            groups.append((epoch, [line]))
    return groups
