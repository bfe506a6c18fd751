"""What SECURITY.md promises: nothing that is read can run, nothing is sent, nothing is kept quiet."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rcgnn.live.page import live_page
from rcgnn.report.page import page
from rcgnn.rundir import RunDir

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "data" / "runs"
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
RUNS_WHAT_IT_READS = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "code", "imp", "runpy"}
CALLS = {"eval", "exec", "compile", "__import__", "input"}
"""Built-ins that make code of text."""
UNSAFE = {
    "yaml": {"load", "load_all", "full_load", "unsafe_load", "unsafe_load_all", "Loader", "FullLoader", "UnsafeLoader"},
    "torch": {"load", "save"},
    "os": {"system", "popen", "spawnl", "spawnv"},
    "pd": {"read_pickle", "read_hdf", "eval"},
    "pandas": {"read_pickle", "read_hdf", "eval"},
    "tarfile": {"open"},
    "shutil": {"unpack_archive"},
    "tempfile": {"mktemp"},
}
"""Functions by module: those that run what they read, or write where an archive says."""
MODULE_BY_NAME = {"import_module"}
"""Where a module is loaded by a name that is not written there."""
NAMED_MODULES = {"rcgnn/__init__.py", "rcgnn/bench/job.py", "rcgnn/baselines/peers.py"}


def of(path: Path) -> str:
    return str(path.relative_to(ROOT / "src")) if path.is_relative_to(ROOT / "src") else str(path.relative_to(ROOT))


def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES]


def faults(path: Path, tree: ast.Module) -> list[str]:
    """Everything in a file that could run what it reads, or a shell."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [name for name in names if name.split(".")[0] in RUNS_WHAT_IT_READS]
            if isinstance(node, ast.ImportFrom):
                found += [f"{node.module}.{a.name}" for a in node.names if a.name in UNSAFE.get(node.module or "", ())]
        if not isinstance(node, ast.Call):
            continue
        keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.append(node.func.id)
        if isinstance(node.func, ast.Name) and node.func.id in MODULE_BY_NAME and of(path) not in NAMED_MODULES:
            found += [] if isinstance(node.args[0], ast.Constant) else [node.func.id]
        if isinstance(node.func, ast.Attribute):
            owner, name = ast.unparse(node.func.value), node.func.attr
            found += [f"{owner}.{name}"] if name in UNSAFE.get(owner, ()) else []
            loads = owner in ("np", "numpy", "np.lib.format") and name in ("load", "read_array", "save", "savez", "write_array")
            found += [f"{owner}.{name} without allow_pickle=False"] if loads and keywords.get("allow_pickle") != "False" else []
        found += ["shell"] if keywords.get("shell", "False") != "False" else []
        found += ["allow_pickle"] if keywords.get("allow_pickle", "False") != "False" else []
    return found


RUNS_TEXT = (
    "import pickle",
    "from joblib import load",
    "eval('1')",
    "import_module(name)",
    "os.system(x)",
    "subprocess.run(x, shell=True)",
)
LOADS_OBJECTS = ("yaml.load(x)", "from yaml import unsafe_load", "torch.load(x)", "np.load(x)", "np.load(x, allow_pickle=True)")


@pytest.mark.parametrize("text", [*RUNS_TEXT, *LOADS_OBJECTS, "pd.read_pickle(x)"])
def test_the_walk_sees_it(text):
    assert faults(ROOT / "src" / "rcgnn" / "x.py", ast.parse(text))


@pytest.mark.parametrize("text", ["np.load(x, allow_pickle=False)", "yaml.safe_load(x)", "re.compile(x)", "subprocess.run([x])"])
def test_the_walk_lets_pass(text):
    assert not faults(ROOT / "src" / "rcgnn" / "x.py", ast.parse(text))


def test_nothing_that_is_read_can_run():
    found = {of(path): wrong for path, tree in trees() if (wrong := faults(path, tree))}
    assert not found


def test_every_exception_from_the_security_rules_has_its_reason():
    lines = [(of(path), line) for path in SOURCES for line in path.read_text(encoding="utf-8").splitlines()]
    silenced = [(where, line.strip()) for where, line in lines if re.search(r"#.*(noqa:.*\bS\d{3}|nosec)", line)]
    assert silenced
    assert not [entry for entry in silenced if not re.search(r"(S\d{3}|B\d{3})[ ,A-Z0-9]* - \w+", entry[1])]


