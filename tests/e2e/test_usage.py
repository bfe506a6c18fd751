"""Help for the hands: examples in every --help, completion in the shell, the nearest name for a mistyped one."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys

import pytest
import typer
from rich.console import Console

from rcgnn.cli.app import COMMANDS, app
from rcgnn.cli.console import console
from rcgnn.cli.examples import EXAMPLES
from rcgnn.cli.links import print_links
from rcgnn.cli.tables import print_undecided

GROUP = typer.main.get_command(app)


def options(command):
    return {name for param in GROUP.commands[command].params for name in param.opts if name.startswith("-")} | {"--help"}


def test_every_command_has_two_or_three_examples():
    assert set(EXAMPLES) == set(COMMANDS)
    assert {len(lines) for lines in EXAMPLES.values()} <= {2, 3}


@pytest.mark.parametrize(("command", "line"), [(command, line) for command, lines in EXAMPLES.items() for line in lines])
def test_an_example_is_a_command_line_that_is_understood(command, line):
    words = shlex.split(line.partition("|")[0].partition(">")[0])
    assert words[:2] == ["rcgnn", command]
    with GROUP.commands[command].make_context(command, words[2:]) as context:
        assert context.params


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_end_the_help_unwrapped(rcgnn, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    done = rcgnn(command, "--help")
    assert done.code == 0
    assert done.out.count("Examples:") == 1
    shown = [line.strip() for line in done.out.partition("Examples:\n")[2].splitlines() if line.strip()]
    assert tuple(shown) == EXAMPLES[command]


def test_show_needs_no_option_of_its_own_for_help():
    assert options("show") == {"--help"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["fitt", "x"], "No such command 'fitt'. Did you mean 'fit'?"),
        (["diagnos"], "No such command 'diagnos'. Did you mean 'diagnose'?"),
        (["qqqq"], "No such command 'qqqq'. Known here: fit, watch,"),
        (["fit", "x", "--outt", "r"], "No such option '--outt'. Did you mean '--out'?"),
        (["fit", "x", "--out", "r", "--trut", "t"], "No such option '--trut'."),
        (["show", "--jsonn", "r"], "No such option '--jsonn'."),
        (
            ["fit", "x", "--out", "r", "--recipe", "autoo"],
            "'auto', 'origin-before', 'origin-after'. Did you mean 'auto'?",
        ),
        (["fit", "x", "--out", "r", "--recipe", "zzz"], "'zzz' is not one of 'auto', 'origin-before', 'origin-after'."),
        (["export", "r", "--format", "graphm"], "Did you mean 'graphml'?"),
        (["simulate", "--out", "d", "--system", "stattion"], "unknown system 'stattion'. Did you mean 'station'?"),
        (["fit", "x", "--out", "r", "--set", "trian.lr=1"], "unknown setting 'trian'. Did you mean 'train'?"),
        (["fit", "x", "--out", "r", "--set", "train.epoch=1"], "unknown setting 'train.epoch'. Did you mean 'epochs'?"),
        (["fit", "x", "--out", "r", "--set", "train.balance=fixed"], "Did you mean 'losses.balance'?"),
        (["fit", "x", "--out", "r", "--set", "losses.balance=fixd"], "got 'fixd'. Did you mean 'fixed'?"),
        (["fit", "x", "--out", "r", "--set", "select.refine=onn"], "got 'onn'. Did you mean 'on'?"),
        (["fit", "x", "--out", "r", "--set", "train.lr=-1"], "got -1."),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(rcgnn, tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    done = rcgnn(*given)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "truth" not in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def completed(words, shell="bash"):
    env = os.environ | {"_RCGNN_COMPLETE": f"complete_{shell}", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run([sys.executable, "-m", "rcgnn"], env=env, capture_output=True, encoding="utf-8", timeout=60, check=True)
    return done.stdout.split()


def test_the_shell_completes_commands_and_options():
    assert completed(["rcgnn", "s"]) == ["simulate", "score", "show", "sweep"]
    assert completed(["rcgnn", "dia"]) == ["diagnose"]
    assert set(completed(["rcgnn", "fit", "--li"])) == {"--live", "--live-for"}
    assert completed(["rcgnn", "fit", "--tr"]) == []


def test_completion_is_installed_by_an_option(rcgnn):
    assert "--install-completion" in rcgnn("--help").out
    env = os.environ | {"_RCGNN_COMPLETE": "source_bash"}
    script = subprocess.run([sys.executable, "-m", "rcgnn"], env=env, capture_output=True, encoding="utf-8", timeout=60, check=True)
    assert "_RCGNN_COMPLETE=complete_bash" in script.stdout


def test_open_pairs_are_counted_by_reason(monkeypatch):
    to = console()
    to.file = io.StringIO()
    row = lambda cause, effect, reason: {"cause": cause, "effect": effect, "reason": reason}  # noqa: E731
    print_undecided(to, [row("a", "b", "near"), row("a", "b", "near"), row("a", "b", ""), row("c", "b", "near")])
    assert to.file.getvalue() == "\nUndecided: 2 pairs\n  2 x near\n  1 x no reason given\n"


@pytest.mark.parametrize(("width", "shown"), [(80, False), (120, True)])
def test_a_narrow_terminal_keeps_a_link_on_one_line(width, shown):
    to = Console(width=width, force_terminal=True, no_color=True, file=io.StringIO())
    row = {"cause": "a_pump_of_the_plant", "effect": "flow", "lag": 1, "strength": 0.5, "confidence": 0.9}
    print_links(to, [{**row, "low": 0.412, "high": 0.588, "in_units": 1.25e-07, "swing": 0.3}])
    lines = to.file.getvalue().splitlines()
    assert len([line for line in lines if "a_pump_of_the_plant" in line and "+0.412 .. +0.588" in line and "0.90" in line]) == 1
    assert ("in units" in to.file.getvalue(), "1.25e-07" in to.file.getvalue()) == (shown, shown)
