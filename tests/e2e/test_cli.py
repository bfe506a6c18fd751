"""The command line: files and their fields, exit codes, hostile names, silence where nobody watches."""

from __future__ import annotations

import ast
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import typer

from rcgnn.cli.app import COMMANDS, app
from rcgnn.cli.console import console
from rcgnn.cli.fit import Recipe
from rcgnn.cli.tables import print_answer
from rcgnn.config import Config
from rcgnn.config import Recipe as RecipeName
from rcgnn.graph import CausalGraph
from rcgnn.rundir import RunDir

FAKE = Path(__file__).with_name("fake_pipeline.py")
CLI = Path(__file__).parents[2] / "src" / "rcgnn" / "cli"
JUNK = ("\x1b", "\r", "━", "─", "│", "╭")


def python(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, args)], env=os.environ | env, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_fit_writes_the_run_and_prints_the_answer(rcgnn, table, tmp_path):
    out = tmp_path / "run"
    done = rcgnn("fit", table, "--out", out, "--max-lag", 2, "--seed", 7, "--set", "train.lr=1e-3")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("4 links among 6 sensors.\n")
    assert "Undecided: 2 pairs\n  2 x near-copies\n" in done.out
    findings = done.out.partition("Findings:\n")[2].splitlines()
    assert findings[0] == "  act   SPIKE: One batch was skipped. Nothing to do."
    assert findings[10] == "  ... and 9 more in findings.json"
    run = RunDir.open(out)
    for file in run.files():
        assert f"  {file}\n" in done.out
    assert [record.epoch for record in run.records()] == [1, 2, 3]
    assert run.summary()["sensors"] == 6
    assert run.summary()["seed"] == 7
    assert run.config() == Config.assemble(None, ["data.max_lag=2", "seed=7", "train.lr=1e-3"])


def test_show_prints_what_fit_printed(rcgnn, table, tmp_path):
    fitted = rcgnn("fit", table, "--out", tmp_path / "run")
    shown = rcgnn("show", tmp_path / "run")
    assert shown.code == 0
    assert shown.out == fitted.out


