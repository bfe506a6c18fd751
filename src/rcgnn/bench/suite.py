"""Suite files: which tables a benchmark runs on, in YAML; every mistake is one sentence with the nearest right name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from rcgnn.bench.job import DEFAULT, OURS, Case, check_method
from rcgnn.bench.names import did_you_mean
from rcgnn.errors import ConfigError, InputError
from rcgnn.files import read_yaml
from rcgnn.formats import LONGEST_NAME, not_a_name

ALL = "all"
FIRST_LOOK = (OURS, "granger", "granger+clean", "lasso-var", "correlation", "random", "empty")
"""Methods where neither suite nor user names any: those that take seconds."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """`9000:9005` as a range, `1,2,5` as a list.

    Raises:
        ConfigError: neither, empty, or below 0.

    Example:
        >>> parse_seeds("9000:9003"), parse_seeds("5,1")
        ((9000, 9001, 9002), (5, 1))
    """
    first, colon, last = text.partition(":")
    try:
        found = tuple(range(int(first), int(last))) if colon else tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 0:
        raise ConfigError(f"seeds: expected first:last such as 9000:9005 (the last is not run) or a list such as 1,2,5; got {text!r}.")
    return found


def _seeds(given: Any) -> Any:
    return parse_seeds(given) if isinstance(given, str) else (given,) if isinstance(given, int) else given


def _several(given: Any) -> Any:
    """One value stands for a list of one."""
    return given if isinstance(given, list | tuple) else (given,)


Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_seeds), Field(min_length=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(_several)]


def _known(names: Sequence[str], known: Sequence[str], what: str) -> tuple[str, ...]:
    """The names, all of them for `all`."""
    if list(names) == [ALL]:
        return tuple(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown {what} {name!r}.{did_you_mean(name, known)}")
    return tuple(names)


class Block(BaseModel):
    """Tables of one kind: (systems, traits or real folders) x cells x rows x sensors x max_lag x seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="what the report calls it")
    systems: Words = Field((), description="rows of `SEMS`, or `all`")
    traits: Words = Field((), description="rows of `TRAITS`, each with its own rows, sensors and faults, or `all`")
    data: Words = Field((), description="folders below RCGNN_DATA or --data, each with data and truth.csv")
    cells: Words = Field((DEFAULT,), description="cells, or faults such as `missing=0.3,drift=1`; `default`: those of the system")
    rows: Annotated[tuple[int | None, ...], BeforeValidator(_several)] = Field((None,), description="T; empty: the system's own")
    sensors: Annotated[tuple[int, ...], BeforeValidator(_several)] = Field((13,), description="N")
    max_lag: Annotated[tuple[int | None, ...], BeforeValidator(_several)] = Field((3,), description="K; `null`: the system's, at least 3")
    regimes: int = Field(1, ge=1, description="operating modes")
    recordings: int = Field(1, ge=1, description="independent runs of a system, one below the other")
    seeds: Seeds | None = Field(None, description="instead of the suite's")

    @field_validator("systems")
    @classmethod
    def _systems(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from rcgnn.synth import SEMS

        return _known(names, list(SEMS), "system")

    @field_validator("traits")
    @classmethod
    def _traits(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from rcgnn.synth.traits import TRAITS

        return _known(names, list(TRAITS), "trait")

    @field_validator("cells")
    @classmethod
    def _cells(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from rcgnn.synth import CELLS, CORRUPTIONS, parse_corruption

        for name in names:
            if name != DEFAULT and name.replace("_", "").isalnum():
                _known([name], [DEFAULT, *CELLS, *(c for c in CORRUPTIONS if c not in CELLS)], "cell")
            if name != DEFAULT:
                parse_corruption(name)
        return names

    @field_validator("data")
    @classmethod
    def _below(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            why = next(filter(None, map(not_a_name, name.split("/"))), "")
            if why:
                raise ConfigError(f"expected a folder below the data folder, got {name[:LONGEST_NAME]!r}: {why}.")
        return names

    @field_validator("rows", "sensors", "max_lag")
    @classmethod
    def _positive(cls, values: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if not values or any(value is not None and value < 1 for value in values):
            raise ConfigError("expected whole numbers of at least 1")
        return values

    @model_validator(mode="after")
    def _something(self) -> Block:
        if sum(map(bool, (self.systems, self.traits, self.data))) != 1:
            raise ConfigError(f"block {self.name!r}: give one of systems, traits and data.")
        return self

    def cases(self, seeds: Sequence[int], data: Path | None) -> Iterator[Case | Skipped]:
        """Every table of the block; a real one that is not there gives the reason."""
        if self.data:
            for name in self.data:
                found = _real(name, data)
                yield from [found] if isinstance(found, Skipped) else self._real_cases(name, *found, seeds)
            return
        for row, cell, max_lag, seed in product(self._simulated(), self.cells, self.max_lag, seeds):
            system, rows, sensors, faults = row
            yield Case(system, faults if cell == DEFAULT and faults else cell, seed, rows, sensors, max_lag, self.regimes, self.recordings)

    def _simulated(self) -> list[tuple[str, int | None, int, str]]:
        """(system, rows, sensors, own faults)."""
        from rcgnn.synth.traits import TRAITS

        if self.systems:
            return [(system, rows, sensors, "") for system, rows, sensors in product(self.systems, self.rows, self.sensors)]
        traits = [TRAITS[name] for name in self.traits]
        return [(t.system, t.rows, t.sensors, ",".join(f"{k}={v}" for k, v in t.corruption.items())) for t in traits]

    def _real_cases(self, name: str, folder: Path, content: str, seeds: Sequence[int]) -> Iterator[Case]:
        for cell, max_lag, seed in product(self.cells, self.max_lag, seeds):
            yield Case(Path(name).name, cell, seed, None, 0, max_lag, content=content, folder=folder)


class Suite(BaseModel):
    """A suite file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="short name; the name of the file where absent")
    about: str = Field("", description="one sentence for the report: what is asked")
    methods: Words = Field(FIRST_LOOK, description="`rcgnn`, rows of `BASELINES`, `module:function`, or `all`")
    seeds: Seeds = Field((9000, 9001, 9002), description="`9000:9005` or a list")
    blocks: tuple[Block, ...] = Field(min_length=1, description="the tables")

    @field_validator("name")
    @classmethod
    def _a_folder(cls, name: str) -> str:
        why = not_a_name(name)
        if why:
            raise ConfigError(f"expected the name of a folder, got {name[:LONGEST_NAME]!r}: {why}.")
        return name

    @field_validator("methods")
    @classmethod
    def _methods(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return choose_methods(names)

    @field_validator("blocks")
    @classmethod
    def _one_name_each(cls, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        names = [block.name for block in blocks]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"two blocks are called {twice!r}; rename one.")
        return blocks


class Skipped(NamedTuple):
    """Something that was not run, and why."""

    what: str
    why: str


def choose_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The methods by name, each once; `all`: rcgnn and every baseline.

    Raises:
        InputError: a name that is none.
    """
    from rcgnn.baselines import BASELINES

    wanted = [OURS, *BASELINES] if list(names) == [ALL] else names
    return tuple(dict.fromkeys(check_method(name) for name in wanted))


def read_suite(path: Path) -> Suite:
    """The suite of a file.

    Raises:
        ConfigError: not readable, not YAML, an unknown name or a value out of range, in one sentence.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there is no such suite file.{_neighbours(path)}")
    raw = read_yaml(path, ConfigError)
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a suite such as 'blocks: [{{name: first, systems: [linear]}}]', got {type(raw).__name__}.")
    try:
        return Suite.model_validate({"name": path.stem, **raw})
    except ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(error)}") from error


def _neighbours(path: Path) -> str:
    there = sorted(file.name for file in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return did_you_mean(path.name, there) if there else " Check the path."


def _sentence(error: ValidationError) -> str:
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a wrong name before the one that it leaves missing
    where = [str(part) for part in first["loc"]]
    path = ".".join(where)
    if first["type"] == "extra_forbidden":
        known = Suite.model_fields if len(where) == 1 else Block.model_fields
        return f"unknown entry {path!r}.{did_you_mean(where[-1], known)}"
    if first["type"] == "missing":
        return f"{path} is missing; a suite needs blocks, and every block a name."
    if first["type"] == "too_short":
        return f"{path}: expected at least one, got none."
    message = first["msg"].removeprefix("Value error, ").removeprefix("bench: ")
    message = f"{message[:1].lower()}{message[1:]}".rstrip(".")
    told = isinstance(first.get("ctx", {}).get("error"), InputError)
    if not told:
        message += f", got {first['input']!r}"
    return f"{path}: {message}{'' if message.endswith('?') else '.'}"


def _real(name: str, data: Path | None) -> tuple[Path, str] | Skipped:
    """The folder of a real table and the digest of its files."""
    if data is None:
        return Skipped(name, "no data folder; give it with --data DIR or in the environment variable RCGNN_DATA")
    folder = data / name
    if not folder.is_dir():
        return Skipped(name, f"there is no folder {name!r} in the data folder")
    if not (folder / "truth.csv").is_file():
        return Skipped(name, "there is no truth.csv in its folder")
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.iterdir() if file.is_file()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return folder.resolve(), digest.hexdigest()[:12]
