"""One process a folder; whoever is gone holds nothing, whatever locks the file system has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from rcgnn import lock
from rcgnn.errors import RunDirError
from rcgnn.lock import Holder, locked
from rcgnn.whole import LOCK

HOLD = """
import sys, time
from pathlib import Path
from rcgnn.lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["the system's", "none"])
def locks(request, monkeypatch):
    """With the locks of the system, and where a file system has none."""
    if request.param == "none":
        monkeypatch.setattr(lock, "_hold", lambda _: "unknown")
    return request.param


def test_held_inside_the_block_and_free_after_it(tmp_path, locks):
    folder = tmp_path / "run"
    with locked(folder) as holder:
        assert Holder.of(folder) == holder
        assert holder.pid == os.getpid()
        with pytest.raises(RunDirError, match=rf"written by process {os.getpid()}, since 20\d\d-\d\d-\d\dT"), locked(folder):
            pass
        assert Holder.of(folder) == holder
    assert list(folder.iterdir()) == []
    with pytest.raises(ZeroDivisionError), locked(folder):
        raise ZeroDivisionError
    with locked(folder) as other:
        assert other.token != holder.token


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process is killed")
def test_another_process_holds_it_until_it_is_killed(tmp_path, locks):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RunDirError, match=f"process {other.pid}, since"), locked(tmp_path):
            pass
        other.kill()
        other.wait()
        assert (tmp_path / LOCK).exists()
        with locked(tmp_path) as holder:
            assert holder.pid == os.getpid()


@pytest.mark.parametrize(
    "change", [{"started": "1"}, {"boot": "another start of the machine"}, {"pid": 2**22 - 1}], ids=lambda change: next(iter(change))
)
def test_a_number_that_was_given_again_is_another_process(tmp_path, monkeypatch, change):
    monkeypatch.setattr(lock, "_hold", lambda _: "unknown")
    stale = replace(Holder.here(), **change)
    assert not stale.alive
    (tmp_path / LOCK).write_text(json.dumps(asdict(stale)), encoding="utf-8")
    with locked(tmp_path) as holder:
        assert Holder.of(tmp_path) == holder


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_name_that_is_not_whole_is_nobodys(tmp_path, text, locks):
    (tmp_path / LOCK).write_text(text, encoding="utf-8")
    assert Holder.of(tmp_path) is None
    with locked(tmp_path) as holder:
        assert Holder.of(tmp_path) == holder


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunDirError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        pass
