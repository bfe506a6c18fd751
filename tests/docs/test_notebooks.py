"""The notebooks are what their sources give: same cells, all run, nothing of the machine in them; each is a page of the site."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "docs" / "notebooks").glob("*.py"))


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = loaded(ROOT / "scripts" / "notebooks.py")


def stored(source: Path) -> list[dict]:
    return json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]


def test_there_are_notebooks():
    assert {source.stem for source in SOURCES} == {"station", "air_quality"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_notebook_has_the_cells_of_its_source(source):
    kept = [(cell["cell_type"], "".join(cell["source"])) for cell in stored(source)]
    assert kept == SCRIPT.cells(source.read_text(encoding="utf-8")), f"run: python scripts/notebooks.py {source.stem}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_every_code_cell_was_run_without_an_error(source):
    code = [cell for cell in stored(source) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"execute_result", "stream"}
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert len(outputs) >= 5


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_nothing_of_the_machine_is_in_the_outputs(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert not re.findall(r"/(?:home|tmp|root|work|Users|opt|usr|var)/[\w.-]+", text)
    assert not re.findall(r"0x[0-9a-f]{8,}", text)


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_the_page_holds_every_cell_and_output(source):
    cells = stored(source)
    page = loaded(ROOT / "docs" / "notebook_pages.py").page({"cells": cells}, source.stem)
    assert all("".join(cell["source"]) in page for cell in cells)
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    pictures = sum("image/svg+xml" in each for each in data)
    assert page.count("data:image/svg+xml;base64,") == pictures >= 1
    assert page.count("<div>") >= sum("text/html" in each for each in data) >= 3
    assert f"]({source.stem}.ipynb)" in page


def test_the_hook_is_switched_on():
    assert "docs/notebook_pages.py" in yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["hooks"]


def test_a_source_is_run_and_only_the_best_form_of_an_output_is_kept(tmp_path):
    pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    source = tmp_path / "small.py"
    source.write_text(
        "# %% [markdown]\n# # Title\n\n# %%\nimport pandas as pd\n\npd.DataFrame({'a': [1]})\n\n# %%\nprint(6 * 7)\n", encoding="utf-8"
    )
    SCRIPT.run(source)
    title, frame, printed = stored(source)
    assert title["cell_type"] == "markdown"
    assert list(frame["outputs"][0]["data"]) == ["text/html"]
    assert "".join(printed["outputs"][0]["text"]) == "42\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.ipynb", "small.py"]


def test_without_its_data_a_notebook_is_left_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RCGNN_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["notebooks.py", "air_quality"])
    before = (ROOT / "docs" / "notebooks" / "air_quality.ipynb").read_bytes()
    assert SCRIPT.main() == 0
    assert "kept as it was last run" in capsys.readouterr().out
    assert (ROOT / "docs" / "notebooks" / "air_quality.ipynb").read_bytes() == before
