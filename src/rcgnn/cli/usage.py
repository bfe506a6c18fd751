"""What a mistyped command, option or choice is told: the nearest one there is. All leave with exit code 2."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from rcgnn.errors import did_you_mean, near

UsageError: Any = typer.BadParameter.__mro__[1]
"""The parent of every complaint about a command line; typer gives it no name of its own."""
CHOICE = re.compile(r"'(?P<given>[^']*)' is not one of (?P<known>'[^']*'(?:, '[^']*')*)")


class Command(TyperCommand):
    """A command that knows what a mistyped option or choice may have been."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer does, with other words where it complains."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            option = getattr(error, "option_name", None)
            if option is not None and hasattr(error, "possibilities"):
                shown = [name for param in self.params if not getattr(param, "hidden", False) for name in param.opts if name[:1] == "-"]
                error.possibilities = None
                error.message = f"No such option {option!r}.{did_you_mean(option, shown)}"
            elif found := CHOICE.search(error.message):
                known = [name.strip("'") for name in found["known"].split(", ")]
                error.message = f"{found[0]}.{near(found['given'], known)}"
            raise
        except ValueError as error:  # older versions of click look a path up that no system can hold
            raise typer.BadParameter(f"{error}.", ctx=ctx) from error


class Commands(TyperGroup):
    """The commands; an unknown one is answered with the nearest."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does, with other words where there is no such command."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(args[0], list(self.commands))}")
        return super().resolve_command(ctx, args)
