"""The setting for the longest delay K: a number of steps, or `auto`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
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