def test_settings_the_file_then_the_options_then_set(rcgnn, table, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("recipe: origin-after\nseed: 5\ndata: {max_lag: 4}\ntrain: {epochs: 9}\n", encoding="utf-8")
    options = ["fit", table, "--config", file, "--overwrite", "--out", tmp_path / "run"]
    config = RunDir.config
    run = RunDir.open

    assert rcgnn(*options).code == 0
    from_file = config(run(tmp_path / "run"))
    assert (from_file.recipe, from_file.seed, from_file.data.max_lag, from_file.train.batch) == ("origin-after", 5, 4, 8)

    more = ["--max-lag", 2, "--seed", 6, "--device", "cpu", "--set", "seed=8", "--set", "train.epochs=3"]
    assert rcgnn(*options, *more).code == 0
    final = config(run(tmp_path / "run"))
    assert (final.seed, final.data.max_lag, final.device, final.train.epochs) == (8, 2, "cpu", 3)

    assert rcgnn(*options, "--recipe", "auto").code == 0
    other = config(run(tmp_path / "run"))
    assert other.recipe == "auto"
    assert other.train.batch == Config().train.batch, "the presets of the file's recipe leave with it"
    assert other.train.epochs == 9, "what the file says itself stays"


def test_recipes_are_the_configs():
    assert [recipe.value for recipe in Recipe] == list(get_args(RecipeName))


def test_table_options_reach_the_reader(rcgnn, tmp_path):
    for name in ("a.csv", "b.csv"):
        rows = [f"2024-01-01 00:{i:02d},{'day' if i > 5 else 'night'},{i if i % 3 else -200},{i * i},{i % 4},{i % 5}" for i in range(20)]
        (tmp_path / name).write_text("\n".join(["when,mode,p,q,r,s", *rows]), encoding="utf-8")
    args = ["--time", "when", "--regime", "mode", "--na", "-200", "--na", "x", "--quiet"]
    done = rcgnn("fit", tmp_path / "a.csv", tmp_path / "b.csv", "--out", tmp_path / "run", *args)
    assert (done.code, done.err) == (0, "")
    summary = RunDir.open(tmp_path / "run").summary()
    assert (summary["rows"], summary["sensors"]) == (40, 4)


def test_truth_is_refused_and_nothing_is_written(rcgnn, table, tmp_path):
    done = rcgnn("fit", table, "--out", tmp_path / "run", "--truth", "truth.csv")
    assert done.code == 2
    assert done.out == ""
    assert "rcgnn score" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("written", ["soon", "-5m", "0s", "10 parsecs"])
def test_a_budget_that_is_no_span_of_time_is_refused_in_one_sentence(rcgnn, table, tmp_path, written):
    done = rcgnn("fit", table, "--out", tmp_path / "run", f"--budget={written}")
    assert (done.code, done.out) == (2, "")
    assert "budget: expected a span of time such as 90s, 10m or 1h30m" in done.err
    assert written in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_budget_is_written_down_with_the_settings(rcgnn, table, tmp_path):
    assert rcgnn("fit", table, "--out", tmp_path / "run", "--budget", "1h30m").code == 0
    assert RunDir.open(tmp_path / "run").config().budget == "1h30m"


def test_an_existing_folder_is_refused_and_untouched(rcgnn, table, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep", encoding="utf-8")
    for options in ([], ["--overwrite"]):
        done = rcgnn("fit", table, "--out", tmp_path / "mine", *options)
        assert done.code == 2
        assert str(tmp_path / "mine") in done.err
        assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_run_is_replaced_only_when_asked_and_only_by_a_table_that_can_be_read(rcgnn, table, tmp_path):
    run = tmp_path / "run"
    assert rcgnn("fit", table, "--out", run).code == 0
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    assert rcgnn("fit", table, "--out", run).code == 2
    assert rcgnn("fit", tmp_path / "absent.csv", "--out", run, "--overwrite").code == 2
    assert rcgnn("fit", table, "--out", run, "--overwrite", "--set", "train.lr=-1").code == 2
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    assert rcgnn("fit", table, "--out", run, "--overwrite", "--seed", 2).code == 0
    assert RunDir.open(run).summary()["seed"] == 2


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("interrupt", (130, "rcgnn: Interrupted.")),
        ("memory", (1, "rcgnn: Out of memory.")),
        ("failed", (1, "rcgnn: screen: no sensor is left; check the table [bold].")),
        ("defect", (1, "rcgnn: ZeroDivisionError: division by zero second line. This is a defect of rcgnn")),
    ],
)
def test_one_line_and_an_exit_code_for_every_failure(rcgnn, table, tmp_path, monkeypatch, fault, left):
    code, message = left
    monkeypatch.setenv("FAKE_FIT", fault)
    done = rcgnn("fit", table, "--out", tmp_path / "run")
    assert done.code == code
    assert done.out == ""
    assert done.err.startswith(message)
    assert done.err.count("\n") == 1
    assert len(RunDir.open(tmp_path / "run").records()) == 3, "the health record of a failed run stays"
    assert rcgnn("show", tmp_path / "run").code == 2
    monkeypatch.setenv("RCGNN_DEBUG", "1")
    assert "Traceback" in rcgnn("fit", table, "--out", tmp_path / "run", "--overwrite").err


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["fit"], "Missing argument 'TABLE'"),
        (["fit", "table.csv"], "Missing option '--out'"),
        (["fti"], "Did you mean 'fit'?"),
        (["fit", "table.csv", "--out", "run", "--recipe", "origin"], "origin-before"),
        (["fit", "table.csv", "--out", "run", "--max-lag", "0"], "--max-lag"),
        (["fit", "table.csv", "--out", "run", "--set", "train.lrr=1"], "Did you mean 'lr'?"),
        (["fit", "table.csv", "--out", "run", "--config", "absent.yaml"], "absent.yaml"),
        (["fit", "absent.csv", "--out", "run"], "absent.csv"),
        (["show", "absent"], "no such run folder"),
        (["score", "absent", "--truth", "truth.csv"], "no such run folder"),
        (["simulate", "--out", "sim", "--system", "liner"], "Did you mean 'linear'?"),
        (["simulate", "--out", "sim", "--corrupt", "drft=1"], "Did you mean 'drift'?"),
    ],
)
def test_what_cannot_be_used_exits_2_and_says_why(rcgnn, tmp_path, monkeypatch, args, hint):
    monkeypatch.chdir(tmp_path)
    done = rcgnn(*args)
    assert done.code == 2
    assert hint in done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_names_are_printed_as_they_are(rcgnn, table, tmp_path):
    out = rcgnn("fit", table, "--out", tmp_path / "run").out
    with table.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))
    for name in names[:3] + names[-1:]:
        assert name in out.partition("Undecided")[0]
    assert "[bold]red[/bold] was read." in out


