"""A run folder that a stranger made: an answer or one sentence, never a traceback; nothing outside the folder is written."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rcgnn import encode
from rcgnn.encode import as_npz, from_npz
from rcgnn.errors import InputError, RunDirError
from rcgnn.graph import CausalGraph
from rcgnn.rundir import FILES, RunDir

STORED = Path(__file__).parents[1] / "data" / "runs"
RUNS = ("2026-11-25-report", "2026-11-25-modes")
JSON = ("graph.json", "findings.json", "summary.json", "health.jsonl")
ARRAYS = ("mechanism.npz", "traces.npz")
WRONG: tuple[Any, ...] = (
    *(None, "x", "", -1, 0, 1.5, True, 2**70, -(2**70), 1e308),
    *([], {}, [[]], [None], ["x"], {"a": None}, "../../x", "a\0b", "\ud800", [[[[]]]]),
)
SPOILT = {
    "nan": lambda x: np.full(x.shape, np.nan),
    "infinite": lambda x: np.full(x.shape, np.inf),
    "negative": lambda x: -np.abs(x.astype(float)).astype(x.dtype) - 1,
    "far": lambda x: x.astype(np.int64) + 10**6 if x.dtype.kind in "iu" else x.astype(float) * 1e200,
    "column": lambda x: x.reshape(-1)[:, None],
    "words": lambda x: np.full(x.shape, "zz"),
    "empty": lambda x: x.reshape(-1)[:0],
    "nought": np.zeros_like,
    "ones": np.ones_like,
}


@pytest.fixture
def rcgnn(monkeypatch, capsys):
    def run(*args: object) -> tuple[int, str]:
        from rcgnn.cli import main

        monkeypatch.setattr(sys, "argv", ["rcgnn", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, capsys.readouterr().err

    return run


def copied(tmp_path: Path, name: str = RUNS[0]) -> Path:
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(STORED / name, folder))


def commands(run: Path, aside: Path) -> dict[str, list[object]]:
    """One command for each way to look at a run, writing beside it."""
    return {
        "show": ["show", run],
        "report": ["report", run, "--out", aside / "page.html"],
        "export": ["export", run, "--format", "graphml", "--out", aside / "graph"],
        "diagnose": ["diagnose", run],
        "compare": ["compare", run, STORED / "2026-11-23-first", "--out", aside / "page.md"],
        "score": ["score", run, "--truth", STORED / "truth.csv"],
        "predict": ["predict", run, STORED / "table.csv"],
        "intervene": ["intervene", run, "--set", "x0=1", "--horizon", 3],
        "watch": ["watch", run, "--once"],
    }


READERS = {
    "graph.json": ("show", "report", "export", "compare", "score"),
    "findings.json": ("show", "report", "compare"),
    "summary.json": ("show", "report", "compare", "watch"),
    "health.jsonl": ("diagnose", "report", "compare", "watch"),
    "mechanism.npz": ("report", "predict", "intervene"),
    "traces.npz": ("report",),
}
"""Commands that read the file."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of every value inside; of long lists the first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    return [path, *(deeper for key, one in inner for deeper in places(one, (*path, key)))]


def spoilt(value: Any, chance: random.Random) -> Any:
    """The value with something wrong, missing or too many at one place."""
    path, wrong = chance.choice(places(value)), chance.choice(WRONG)
    if not path:
        return wrong
    made = here = json.loads(json.dumps(value))
    for key in path[:-1]:
        here = here[key]
    if chance.random() < 0.15:
        del here[path[-1]]
    elif isinstance(here, list) and chance.random() < 0.2:
        here.append(wrong)
    else:
        here[path[-1]] = wrong
    return made


