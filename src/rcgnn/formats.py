"""The files of a run as formats: their versions, and what is checked before anything in them is believed.

A version is a whole number that grows when a reader of the older one would misunderstand the file; a field more is no new version.
A file without one was written before there were any and is read as version 1. Everything here raises `ValueError` with half a
sentence; whoever reads the file says which one it was. `docs/schemas` holds the same as JSON Schemas.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

VERSION = 1
"""Of every file of a run."""
VERSION_FIELD = "schema_version"
Arrays = Mapping[str, NDArray[Any]]
Version = Annotated[int, Field(ge=1, le=VERSION, strict=True)]


class NewerError(ValueError):
    """The file was written by a newer rcgnn."""

    def __init__(self, version: object) -> None:
        super().__init__(f"written by a newer rcgnn (schema {version}); update this one to read it")


def _numbers(depth: int, about: str) -> WithJsonSchema:
    """What stands in the schema of a nested list; reading it is left to numpy."""
    schema: dict[str, Any] = {"type": "number"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return WithJsonSchema(schema | {"description": about})


Table = Annotated[Any, _numbers(3, "[K+1, N, N], [k, i, j]: sensor i at t-k drives sensor j at t")]
Place = Annotated[int, Field(ge=0)]
Pair = tuple[float | None, float | None]


class File(BaseModel):
    """A JSON file; fields that this version does not know are passed over."""

    model_config = ConfigDict(extra="allow")

    schema_version: Version = VERSION


class GraphFile(File):
    """`graph.json`."""

    names: Annotated[tuple[str, ...], Field(min_length=1, description="N sensors in the order of the table")]
    score: Table
    verdict: Table
    strength: Table
    confidence: Table
    reasons: tuple[tuple[Place, Place, Place, str], ...] = Field(description="[k, i, j, why]")
    quarantined: dict[str, str] = Field(description="sensors that could not take part, with the reason")
    aliases: dict[str, str] = Field(description="near-copies, and the sensor that stands for each")
    conclusion: str = Field(description="the answer in one sentence")
    effects: tuple[tuple[Place, Place, Place, float, float, float, float, float, float], ...] = Field(
        (), description="[k, i, j, low, high, in_units, in_units_low, in_units_high, swing]"
    )
    regimes: tuple[str, ...] = Field((), description="operating modes; absent for one")
    contrasts: tuple[tuple[Place, Place, Place, float | None, dict[str, tuple[float, float, float, float]]], ...] = Field(
        (), description="[k, i, j, p, {mode: [strength, low, high, in_units]}]"
    )


class FindingsFile(File):
    """`findings.json`."""

    findings: list[dict[str, Any]]


class SummaryFile(File):
    """`summary.json`: the fields that somebody reads."""

    verdict: str | None = None
    conclusion: str | None = None
    links: int | None = None
    undecided: int | None = None
    table: str | None = Field(None, description="what was read")
    rows: int | None = None
    sensors: int | None = None
    data_digest: str | None = Field(None, description="sha256 of values and mask")
    recipe: str | None = None
    seed: int | None = None
    version: str | None = Field(None, description="of rcgnn")
    packages: dict[str, str] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict, description="by stage")
    scaler: dict[str, Any] = Field(default_factory=dict)
    ranges: dict[str, tuple[Pair, Pair]] = Field(default_factory=dict, description="lowest and highest before and after cleaning")
    network: str | None = Field(None, description="why no network was trained")
    detectable_share: float | None = None


class Checkpoint(BaseModel):
    """One file of `checkpoint/`."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="of what is kept")
    file: str
    size: int | None = Field(None, description="in bytes")
    sha256: str
    about: dict[str, Any] = Field(default_factory=dict)


class ManifestFile(File):
    """`checkpoint/manifest.json`: what a run was begun with, and its checkpoints."""

    rcgnn: str = ""
    packages: dict[str, str] = Field(default_factory=dict, description="those whose version may change the last digits of a number")
    table: str = Field("", description="what was read")
    data: str = Field("", description="sha256 of the table")
    config: dict[str, Any] = Field(default_factory=dict)
    files: list[Checkpoint]
    written: int = Field(0, description="how many files were written in all")


RESERVED = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))))
"""Names that Windows keeps for devices, whatever ending they have."""
LONGEST_NAME = 100


