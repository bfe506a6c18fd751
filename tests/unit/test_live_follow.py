"""A run folder that grows: whole lines only, a half one waits, a run begun anew is noticed."""

from __future__ import annotations

import threading
import time

import pytest

from browser.runs import records
from rcgnn.config import Config
from rcgnn.errors import FitFailedError, RunDirError
from rcgnn.live.follow import Follower, Look, looks
from rcgnn.rundir import MARKER, RunDir


@pytest.fixture
def run(tmp_path):
    stored = RunDir(tmp_path / "run")
    stored.write_config(Config())
    return stored


def append(run, content):
    with (run.path / MARKER).open("ab") as file:
        file.write(content)


def epochs(look):
    return [record.epoch for record in look.records]


def test_every_record_is_seen_once(run):
    follower = Follower(run)
    first, second, third = records(3)
    run.append(first)
    assert epochs(follower.look()) == [1]
    assert follower.look() == Look()
    run.append(second)
    run.append(third)
    assert epochs(follower.look()) == [2, 3]


def test_half_a_line_waits_for_its_end_even_within_a_letter(run):
    follower = Follower(run)
    line = (records(1)[0].to_line().replace('"recon"', '"Größe"') + "\n").encode()
    cut = line.index("ö".encode()) + 1
    append(run, line[:cut])
    assert follower.look() == Look()
    append(run, line[cut:-1])
    assert follower.look() == Look()
    append(run, line[-1:])
    assert next(iter(follower.look().records[0].loss.components)) == "Größe"


def test_a_whole_line_that_is_no_record_is_one_sentence(run):
    follower = Follower(run)
    run.append(records(1)[0])
    follower.look()
    append(run, b'{"epoch": 2}\n')
    with pytest.raises(RunDirError, match=r"health\.jsonl: damaged, line 2 is not a health record"):
        follower.look()


def test_a_run_that_is_replaced_begins_again(run):
    follower = Follower(run)
    for record in records(3):
        run.append(record)
    follower.look()
    again = RunDir(run.path, overwrite=True)
    again.append(records(1)[0])
    look = follower.look()
    assert (look.again, epochs(look)) == (True, [1])
    assert follower.look() == Look()


def test_a_file_that_is_away_for_a_moment_is_no_news(run):
    follower = Follower(run)
    run.append(records(1)[0])
    follower.look()
    (run.path / MARKER).rename(run.path / "aside")
    assert follower.look() == Look()
    (run.path / "aside").rename(run.path / MARKER)
    assert follower.look() == Look()


def test_looks_end_with_the_run(run):
    def write():
        for record in records(3):
            run.append(record)
            time.sleep(0.05)
        run.write("summary.json", b"{}")

    writer = threading.Thread(target=write)
    writer.start()
    seen = list(looks(run, interval=0.01))
    writer.join()
    assert [epoch for look in seen for epoch in epochs(look)] == [1, 2, 3]
    assert [look.complete for look in seen] == [False] * (len(seen) - 1) + [True]


def test_patience_ends_and_only_where_nothing_comes(run):
    began = time.monotonic()
    with pytest.raises(FitFailedError, match=r"nothing was written for 0\.2 s"):
        list(looks(run, interval=0.01, patience=0.2))
    assert 0.2 <= time.monotonic() - began < 2


def test_looking_changes_nothing(run):
    run.append(records(1)[0])
    before = {entry.name: entry.stat().st_mtime_ns for entry in run.path.iterdir()}
    Follower(run).look()
    assert {entry.name: entry.stat().st_mtime_ns for entry in run.path.iterdir()} == before