def unharmed(code: int, said: str) -> None:
    assert code in (0, 2, 3), said
    assert "Traceback" not in said
    assert "defect" not in said
    if code == 2:
        assert said.startswith("rcgnn: ")
        assert said.count("\n") == 1


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("seed", range(12))
def test_wrong_values_in_json(name, seed, tmp_path, rcgnn):
    chance = random.Random(f"{name}{seed}")
    run = copied(tmp_path, chance.choice(RUNS))
    lines = (run / name).read_text(encoding="utf-8").splitlines() if name == "health.jsonl" else [(run / name).read_text(encoding="utf-8")]
    at = chance.randrange(len(lines))
    lines[at] = json.dumps(spoilt(json.loads(lines[at]), chance))
    (run / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    for asked in chance.sample(READERS[name], 2):
        unharmed(*rcgnn(*commands(run, tmp_path)[asked]))


@pytest.mark.parametrize("field", ["accepted_max", "forecast_share", "group_grad", "norms", "step_loss", "feed_shift", "feed_still"])
def test_figures_of_training_that_are_none(field, tmp_path, rcgnn):
    run = copied(tmp_path)
    lines = [json.loads(line) for line in (run / "health.jsonl").read_text(encoding="utf-8").splitlines()]
    lines[0]["numeric"][field] = {"a": [[]]}
    (run / "health.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    code, said = rcgnn("diagnose", run)
    assert (code, said.count("\n")) == (2, 1)
    assert "line 1 is not a health record" in said


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("how", SPOILT)
def test_wrong_arrays(name, how, tmp_path, rcgnn):
    run, chance = copied(tmp_path), random.Random(f"{name}{how}")
    whole = from_npz((run / name).read_bytes())
    fitting = [array for array, x in whole.items() if how not in ("negative", "far") or x.dtype.kind in "iuf"]
    for array in chance.sample(fitting, 4):
        (run / name).write_bytes(as_npz(whole | {array: SPOILT[how](whole[array])}))
        unharmed(*rcgnn(*commands(run, tmp_path)[chance.choice(READERS[name])]))


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_not_there(name, tmp_path):
    run = RunDir.open(copied(tmp_path))
    whole = from_npz((run.path / name).read_bytes())
    for array in set(whole) - {"schema_version"}:
        (run.path / name).write_bytes(as_npz({key: x for key, x in whole.items() if key != array}))
        with pytest.raises(RunDirError, match=f"no array {array!r}"):
            run.equations() if name == "mechanism.npz" else run.traces()


@pytest.mark.parametrize("name", ["graph.json", "summary.json", "findings.json", "health.jsonl"])
def test_nested_without_end(name, tmp_path, rcgnn):
    run = copied(tmp_path)
    (run / name).write_text('{"a":' * 100_000, encoding="utf-8")
    for asked in READERS[name]:
        unharmed(*rcgnn(*commands(run, tmp_path)[asked]))


@pytest.mark.parametrize("name", ["graph.json", "summary.json", "mechanism.npz", "config.yaml", "model.safetensors", "traces.npz"])
def test_a_folder_a_pipe_or_a_device_in_the_place_of_a_file(name, tmp_path):
    run = RunDir.open(copied(tmp_path))
    read = {"graph.json": run.graph, "summary.json": run.summary, "mechanism.npz": run.equations, "config.yaml": run.config}
    read |= {"model.safetensors": run.state, "traces.npz": run.traces}
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
        (run.path / name).unlink() if not (run.path / name).is_dir() else (run.path / name).rmdir()
        make(run.path / name)
        with pytest.raises(RunDirError, match=f"{name}: "):
            read[name]()


def bomb(claims: tuple[int, ...], held: int = 64, level: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with one array that claims this shape and holds a few bytes."""
    head = str({"descr": "<f8", "fortran_order": False, "shape": claims}).encode().ljust(117) + b"\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", level) as archive:
        archive.writestr("names.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"\0" * held)
    return content.getvalue()


def test_an_archive_that_claims_more_than_it_holds():
    with pytest.raises(ValueError, match="cut short"):
        from_npz(bomb((10**12,)))
    with pytest.raises(ValueError, match="cut short"):
        from_npz(bomb((2**62, 2**62)))


def test_an_archive_that_unfolds_to_more_than_is_allowed(monkeypatch):
    content = bomb((10**6,), held=8 * 10**6)
    assert len(content) < 10**5
    assert from_npz(content)["names"].shape == (10**6,)
    monkeypatch.setattr(encode, "MOST_BYTES", 10**6)
    with pytest.raises(ValueError, match="its arrays take more than 1,000,000 bytes"):
        from_npz(content)


def test_objects_in_arrays_are_never_loaded():
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, ("never",))

    plain = io.BytesIO()
    np.savez(plain, names=np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"archive of plain arrays|Object arrays"):
        from_npz(plain.getvalue())
    assert not Path("never").exists()


def graph() -> CausalGraph:
    return CausalGraph.empty(("a", "b"), 1)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", [n for n in FILES if n not in ("health.jsonl", "model.safetensors")])
def test_what_a_link_in_a_run_folder_leads_to_is_not_written(name, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    run = RunDir(tmp_path / "run")
    (run.path / name).symlink_to(precious)
    run.write(name, b"new")
    assert precious.read_text(encoding="utf-8") == "mine"
    assert (run.path / name).read_bytes() == b"new"
    assert not (run.path / name).is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_neither_through_the_health_log_nor_through_a_draft(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    folder = tmp_path / "run"
    RunDir(folder)
    (folder / "health.jsonl").unlink()
    (folder / "health.jsonl").symlink_to(precious)
    (folder / f".graph.json.{os.getpid()}.tmp").symlink_to(precious)
    run = RunDir(folder, overwrite=True)
    run.write_graph(graph())
    assert precious.read_text(encoding="utf-8") == "mine"
    assert not (folder / "health.jsonl").is_symlink()
    assert run.graph().names == ("a", "b")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000])
def test_an_impossible_folder_is_one_sentence(name, tmp_path):
    with pytest.raises(RunDirError, match="choose another --out"):
        RunDir(tmp_path / name)
    with pytest.raises(InputError, match="there is no such run folder"):
        RunDir.open(tmp_path / name)
