"""The documentation is tested: what it shows runs, and what there is is in it. Links and navigation: `test_site.py`."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import re
import shlex
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import typer
from pydantic import BaseModel

from rcgnn.cli.app import COMMANDS, app
from rcgnn.config import Config, Section
from rcgnn.data.marks import CODE_NAMES
from rcgnn.data.readers import READERS
from rcgnn.diagnosis import RULES
from rcgnn.diagnosis.advice import ADVICE
from rcgnn.diagnosis.causes import CAUSES
from rcgnn.diagnosis.lines import ALIASES
from rcgnn.diagnosis.lines import FIELDS as LOG_FIELDS
from rcgnn.health import Finding, HealthRecord
from rcgnn.pipeline import fit_series
from rcgnn.recipes import RECIPES
from rcgnn.rundir import FILES, RunDir
from rcgnn.screen.features import BASES
from rcgnn.synth import CELLS, CORRUPTIONS, SEMS, corrupt, simulate

ROOT = Path(__file__).parents[2]
DOCS, SRC, README = ROOT / "docs", ROOT / "src" / "rcgnn", ROOT / "README.md"
PAGES = sorted([README, ROOT / "CONTRIBUTING.md", *(p for p in DOCS.rglob("*.md"))])
WALKED = {DOCS / "quickstart.md", DOCS / "limits.md", *(DOCS / "how-to").glob("*.md"), *(DOCS / "tutorials").glob("*.md")}
"""Pages whose blocks `test_walks.py` runs, commands and all."""
NOT_RUN = "<!-- not run -->"
"""A comment on the line before a python block that keeps it from being run."""
RULE_HEADINGS = ("Symptom", "Evidence", "Cause", "What the program does", "What you can do")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """(line, text) of the fenced blocks of one language."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start()].rstrip().splitlines()
        if match["language"] == language and not (before and before[-1].strip() == NOT_RUN):
            found.append((text[: match.start()].count("\n") + 2, textwrap.dedent(match["body"])))
    return found