def test_a_name_cannot_command_the_terminal(rcgnn, tmp_path):
    from rcgnn.graph import CausalGraph

    names = ("clear\x1b[2Jme", "line\nbreak", "right\u202eleft")
    verdict = np.zeros((2, 3, 3), np.int8)
    verdict[1, 0, 1] = verdict[1, 1, 2] = 1
    graph = CausalGraph.of(names, verdict * 1.0, verdict, quarantined={names[0]: "constant"}, aliases={names[1]: names[2]})
    run = RunDir(tmp_path / "run")
    run.write_graph(graph)
    for name, text in {"summary.json": '{"schema_version": 1}', "findings.json": '{"schema_version": 1, "findings": []}'}.items():
        (run.path / name).write_text(text, encoding="utf-8")
    out = rcgnn("show", run.path).out
    assert r"clear\x1b[2Jme" in out
    assert r"line\nbreak" in out
    assert r"right\u202eleft" in out
    assert r"Left out: clear\x1b[2Jme: constant" in out
    assert r"Near-copy: line\nbreak; right\u202eleft stands for it." in out


def test_simulate_says_what_comes_next_and_score_accepts_it(rcgnn, tmp_path):
    out = tmp_path / "my station"
    done = rcgnn("simulate", "--out", out, "--rows", 300)
    assert (done.code, done.err) == (0, "")
    assert sorted(file.name for file in out.iterdir()) == ["clean.csv", "data.csv", "truth.csv"]
    assert done.out.splitlines()[-1] == f"next: rcgnn fit '{out / 'data.csv'}' --out '{out / 'run'}'"
    assert rcgnn("fit", out / "data.csv", "--out", out / "run").code == 0
    scored = rcgnn("score", out / "run", "--truth", out / "truth.csv")
    assert (scored.code, scored.err) == (0, "")
    for label in ("window", "summary", "instantaneous", "SHD", "of the empty graph", "F1", "AUROC", "AUPRC", "prevalence", "missed"):
        assert label in scored.out


def test_simulate_is_reproducible_and_takes_faults(rcgnn, tmp_path):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        args = ["--system", "linear", "--rows", 80, "--sensors", 4, "--corrupt", "missing=0.5"]
        assert rcgnn("simulate", "--out", tmp_path / folder, "--seed", seed, *args).code == 0
    a, b, c = ((tmp_path / folder / "data.csv").read_bytes() for folder in "abc")
    assert a == b != c
    assert a.count(b",,") > 10
    assert rcgnn("simulate", "--out", tmp_path / "d", "--system", "linear", "--rows", 80, "--sensors", 4).code == 0
    assert not (tmp_path / "d" / "clean.csv").exists()


def test_score_counts_every_target_apart(rcgnn, table, tmp_path):
    assert rcgnn("fit", table, "--out", tmp_path / "run").code == 0
    graph = RunDir.open(tmp_path / "run").graph()
    truth = tmp_path / "truth.csv"
    rows = [[graph.names[i], graph.names[j], k] for k, i, j in graph.links()[:3]] + [[graph.names[3], graph.names[4], 1]]
    with truth.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["cause", "effect", "lag"], *rows])
    done = rcgnn("score", tmp_path / "run", "--truth", truth, "--json")
    scores = json.loads(done.out)
    assert list(scores) == ["schema_version", "window", "summary", "instantaneous"]
    assert (scores["window"]["links_true"], scores["window"]["links_found"], scores["window"]["shd"]) == (4, 4, 2)
    assert scores["summary"]["f1"] == 0.75
    text = rcgnn("score", tmp_path / "run", "--truth", truth).out
    assert "True links: 3 found, 1 missed, 0 undecided; 1 false." in text

    with truth.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["cause", "effect"], *(row[:2] for row in rows)])
    lagless = rcgnn("score", tmp_path / "run", "--truth", truth, "--json")
    assert json.loads(lagless.out)["window"] is None
    assert " any" in rcgnn("score", tmp_path / "run", "--truth", truth).out