def not_a_name(text: str) -> str:
    """Why a text cannot be the name of one file or folder on every system; empty where it can.

    Example:
        >>> not_a_name("plant 3"), not_a_name("../plant"), not_a_name("aux.csv")
        ('', "it holds '/'", 'Windows keeps it for a device')
    """
    if not text.strip(". ") or text != text.strip() or text.endswith("."):
        return "it is empty, or begins or ends with a blank or ends with a dot"
    wrong = next((c for c in text if c in '/\\:*?"<>|' or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")), None)
    if wrong is not None:
        return f"it holds {wrong!r}"
    if text.split(".", maxsplit=1)[0].strip().lower() in RESERVED:
        return "Windows keeps it for a device"
    return f"it is longer than {LONGEST_NAME} characters" if len(text) > LONGEST_NAME else ""


MOVED = {("train", "balance"): ("losses", "balance")}
"""Settings that had another name in files of earlier versions."""


def renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a file under the names of today; one that is there under both names keeps today's.

    Example:
        >>> renamed({"train": {"lr": 0.1, "balance": "fixed"}})
        {'train': {'lr': 0.1}, 'losses': {'balance': 'fixed'}}
    """
    found = {name: dict(value) if isinstance(value, dict) else value for name, value in settings.items()}
    for (section, name), (new_section, new_name) in MOVED.items():
        old = found.get(section)
        if isinstance(old, dict) and name in old and isinstance(new := found.setdefault(new_section, {}), dict):
            new.setdefault(new_name, old.pop(name))
    return found


def parsed(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON, nested too deeply, or a number that is not finite.

    Example:
        >>> parsed('{"a": NaN}')
        Traceback (most recent call last):
        ValueError: NaN is no number of JSON
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


Model = TypeVar("Model", bound=BaseModel)


def checked(raw: Any, model: type[Model]) -> Model:
    """The value as this model.

    Raises:
        ValueError: it is not one.
        NewerError: it is a newer one.

    Example:
        >>> checked({"schema_version": 9, "findings": []}, FindingsFile)
        Traceback (most recent call last):
        rcgnn.formats.NewerError: written by a newer rcgnn (schema 9); update this one to read it
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise why_not(error) from error


def why_not(error: ValidationError) -> ValueError:
    """What is wrong with a value that a model refused: it is newer, or the first thing that does not fit."""
    found = error.errors(include_url=False)
    for one in found:
        if one["type"] == "less_than_equal" and one["loc"][-1] == VERSION_FIELD:
            return NewerError(one["input"])
    where = ".".join(str(part) for part in found[0]["loc"]) or "the whole"
    return ValueError(f"{where[:80]}: {found[0]['msg'][:1].lower()}{found[0]['msg'][1:]}")


ARRAYS: dict[str, dict[str, tuple[str, str]]] = {
    "scores.npz": {
        "names": ("U", "N"),
        **dict.fromkeys(("score", "strength", "confidence"), ("f", "k N N")),
        "verdict": ("i", "k N N"),
    },
    "mechanism.npz": {
        "sensor_names": ("U", "n"),
        **{f"sensor_{name}": ("f", "n") for name in ("offset", "unit", "level", "lowest", "highest", "spread")},
        **{f"sensor_{name}": ("b", "n") for name in ("drifts", "curved")},
        "sensor_undecided": ("i", "n"),
        "sensor_left_out": ("U", "q 2"),
        "terms": ("i", "P 3"),
        "coefficient": ("f", "P"),
        "intercept": ("f", "n"),
        "resampled": ("f", "R P"),
        "resampled_intercept": ("f", "R n"),
        "rows": ("i", "n"),
        "degrees": ("i", "n"),
        "residual": ("f", "m n"),
        "error": ("f", "2 n"),
        "state": ("f", "K n"),
        "clean": ("b", ""),
    },
    "traces.npz": {
        "names": ("U", "N"),
        "level": ("f", "N"),
        **dict.fromkeys(("row", "removed"), ("i", "N P")),
        **dict.fromkeys(("raw", "clean", "bias", "noise"), ("f", "N P")),
        "bin_start": ("i", "W"),
        "observed": ("iu", "N W"),
    },
}
"""Kinds (numpy's letters) and sizes of the arrays that a file must hold; the same letter is the same size."""


def stamped(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays of a file with the version of its format."""
    return {VERSION_FIELD: np.array(VERSION, np.int64), **arrays}


def unstamped(name: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays of a file without its version.

    Raises:
        ValueError: an array is missing, or of another kind or size.
        NewerError: the file is of a newer version.

    Example:
        >>> unstamped("x.npz", stamped({"a": np.zeros(2)}))
        {'a': array([0., 0.])}
    """
    found = dict(arrays)
    version = found.pop(VERSION_FIELD, np.array(VERSION))
    if version.shape or version.dtype.kind not in "iu" or version < 1:
        raise ValueError(f"{VERSION_FIELD} is no whole number")
    if version > VERSION:
        raise NewerError(int(version))
    sizes: dict[str, int] = {}
    for array, (kinds, dims) in ARRAYS.get(name, {}).items():
        if array not in found:
            raise ValueError(f"no array {array!r} in it")
        if found[array].dtype.kind not in kinds or not _fits(found[array].shape, dims.split(), sizes):
            raise ValueError(f"{array} is {found[array].dtype} {list(found[array].shape)}, expected [{dims}]")
        if "f" in kinds and np.isinf(found[array]).any():
            raise ValueError(f"{array} holds a number that is not finite")
    return found


def _fits(shape: Sequence[int], dims: Sequence[str], sizes: dict[str, int]) -> bool:
    """Whether the sizes agree with those that were seen; new letters are kept."""
    return len(shape) == len(dims) and all(
        size == (int(dim) if dim.isdecimal() else sizes.setdefault(dim, size)) for size, dim in zip(shape, dims, strict=True)
    )