def section(text: str, heading: str) -> str:
    """The text under one heading, up to the next heading of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}$\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {heading!r}"
    return found[2]


def rows_are_in(rows: list[str], page: str) -> None:
    lines = set(text_of(page).splitlines())
    absent = [row for row in rows if row not in lines]
    assert not absent, f"{page} lacks these lines:\n" + "\n".join(absent)


# --- what is shown runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [p for p in PAGES if p not in WALKED and blocks(p, "python")], ids=name_of)
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "docs"}
    for line, code in blocks(page, "python"):
        lines = "\n" * (line - 1)  # so that a traceback names the line of the page
        exec(compile(lines + code, str(page), "exec"), namespace)  # noqa: S102 - our own pages
    capsys.readouterr()


def shell_lines() -> list[tuple[str, str]]:
    """(page, line) of every command in bash blocks, comments cut off."""
    return [
        (name_of(page), line.split(" #")[0].split("#")[0].strip())
        for page in PAGES
        for _, body in blocks(page, "bash")
        for line in body.splitlines()
        if line.split("#")[0].strip()
    ]


def options_of(command: str) -> dict[str, object]:
    return {
        option: param for param in typer.main.get_command(app).commands[command].params for option in getattr(param, "opts", [param.name])
    }


@pytest.mark.parametrize(("page", "line"), [x for x in shell_lines() if x[1].startswith("rcgnn ")])
def test_command_lines_exist(page, line):
    _, command, *words = shlex.split(line)
    if command.startswith("--"):
        return
    assert command in COMMANDS, page
    known = options_of(command)
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    assert not unknown, f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_scripts_and_modules_exist(page):
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", text_of("Makefile"), re.MULTILINE))
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *(line for p, line in shell_lines() if p == name_of(page))])
    assert set(re.findall(r"(?:^|\s)make ([a-z][\w-]*)", code)) <= targets
    absent = [script for script in re.findall(r"((?:scripts|benchmarks)/\w+\.py)", code) if not (ROOT / script).is_file()]
    assert not absent, f"{name_of(page)} names scripts that are not there: {absent}"
    for module in re.findall(r"python3? -m (rcgnn[\w.]*)", code):
        importlib.import_module(module)


# --- what there is is documented ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(command):
    part = section(text_of("docs/cli.md"), f"rcgnn {command}")
    assert re.search(rf"```bash\n(?:.*\n)*?rcgnn {command} ", part), "no example"
    shown = [o for o, param in options_of(command).items() if o.startswith("--") and o != "--help" and not getattr(param, "hidden", False)]
    assert not [option for option in shown if f"`{option}" not in part]


def setting_rows() -> list[str]:
    """The lines of configuration.md, one a setting."""
    rows = []
    for name, field in Config.model_fields.items():
        inner = field.default
        if isinstance(inner, Section):
            rows += [_setting_row(f"{name}.{key}", type(inner), key) for key in type(inner).model_fields]
        else:
            rows.append(_setting_row(name, Config, name))
    return rows


def _setting_row(path: str, model: type[BaseModel], key: str) -> str:
    field = model.model_fields[key]
    schema = model.model_json_schema()["properties"][key]
    schema = schema["anyOf"][0] if "anyOf" in schema else schema
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    allowed = ", ".join(schema.get("enum", [])) or " ".join(f"{word} {schema[key]:g}" for key, word in bounds.items() if key in schema)
    allowed = "true, false" if schema.get("type") == "boolean" else allowed
    default = "empty" if field.default is None else json.dumps(field.default).strip('"')
    return f"| `{path}` | `{default}` | {allowed} | {field.description} |"


def test_every_setting_is_documented_as_it_is():
    rows_are_in(setting_rows(), "docs/configuration.md")


def recipe_rows() -> list[str]:
    """The lines of configuration.md, one a setting that a recipe sets."""
    settings = dict.fromkeys(f"{s}.{n}" for preset in RECIPES.values() for s, values in preset.items() for n in values)
    cells = {
        path: [RECIPES[recipe].get(path.split(".")[0], {}).get(path.split(".")[1], "") for recipe in RECIPES if RECIPES[recipe]]
        for path in settings
    }
    return [
        f"| `{path}` | " + " | ".join("" if v == "" else json.dumps(v).strip('"') for v in values) + " |" for path, values in cells.items()
    ]


def test_recipes_are_documented_as_they_are():
    rows_are_in(recipe_rows(), "docs/configuration.md")
    assert all(f"`{recipe}`" in text_of("docs/configuration.md") + text_of("docs/cli.md") for recipe in RECIPES)


def corruption_rows() -> list[str]:
    """The lines of corruptions.md, one a corruption."""
    return [f"| `{name}` | {c.doc} | {c.unit} | {c.default:g} | {c.low:g} to {c.high:g} |" for name, c in CORRUPTIONS.items()]


def cell_rows() -> list[str]:
    """The lines of corruptions.md, one a benchmark cell."""
    return [f"| `{name}` | {', '.join(f'{k}={v:g}' for k, v in spec.items()) or 'none'} |" for name, spec in CELLS.items()]


def test_every_corruption_cell_and_system_is_documented():
    rows_are_in([*corruption_rows(), *cell_rows()], "docs/corruptions.md")
    systems = section(text_of("docs/corruptions.md"), "Systems")
    assert not [name for name in SEMS if f"| `{name}` |" not in systems]


@functools.cache
def every_call() -> list[ast.Call]:
    """Every call of a plain name in the source."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SRC.rglob("*.py"))]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]


def calls(name: str) -> list[ast.Call]:
    return [call for call in every_call() if isinstance(call.func, ast.Name) and call.func.id == name]


