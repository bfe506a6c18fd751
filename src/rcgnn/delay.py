"""Settings about time: the longest delay K, a number of steps or `auto`, the length of a step, and how long a fit may take."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, LiteralString

from pydantic import BeforeValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

LONGEST = 64
"""No delay beyond this can be asked for."""


def _one_sentence(value: Any, known: ValidatorFunctionWrapHandler) -> Any:
    """What is neither a number in range nor the word, said once and not once for each."""
    try:
        return known(value)
    except ValidationError as error:
        raise PydanticCustomError("max_lag", "expected a whole number from 1 to {longest}, or auto", {"longest": LONGEST}) from error


MaxLag = Annotated[Annotated[int, Field(ge=1, le=LONGEST)] | Literal["auto"], WrapValidator(_one_sentence)]
"""From 1 to `LONGEST`, or `auto`."""

UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds of each unit of time that a step may be written in."""
WRITTEN = re.compile(r"^\s*(\d+(?:\.\d+)?)?\s*([A-Za-z]+)\s*$")


def seconds(step: str | float) -> float:
    """A step in seconds; a bare number is in the unit of the time column.

    Raises:
        ValueError: not a length of time.

    Example:
        >>> seconds("10min"), seconds("h"), seconds(0.5)
        (600.0, 3600.0, 0.5)
    """
    found = WRITTEN.match(step) if isinstance(step, str) else None
    unit = UNITS.get(found[2]) if found else None
    if isinstance(step, str) and (found is None or unit is None):
        raise ValueError(f"not a length of time: {step!r}")
    length = float(found[1] or 1) * unit if found and unit else float(step)
    if not 0 < length < float("inf"):
        raise ValueError(f"not above 0: {step!r}")
    return length


def _written(parse: Callable[[str | float], float], kind: LiteralString, expected: LiteralString) -> Callable[[Any], Any]:
    """What keeps a value as it was written, if `parse` takes it."""

    def check(value: Any) -> Any:
        if value is None:
            return None
        try:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise ValueError(f"not a {kind} of time: {value!r}")
            parse(value)
        except ValueError as error:
            raise PydanticCustomError(kind, expected) from error
        return value

    return check


Step = Annotated[
    str | float | None,
    BeforeValidator(_written(seconds, "step", "expected a length of time such as 10min (ms, s, min, h, d), or a number above 0")),
]
"""Length of a bin of time, or nothing."""

SPAN = re.compile(r"^\s*(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s)?\s*$")
"""Hours, minutes and seconds, each where it is needed."""


def span_seconds(written: str | float) -> float:
    """A span of time in seconds; a bare number is seconds.

    Raises:
        ValueError: not a span of time above 0.

    Example:
        >>> span_seconds("10m"), span_seconds("1h30m"), span_seconds(90)
        (600.0, 5400.0, 90.0)
    """
    found = SPAN.match(written) if isinstance(written, str) else None
    if found is not None:
        length = sum(float(part or 0) * unit for part, unit in zip(found.groups(), (3600.0, 60.0, 1.0), strict=True))
    else:
        length = float(written)
    if not 0 < length < float("inf"):
        raise ValueError(f"not above 0: {written!r}")
    return length


Span = Annotated[
    str | float | None,
    BeforeValidator(_written(span_seconds, "span", "expected a span of time such as 90s, 10m or 1h30m, or a number of seconds above 0")),
]
"""How long a fit may take, or nothing."""
