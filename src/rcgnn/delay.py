"""Settings about time: the longest delay K, a number of steps or `auto`, and the length of a step."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

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


def _length(value: Any) -> Any:
    """A step as it was written, if it is one."""
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"not a length of time: {value!r}")
        seconds(value)
    except ValueError as error:
        raise PydanticCustomError("step", "expected a length of time such as 10min (ms, s, min, h, d), or a number above 0") from error
    return value


Step = Annotated[str | float | None, BeforeValidator(_length)]
"""Length of a bin of time, or nothing."""
