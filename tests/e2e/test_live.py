"""`rcgnn fit --live` and `rcgnn watch`, as programs of their own beside each other."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from rcgnn.health import HealthRecord, LossHealth
from rcgnn.rundir import MARKER, RunDir

FAKE = Path(__file__).with_name("fake_pipeline.py")
RCGNN = [sys.executable, str(FAKE)]


@pytest.fixture
def start(tmp_path):
    """`start("fit", ...)` -> the running program, its standard error in a file; what still runs at the end is killed."""
    running = []

    def begin(*args, **env):
        said = (tmp_path / f"err{len(running)}").open("w+", encoding="utf-8")
        program = subprocess.Popen([*RCGNN, *map(str, args)], env=os.environ | env, stdout=subprocess.PIPE, stderr=said, encoding="utf-8")
        running.append((program, said))
        program.said = Path(said.name)
        return program

    yield begin
    for program, said in running:
        program.kill()
        program.communicate()
        said.close()


def until(sure, seconds=20):
    """What `sure` gives as soon as it gives something."""
    end = time.monotonic() + seconds
    while not (found := sure()):
        assert time.monotonic() < end, "never happened"
        time.sleep(0.02)
    return found


def address(program):
    return until(lambda: re.search(r"^Live: (http://127\.0\.0\.1:\d+/[\w-]{32,}/)$", program.said.read_text("utf-8"), re.MULTILINE))[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the address that rcgnn printed
        return answer.read().decode()


def messages(url):
    """What the page is told, to the end."""
    return [json.loads(line[6:]) for line in fetch(f"{url}events").splitlines() if line.startswith("data: ")]


def test_a_fit_shows_itself_and_ends_with_its_report(start, table, tmp_path):
    fit = start("fit", table, "--out", tmp_path / "run", "--live", FAKE_SECONDS="0.4")
    url = address(fit)
    page = fetch(url)
    assert "new EventSource" in page
    assert "table.csv" in page
    told = messages(url)
    assert [epoch for news in told if news["training"] for epoch in news["training"]["epoch"]] == [1, 2, 3]
    assert {news["state"] for news in told[:-1]} == {"running"}
    assert told[-1]["state"] == "done"
    assert [stage["name"] for stage in told[-1]["stages"]] == ["read", "train", "write"]
    report = fetch(url)
    began = time.monotonic()
    out, _ = fit.communicate(timeout=20)
    assert time.monotonic() - began < 2
    assert fit.returncode == 0
    assert report == (tmp_path / "run" / "report.html").read_text("utf-8")
    assert out.startswith("4 links among 6 sensors.\n")
    assert fit.said.read_text("utf-8") == f"Live: {url}\n"
    with pytest.raises(urllib.error.URLError):
        fetch(url)


def test_without_a_terminal_and_a_reader_the_fit_ends_at_once(start, table, tmp_path):
    began = time.monotonic()
    quick = start("fit", table, "--out", tmp_path / "plain")
    quick.communicate(timeout=30)
    plain = time.monotonic() - began
    began = time.monotonic()
    fit = start("fit", table, "--out", tmp_path / "run", "--live")
    fit.communicate(timeout=30)
    assert fit.returncode == 0
    assert time.monotonic() - began < plain + 2


def test_the_page_stays_as_long_as_was_asked_and_ctrl_c_ends_it(start, table, tmp_path):
    fit = start("fit", table, "--out", tmp_path / "run", "--live-for", 60)
    url = address(fit)
    until(lambda: "The page stays for 60 s" in fit.said.read_text("utf-8"))
    assert fetch(url) == (tmp_path / "run" / "report.html").read_text("utf-8")
    fit.send_signal(signal.SIGINT)
    out, _ = fit.communicate(timeout=20)
    assert fit.returncode == 0
    assert "run/report.html" in out


def test_a_fit_that_fails_says_so_on_the_page(start, table, tmp_path):
    fit = start("fit", table, "--out", tmp_path / "run", "--live", FAKE_FIT="failed", FAKE_SECONDS="0.4")
    told = messages(address(fit))
    assert (told[-1]["state"], told[-1]["message"]) == ("failed", "screen: no sensor is left; check the table [bold].")
    fit.communicate(timeout=20)
    assert fit.returncode == 1


@pytest.mark.parametrize("command", ["fit", "watch"])
def test_a_port_that_is_taken_is_one_sentence_and_nothing_is_written(start, table, tmp_path, rcgnn, command):
    holder = start("fit", table, "--out", tmp_path / "holder", "--live-for", 60)
    port = re.search(r":(\d+)/", address(holder))[1]
    growing = RunDir(tmp_path / "growing")
    args = ("fit", table, "--out", tmp_path / "run", "--port", port) if command == "fit" else ("watch", growing.path, "--port", port)
    done = rcgnn(*args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"rcgnn: --port {port}: cannot be used (")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_watch_follows_a_fit_of_another_process(start, table, tmp_path):
    run = tmp_path / "run"
    fit = start("fit", table, "--out", run, FAKE_SECONDS="1.5")
    until((run / MARKER).exists)
    watching, text = start("watch", run), start("watch", run, "--text")
    told = messages(address(watching))
    assert [epoch for news in told if news["training"] for epoch in news["training"]["epoch"]] == [1, 2, 3]
    assert [stage["name"] for stage in told[-1]["stages"]] == ["wait", "train"]
    assert told[-1]["stages"][1]["epochs"] == RunDir.open(run).config().train.epochs
    assert told[-1]["state"] == "done"
    assert len(told) > 2
    fit.communicate(timeout=20)
    lines = text.communicate(timeout=20)[0].splitlines()
    assert lines[:3] == [f"epoch {n}, loss {1 / n:.4g}, clipped 0%, lr 0.005" for n in (1, 2, 3)]
    assert lines[3:] == ["complete: 4 links among 6 sensors.", f"report: {run / 'report.html'}"]
    assert watching.communicate(timeout=20)[0].splitlines() == lines[3:]
    assert (watching.returncode, text.returncode) == (0, 0)


def test_watch_of_a_complete_run_points_at_its_report(rcgnn, table, tmp_path):
    rcgnn("fit", table, "--out", tmp_path / "run")
    done = rcgnn("watch", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == f"report: {tmp_path / 'run' / 'report.html'}"
    (tmp_path / "run" / "report.html").unlink()
    assert rcgnn("watch", tmp_path / "run").out.splitlines()[-1] == f"next: rcgnn report {tmp_path / 'run'}"


def test_watch_once_and_patience(rcgnn, tmp_path):
    run = RunDir(tmp_path / "run")
    run.append(HealthRecord(epoch=1, step=1, lr=None, seed=None, loss=LossHealth(train=0.5)))
    with (run.path / MARKER).open("ab") as file:
        file.write(b'{"epoch": 2, "st')
    assert rcgnn("watch", run.path, "--once").out == "epoch 1, loss 0.5, clipped 0%\n"
    done = rcgnn("watch", run.path, "--text", "--give-up", 0.1)
    assert (done.code, done.out) == (1, "epoch 1, loss 0.5, clipped 0%\n")
    assert done.err == f"rcgnn: {run.path}: nothing was written for 0.1 s, and the run is not complete; its fit may be gone.\n"


def test_watch_once_without_an_epoch_says_so(rcgnn, table, tmp_path):
    run = RunDir(tmp_path / "begun")
    (run.path / MARKER).touch()
    assert rcgnn("watch", run.path, "--once").out == "No epoch yet.\n"
    rcgnn("fit", table, "--out", tmp_path / "run")
    (tmp_path / "run" / MARKER).write_bytes(b"")
    assert rcgnn("watch", tmp_path / "run", "--once").out.startswith("complete: 4 links among 6 sensors.\n")


def test_watch_of_nothing_is_one_sentence(rcgnn, tmp_path):
    done = rcgnn("watch", tmp_path / "nowhere")
    assert (done.code, done.out) == (2, "")
    assert "there is no such run folder" in done.err