OFFLINE = """
import socket, sys
def refused(*given, **named):
    raise SystemExit(f"a connection was tried: {given}")
for name in ("connect", "connect_ex", "sendto", "bind", "listen"):
    setattr(socket.socket, name, refused)
socket.create_connection = socket.getaddrinfo = refused
import numpy as np, pandas as pd
from pathlib import Path
import rcgnn.cli
from rcgnn import RCGNN
from rcgnn.report.page import write_report
from rcgnn.rundir import RunDir
frame = pd.read_csv(sys.argv[1])
model = RCGNN(max_lag=2, train__epochs=1, select__refine="on").fit(frame)
assert model.graph_.names
sys.argv = ["rcgnn", "fit", sys.argv[1], "--out", sys.argv[2], "--quiet", "--set", "train.epochs=1"]
try:
    rcgnn.cli.main()
except SystemExit as left:
    assert not left.code, left.code
write_report(RunDir.open(sys.argv[4]))
print("nothing was sent")
"""


def test_import_fit_and_report_open_no_connection(tmp_path):
    command = [sys.executable, "-c", OFFLINE, str(STORED / "table.csv"), str(tmp_path / "run")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.stdout.splitlines()[-1:] == ["nothing was sent"], done.stderr


def test_the_check_of_connections_can_fail():
    tried = OFFLINE.split("import numpy", maxsplit=1)[0] + "socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run([sys.executable, "-c", tried], check=False, capture_output=True, text=True, timeout=60)
    assert "a connection was tried" in done.stderr


class Policies(HTMLParser):
    """Policy, scripts, and everything that would be fetched or run otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.policy, self.handlers, self.fetched, self.bases = "", [], [], 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "meta" and (told.get("http-equiv") or "").lower() == "content-security-policy":
            self.policy = told["content"] or ""
        self.handlers += [name for name in told if name.startswith("on")]
        self.fetched += [
            f"{tag} {told[name]}"
            for name in ("src", "href", "action", "data")
            if (told.get(name) or "#")[:1] not in "#" and told[name] != "data:,"
        ]
        self.bases += tag in ("base", "iframe", "object", "embed")


@pytest.mark.parametrize("kind", ["report", "live"])
def test_the_policy_of_a_page_is_strict(kind):
    text = page(RunDir.open(STORED / "2026-11-25-report")) if kind == "report" else live_page("table", "1")
    seen = Policies()
    seen.feed(text)
    rules = {words.split()[0]: words.split()[1:] for words in seen.policy.split(";") if words.strip()}
    assert rules["default-src"] == ["'none'"]
    assert rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert rules["script-src"]
    assert all(re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", source) for source in rules["script-src"])
    assert set(rules.get("img-src", [])) <= {"data:", "blob:"}
    assert rules.get("connect-src", []) == ([] if kind == "report" else ["'self'"])
    assert not [source for sources in rules.values() for source in sources if "http" in source or source in ("*", "'unsafe-eval'")]
    assert not seen.handlers
    assert not seen.fetched
    assert not seen.bases


HOSTILE = "</script><img src=x onerror=alert(1)>\u2028'\"&<!--"


def hostile(value, keep=("severity", "schema_version", "index")):
    """The value with every text in it replaced, keys too, but those that must be one of a few."""
    if isinstance(value, dict):
        return {key: (one if key in keep else hostile(one)) for key, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return f"{HOSTILE}{value}" if isinstance(value, str) else value


def test_no_text_of_any_file_becomes_markup(tmp_path):
    run = Path(shutil.copytree(STORED / "2026-11-25-modes", tmp_path / "run"))
    for name in ("graph.json", "findings.json", "summary.json"):
        told = hostile(json.loads((run / name).read_text(encoding="utf-8")))
        if name == "graph.json":
            modes = {mode: f"{HOSTILE}{mode}" for mode in ("0", "1")}
            told["contrasts"] = [[*c[:4], {modes[mode]: slope for mode, slope in c[4].items()}] for c in told["contrasts"]]
            told["quarantined"] = {told["names"][0]: HOSTILE}
        (run / name).write_text(json.dumps(told), encoding="utf-8")
    text = page(RunDir.open(run))
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert block.count("onerror=alert") > 20
    assert not set("<>&\u2028") & set(block)
    assert "alert(1)" not in text.replace(block, "")
    assert json.loads(block)["graph"]["sensors"][0]["name"].startswith(HOSTILE)