def test_score_leaves_the_run_as_it_was(rcgnn, table, tmp_path):
    assert rcgnn("fit", table, "--out", tmp_path / "run").code == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    (tmp_path / "truth.csv").write_text("cause,effect\n", encoding="utf-8")
    assert rcgnn("score", tmp_path / "run", "--truth", tmp_path / "truth.csv").code == 0
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


def test_no_links_is_an_answer(rcgnn, table, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_FIT", "empty")
    done = rcgnn("fit", table, "--out", tmp_path / "run")
    assert done.code == 0
    assert "cause" not in done.out
    assert RunDir.open(tmp_path / "run").summary()["verdict"] == "no links found"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_pipe_gets_plain_lines_and_nothing_on_stderr(table, tmp_path, encoding):
    done = python(FAKE, "fit", table, "--out", tmp_path / "run", PYTHONIOENCODING=encoding, COLUMNS="40")
    assert (done.returncode, done.stderr) == (0, "")
    assert not [junk for junk in JUNK if junk in done.stdout]
    assert ("🚰" in done.stdout) == (encoding == "utf-8")
    assert "\\U0001f6b0" in done.stdout or encoding == "utf-8"


def terminal(*args: object, **env: str) -> str:
    """What a person sees who runs this on a terminal."""
    pty = pytest.importorskip("pty")
    mine, theirs = pty.openpty()
    env = {"TERM": "xterm", "COLUMNS": "200", **env}
    child = subprocess.Popen([sys.executable, *map(str, args)], stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | env)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(mine, 65536):
            seen += chunk
    except OSError:
        pass  # Linux says EIO where others say end of file
    os.close(mine)
    assert child.wait(timeout=60) == 0, seen.decode()
    return seen.decode()


def test_a_terminal_sees_progress_unless_quiet(table, tmp_path):
    seen = terminal(FAKE, "fit", table, "--out", tmp_path / "a", FAKE_SECONDS="0.15")
    for fact in ("train", "epoch 3", "loss 0.3333", "2 links", "clipped 25%", "0:00:0"):
        assert fact in seen
    quiet = terminal(FAKE, "fit", table, "--out", tmp_path / "b", "--quiet")
    assert "epoch" not in quiet
    assert "4 links among 6 sensors." in quiet
    assert "<script>" in quiet


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_control_c_exits_130_without_a_traceback(table, tmp_path):
    health = tmp_path / "run" / "health.jsonl"
    args = [sys.executable, FAKE, "fit", table, "--out", tmp_path / "run"]
    child = subprocess.Popen([*map(str, args)], env=os.environ | {"FAKE_SECONDS": "20"}, stdout=-1, stderr=-1, encoding="utf-8")
    deadline = time.monotonic() + 30
    while not (health.exists() and health.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert err == "rcgnn: Interrupted. There is no answer yet; the same command with --resume goes on.\n"
    assert {file.name for file in health.parent.iterdir()} == {"config.yaml", "health.jsonl", "checkpoint"}


def test_help_and_version_answer_at_once():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = python("-m", "rcgnn", "--help")
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout
    assert min(seconds) < 0.5
    assert python("-m", "rcgnn", "--version").stdout.startswith("rcgnn ")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_says_what_it_does(name):
    parameters = [p for p in typer.main.get_command(app).commands[name].params if not getattr(p, "hidden", False)]
    assert len(parameters) >= 1
    assert [p.name for p in parameters if not p.help] == []


def test_fit_does_not_offer_truth(rcgnn):
    assert "truth" not in rcgnn("fit", "--help").out


def test_the_command_line_loads_no_heavy_library():
    heavy = ("torch", "pandas", "scipy", "numpy", "pydantic", "sklearn", "rich")
    code = f"import sys, rcgnn.cli; print([name for name in {heavy} if name in sys.modules])"
    assert python("-c", code).stdout.strip() == "[]"


def test_show_and_score_do_not_load_torch(rcgnn, table, tmp_path):
    assert rcgnn("fit", table, "--out", tmp_path / "run").code == 0
    (tmp_path / "truth.csv").write_text("cause,effect\n", encoding="utf-8")
    for args in (["show", tmp_path / "run"], ["score", tmp_path / "run", "--truth", tmp_path / "truth.csv"]):
        code = "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules)); from rcgnn.cli import main; main()"
        assert python("-c", code, *args).stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("file", sorted(CLI.glob("*.py")), ids=lambda file: file.name)
def test_a_command_fits_on_one_screen(file):
    """At most 60 statements' lines a file: docstrings, imports and blank lines do not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {
        line for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for line in range(node.lineno, node.end_lineno + 1)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            skipped |= set(range(node.lineno, node.end_lineno + 1))
    lines = file.read_text(encoding="utf-8").splitlines()
    code = [
        line for number, line in enumerate(lines, start=1) if number not in skipped and line.strip() and not line.strip().startswith("#")
    ]
    assert len(code) <= 60


def test_prior_knowledge_that_does_not_fit_is_one_sentence_and_nothing_is_written(rcgnn, table, tmp_path):
    file = tmp_path / "known.yaml"
    file.write_text("forbid: ['pump* -> :smile*']\nrequire: ['pump 🚰 * -> :smile: Ünit [[]°C]']\n", encoding="utf-8")
    recipe = ["--recipe", "origin-after", "--set", "prior.exogenous=say*"]
    for options, message in (
        (["--prior", file], "prior.require 'pump 🚰 * -> :smile: Ünit [[]°C]' and prior.forbid 'pump* -> :smile*' contradict each other"),
        (["--set", 'prior.forbid=["pum -> a"]'], "prior.forbid: 'pum -> a': no sensor is called 'pum' or matches it."),
        (["--set", "prior.forbid=pump"], "prior.forbid: 'pump' is not a link; write 'cause -> effect'"),
        (["--prior", tmp_path / "absent.yaml"], "absent.yaml: there is no such file"),
        (recipe, "prior: the recipe 'origin-after' cannot use prior knowledge"),
    ):
        done = rcgnn("fit", table, "--out", tmp_path / "run", *options)
        assert (done.code, done.out) == (2, ""), options
        assert message in " ".join(done.err.split())
        assert not (tmp_path / "run").exists()


def test_prior_knowledge_is_kept_with_the_run(rcgnn, table, tmp_path):
    file = tmp_path / "known.yaml"
    file.write_text("exogenous: [':smile: Ünit [°C]']\n", encoding="utf-8")
    options = ["--config", tmp_path / "run.yaml", "--prior", file, "--set", "prior.forbid=pump* -> say*"]
    (tmp_path / "run.yaml").write_text("seed: 3\nprior: {forbid: ['a, b; c -> *'], exogenous: ['a, b; c']}\n", encoding="utf-8")
    assert rcgnn("fit", table, "--out", tmp_path / "run", *options).code == 0
    config = RunDir.open(tmp_path / "run").config()
    assert (config.seed, config.prior.forbid, config.prior.exogenous) == (3, ["pump* -> say*"], [":smile: Ünit [°C]"])


def test_links_that_were_required_are_told_apart(capsys):
    size = np.zeros((2, 2, 2))
    size[1, 0, 1] = 1.0
    graph = CausalGraph.of(("a", "b"), size, size.astype(np.int8), reasons={(1, 0, 1): "required by prior knowledge"}, conclusion="One.")
    print_answer(console(), graph, [], {}, [])
    assert "of these 1 x required by prior knowledge" in capsys.readouterr().out