def literal(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def emitted_codes() -> set[str]:
    codes = {literal(k.value) for call in calls("Finding") for k in call.keywords if k.arg == "code"}
    return {code for code in codes if code} | set(RULES)


def input_kinds() -> set[str]:
    kinds = {literal(call.args[0]) for call in calls("finding") if call.args}
    for call in calls("Finding"):
        for keyword in call.keywords:
            if keyword.arg == "evidence" and isinstance(keyword.value, ast.Dict):
                kinds |= {literal(v) for k, v in zip(keyword.value.keys, keyword.value.values, strict=True) if literal(k) == "kind"}
    return {kind for kind in kinds if kind} | set(CODE_NAMES.values())


def test_every_rule_code_has_a_page_and_every_page_a_code():
    codes = emitted_codes()
    assert {page.stem for page in (DOCS / "rules").glob("*.md")} - {"index"} == codes
    assert not [code for code in codes if f"[{code}]({code}.md)" not in text_of("docs/rules/index.md")]
    for code in codes:
        text = text_of(f"docs/rules/{code}.md")
        assert text.startswith(f"# {code}\n")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == list(RULE_HEADINGS), code
        assert not [heading for heading in RULE_HEADINGS if len(section(text, heading).split()) < 3], code


def test_every_cause_and_every_field_of_a_foreign_log_is_documented():
    page = text_of("docs/diagnose.md")
    assert re.findall(r"^\| `(\w+)` \|", section(page, "Causes"), re.MULTILINE) == list(CAUSES)
    rows_are_in([f"| `{name}` | {meaning} |" for name, meaning in LOG_FIELDS.items()], "docs/diagnose.md")
    assert not [name for name in ALIASES if f"`{name}`" not in page]
    assert set(ADVICE) <= set(RULES)


def test_every_kind_of_input_finding_is_documented():
    page = text_of("docs/rules/INPUT.md")
    assert len(input_kinds()) > 15
    assert not [kind for kind in input_kinds() if f"| `{kind}` |" not in page]


@pytest.mark.parametrize(
    ("module", "table", "page"),
    [
        ("rcgnn.losses.terms", "TERMS", "docs/method.md"),
        ("rcgnn.losses.acyclicity", "CONSTRAINTS", "docs/method.md"),
        ("rcgnn.train.balance", "BALANCERS", "docs/method.md"),
        ("rcgnn.train.schedule", "SCHEDULES", "docs/method.md"),
        ("rcgnn.evaluate.metrics", "METRICS", "docs/cli.md"),
        ("rcgnn.baselines", "BASELINES", "docs/python.md"),
        ("rcgnn.data.readers", "READERS", "docs/data-format.md"),
        ("rcgnn.export", "FORMATS", "docs/other-tools.md"),
        ("rcgnn.export", "FORMATS", "docs/cli.md"),
        ("rcgnn.figures", "FIGURES", "docs/python.md"),
        ("rcgnn.tracking", "TRACKERS", "docs/live.md"),
        ("rcgnn.tracking", "TRACKERS", "docs/cli.md"),
    ],
)
def test_every_row_of_a_table_is_documented(module, table, page):
    entries = getattr(importlib.import_module(module), table)
    assert not [name for name in entries if f"`{name}`" not in text_of(page)]


def test_bases_and_readers_are_named():
    assert not [name for name in BASES if name not in text_of("docs/configuration.md")]
    assert not [suffix for suffix in READERS if suffix not in text_of("docs/data-format.md")]


# --- what a run writes is documented ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDir:
    plant = simulate("linear", seed=3, rows=400, sensors=4)
    readings = corrupt(plant.series, {"missing": 0.1}, seed=3)
    config = Config().override(["select.refine=on", "train.epochs=3", "data.max_lag=2"])
    folder = RunDir(tmp_path_factory.mktemp("docs") / "run")
    folder.write_config(config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_series(readings, config, on_record=folder.append)
    folder.write_answer(fit, readings, config)
    return folder


def test_every_run_file_is_documented(run):
    page = section(text_of("docs/data-format.md"), "RUN: the files of one run")
    assert not [name for name in FILES if f"| `{name}` |" not in page]
    written = {path.name for path in run.files()}
    assert written >= {"graph.json", "scores.npz", "summary.json", "model.safetensors"}
    assert not [name for name in written if f"| `{name}` |" not in README.read_text(encoding="utf-8")]


def test_every_field_of_the_run_files_is_documented(run):
    page = text_of("docs/data-format.md")
    origin_only, finding = {"origin"}, set(Finding.model_fields)
    fields = {
        "summary.json": set(run.summary()) | origin_only,
        "graph.json": set(json.loads((run.path / "graph.json").read_text(encoding="utf-8"))),
        "scores.npz": set(np.load(run.path / "scores.npz").files),
        "findings.json": set(json.loads((run.path / "findings.json").read_text(encoding="utf-8"))) | finding,
    }
    for name, known in fields.items():
        part = re.search(rf"^### {re.escape(name)}$\n(.*?)(?=^###? |\Z)", page, re.MULTILINE | re.DOTALL)
        assert part, name
        assert not [field for field in known if f"`{field}`" not in part[1]], name


def health_fields(model: type[BaseModel] = HealthRecord, prefix: str = "") -> set[str]:
    """Every field of the record by its dotted name; free dictionaries stand for themselves."""
    found = set()
    for name, field in model.model_fields.items():
        inner = [t for t in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(t, type)]
        part = next((t for t in inner if issubclass(t, BaseModel)), None)
        if part is None or name == "diagnoses":
            found.add(prefix + name)
        else:
            found |= health_fields(part, f"{prefix}{name}." + ("<name>." if name == "aux" else ""))
    return found


def test_every_field_of_the_health_log_is_documented(run):
    page = text_of("docs/health-log.md")
    free = {"data", "numeric", "resource"}
    fields = health_fields()
    assert {"epoch", "loss.val", "aux.<name>.share", "guard.rollbacks", "graph.jaccard"} <= fields
    assert not [field for field in fields - free if f"| `{field}` |" not in page]
    records = run.records()
    assert records
    inside = {f"{part}.{key}" for record in records for part in free for key in getattr(record, part)}
    assert inside
    assert not [field for field in inside if f"| `{field}` |" not in page]
