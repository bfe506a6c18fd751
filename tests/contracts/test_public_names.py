"""The public names and their signatures: those of docs/reference.md. A change here is a change for everybody who uses rcgnn.

To renew the list after a change that is meant: `python tests/contracts/test_public_names.py`, then say in CHANGELOG.md what changed.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

HERE = Path(__file__).parent
PINNED = HERE / "public_names.txt"
PAGE = HERE.parents[1] / "docs" / "reference.md"


def documented() -> list[str]:
    """Dotted names that the reference page shows, and what `rcgnn` itself offers."""
    import rcgnn

    shown = re.findall(r"^::: (rcgnn[\w.]*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return sorted({*shown, *(f"rcgnn.{name}" for name in rcgnn.__all__)})


def found(dotted: str) -> Any:
    """The object of a dotted name."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        return thing
    raise AssertionError(dotted)


def signature(thing: Any) -> str:
    """As it is written in the source: old and new versions of libraries show the same."""
    given = inspect.signature(thing)
    shown = [p.replace(annotation=inspect.Parameter.empty) if not isinstance(p.annotation, str) else p for p in given.parameters.values()]
    parts = []
    for parameter in shown:
        name = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "") + parameter.name
        kind = f": {parameter.annotation}" if isinstance(parameter.annotation, str) else ""
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        parts.append(f"{'[keyword] ' if parameter.kind is parameter.KEYWORD_ONLY else ''}{name}{kind}{default}")
    return f"({', '.join(parts)})"


def _default(value: Any) -> str:
    return value.__name__ if inspect.isroutine(value) else re.sub(r" at 0x\w+", "", repr(value))


def fields(thing: type) -> list[str]:
    """Fields of a settings section, a record or a dataclass."""
    if issubclass(thing, BaseModel):
        return list(thing.model_fields)
    return [field.name for field in dataclasses.fields(thing)] if dataclasses.is_dataclass(thing) else []


def lines(dotted: str) -> list[str]:
    """A name with its signature; of a class and a module also what is in it."""
    thing = found(dotted)
    if inspect.ismodule(thing):
        names = getattr(thing, "__all__", None) or [
            name for name, one in vars(thing).items() if not name.startswith("_") and getattr(one, "__module__", None) == thing.__name__
        ]
        return [dotted, *(line for name in sorted(names) for line in lines(f"{dotted}.{name}"))]
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return [f"{dotted} < {', '.join(base.__name__ for base in thing.__bases__)}"]
    if inspect.isclass(thing):
        own = [dotted if fields(thing) else f"{dotted}{signature(thing)}", *(f"{dotted}.{name} [field]" for name in fields(thing))]
        public = {name: one for base in reversed(thing.__mro__) if base.__module__.startswith("rcgnn") for name, one in vars(base).items()}
        for name, one in sorted(public.items()):
            if name.startswith(("_", "model_")) or name in fields(thing):
                continue
            inner = one.__func__ if isinstance(one, classmethod | staticmethod) else one
            own.append(f"{dotted}.{name}{signature(inner)}" if inspect.isfunction(inner) else f"{dotted}.{name} [attribute]")
        return own
    return [f"{dotted}{signature(thing)}" if callable(thing) else f"{dotted} [value]"]


def settings() -> list[str]:
    """Every setting by its dotted name."""
    from rcgnn.config import Config
    from rcgnn.encode import dotted

    return [f"--set {name}" for name in sorted(dotted(Config().model_dump()))]


def commands() -> list[str]:
    """Every command with its options."""
    from typer.main import get_command

    from rcgnn.cli.app import app

    known = get_command(app).commands
    found = []
    for name, command in sorted(known.items()):
        options = sorted(option for one in command.params if not getattr(one, "hidden", False) for option in one.opts)
        found.append(f"$ rcgnn {name} {' '.join(options)}")
    return found


def listed() -> str:
    return "\n".join([*(line for dotted in documented() for line in lines(dotted)), *settings(), *commands()]) + "\n"


def test_public_names_are_as_pinned():
    now, pinned = listed().splitlines(), PINNED.read_text(encoding="utf-8").splitlines()
    gone, new = [line for line in pinned if line not in now], [line for line in now if line not in pinned]
    assert not gone, f"gone or changed: {gone}; if that is meant, run python {Path(__file__).name} and tell it in CHANGELOG.md"
    assert not new, f"new: {new}; if they are meant to be public, run python {Path(__file__).name}"


def test_the_list_holds_what_people_use():
    text = PINNED.read_text(encoding="utf-8")
    for name in (
        "rcgnn.RCGNN(",
        "rcgnn.RCGNN.fit(",
        "rcgnn.CausalGraph.links(",
        "rcgnn.Config.train [field]",
        "rcgnn.HealthRecord.loss [field]",
    ):
        assert name in text


if __name__ == "__main__":
    PINNED.write_text(listed(), encoding="utf-8")
