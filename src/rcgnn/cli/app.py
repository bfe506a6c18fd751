"""`COMMANDS`: the commands there are, and what becomes of an error: one message on stderr and an exit code.

0 done; 1 the run failed; 2 what the user gave cannot be used; 3 `diagnose` found something wrong with a training run;
130 interrupted. `RCGNN_DEBUG=1` adds the traceback.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from rcgnn.cli.bench import bench
from rcgnn.cli.compare import compare
from rcgnn.cli.diagnose import diagnose
from rcgnn.cli.examples import epilog
from rcgnn.cli.export import export
from rcgnn.cli.fit import fit
from rcgnn.cli.intervene import intervene
from rcgnn.cli.predict import predict
from rcgnn.cli.report import report
from rcgnn.cli.score import score
from rcgnn.cli.show import show
from rcgnn.cli.simulate import simulate
from rcgnn.cli.sweep import sweep
from rcgnn.cli.usage import Command, Commands
from rcgnn.cli.watch import watch
from rcgnn.errors import RcgnnError

COMMANDS: dict[str, Callable[..., None]] = {
    "fit": fit,
    "watch": watch,
    "predict": predict,
    "intervene": intervene,
    "simulate": simulate,
    "score": score,
    "show": show,
    "export": export,
    "report": report,
    "compare": compare,
    "diagnose": diagnose,
    "sweep": sweep,
    "bench": bench,
}


def main() -> None:
    """Run the command in `sys.argv`; leaves through `SystemExit`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="rcgnn")


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The same command, leaving with a message and an exit code where it would raise."""

    @functools.wraps(command)
    def run(*args: object, **options: object) -> None:
        try:
            command(*args, **options)
        except BrokenPipeError:
            raise
        except RcgnnError as error:
            _leave(str(error), error.exit_code)
        except KeyboardInterrupt:
            _leave("Interrupted. What is on disk so far is whole.", 130)
        except MemoryError:
            _leave("Out of memory. Use fewer sensors or rows, or a smaller --max-lag.", 1)
        except Exception as error:  # noqa: BLE001 - the last door: a defect is told in one line, never as a traceback
            what = f"{type(error).__name__}: {error}".rstrip(".: ")
            _leave(f"{what}. This is a defect of rcgnn, not of your table; RCGNN_DEBUG=1 shows where.", 1)

    return run


def _leave(message: str, code: int) -> NoReturn:
    from rcgnn.cli.console import console, safe

    if os.environ.get("RCGNN_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    console(stderr=True).print(f"rcgnn: {safe(' '.join(message.splitlines()))}")
    raise SystemExit(code)


def _version(asked: bool) -> None:  # noqa: FBT001 - the way typer calls it
    if asked:
        from rcgnn import __version__

        typer.echo(f"rcgnn {__version__}")
        raise typer.Exit


app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def _root(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Which sensor drives which, how strongly, after how long, and how sure."""


for _name, _command in COMMANDS.items():
    app.command(_name, cls=Command, epilog=epilog(_name))(guarded(_command))
