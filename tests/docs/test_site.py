"""The site hangs together: links, navigation, reference and README. `make docs` builds it strictly; this is the cheap check."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml
from markdown.extensions.toc import slugify

ROOT = Path(__file__).parents[2]
DOCS, SRC, README = ROOT / "docs", ROOT / "src" / "rcgnn", ROOT / "README.md"
PAGES = sorted([README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_blocks(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def of_readme(heading: str) -> str:
    """The part of README under one heading."""
    found = re.search(rf"^## {heading}$\n(.*?)(?=^## |\Z)", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def anchors(page: Path) -> set[str]:
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)}


def of_notebook(page: Path) -> bool:
    """The site makes this page from a notebook."""
    return page.parent.name == "notebooks" and page.with_suffix(".ipynb").is_file()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_internal_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists() or of_notebook(file), f"{name_of(page)}: {target} leads nowhere"
        assert not anchor or anchor in anchors(file), f"{name_of(page)}: {target} names no heading of {file.name}"


def nav_files() -> list[str]:
    def leaves(node: object) -> list[str]:
        if isinstance(node, str):
            return [node]
        inner = node.values() if isinstance(node, dict) else node
        return [leaf for part in inner for leaf in leaves(part)]

    return leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])


def test_every_page_is_in_the_navigation():
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert pages <= set(nav_files()), f"add to nav of mkdocs.yml: {sorted(pages - set(nav_files()))}"


@pytest.mark.parametrize("file", nav_files())
def test_navigation_leads_somewhere(file):
    page = DOCS / file
    assert page.is_file() or of_notebook(page)


def test_reference_names_what_exists():
    for path in re.findall(r"^::: ([\w.]+)$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE):
        try:
            importlib.import_module(path)
        except ModuleNotFoundError:
            module, _, name = path.rpartition(".")
            assert hasattr(importlib.import_module(module), name), path


def test_readme_tree_names_every_room():
    tree = of_readme("The tree")
    rooms = {path.name + "/" if path.is_dir() else path.name for path in SRC.iterdir() if path.is_dir() or path.suffix == ".py"}
    rooms -= {"__pycache__/", "__init__.py", "__main__.py"}
    assert not [room for room in rooms if room not in tree]


def test_readme_says_where_to_add():
    part = of_readme("Where to add")
    rows = re.findall(r"^\| [^|]+ \| ((?:`[\w/.]+\.py`(?:, )?)+) \| ([^|]+) \|$", part, re.MULTILINE)
    assert len(rows) >= 12
    for files, tables in rows:
        for file, table in zip(re.findall(r"`([^`]+)`", files), re.findall(r"`([^`]+)`", tables), strict=True):
            assert re.search(rf"^{table}\b.*=", (SRC / file).read_text(encoding="utf-8"), re.MULTILINE), f"{file} has no {table}"


def test_readme_says_which_rooms_are_empty():
    said = set(re.findall(r"^  (\w+)/ +\(empty so far\)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert said == {room.name for room in SRC.iterdir() if room.is_dir() and [p.name for p in room.glob("*.py")] == ["__init__.py"]}


def test_readme_is_short_and_its_picture_is_small():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150
    assert (DOCS / "assets" / "station.png").stat().st_size < 150_000
