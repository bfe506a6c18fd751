"""docs/licences.md: the licence of every package that rcgnn brings with it, from the metadata of what is installed.

`python scripts/licences.py` writes the page, `--check` says whether it is as it should be. Packages that come with an extra that `make
setup` does not install are listed as their projects state it.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
INSTALLED = ("core", "plots", "balance", "cluster", "dev")
"""Parts of pyproject.toml whose packages are installed by `make setup`, the nearest to the user first."""
STATED = {
    "tracking": {"mlflow-skinny": "Apache-2.0", "tensorboard": "Apache-2.0"},
    "tools": {"causal-learn": "MIT", "dowhy": "MIT"},
    "peers": {"lingam": "MIT", "tigramite": "GPL-3.0-or-later"},
    "security": {"bandit": "Apache-2.0", "pip-audit": "Apache-2.0"},
}
"""Direct packages of the other extras."""
FROM_FILE = {"torchjd": "MIT"}
"""Packages whose metadata name no licence, by the file that they bring."""
SHORT = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "BSD": "BSD",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
GPL = re.compile(r"\bA?GPL|General Public", re.IGNORECASE)
HEAD = """# Licences

rcgnn itself is MIT. `make licences` writes this page from the metadata of what is installed; a test compares the two. Versions are in
`constraints.txt`. Nothing here is copied into rcgnn but `plotly-basic.min.js` in the report (MIT, its text is beside it). What is under the
GPL is a package for comparison, in the extra `peers` and nowhere else: `pip install rcgnn` never brings it.

"""


def declared() -> dict[str, list[Requirement]]:
    """Direct requirements by part: core, and the extras."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = {"core": project["dependencies"], **project["optional-dependencies"]}
    return {part: [Requirement(text) for text in texts] for part, texts in parts.items()}


def closure(roots: list[Requirement]) -> set[str]:
    """Names of the packages and of all that they need, on this machine."""
    found: set[str] = set()
    waiting = [(canonicalize_name(root.name), tuple(root.extras)) for root in roots]
    while waiting:
        name, extras = waiting.pop()
        try:
            needs = [Requirement(text) for text in distribution(name).requires or []]
        except PackageNotFoundError:
            continue
        if name in found and not extras:
            continue
        found.add(name)
        wanted = [n for n in needs if n.marker is None or any(n.marker.evaluate({"extra": extra}) for extra in ("", *extras))]
        waiting += [(canonicalize_name(n.name), tuple(n.extras)) for n in wanted if canonicalize_name(n.name) not in found]
    return found


def licence(name: str) -> str:
    """The licence of an installed package, as short as it is unmistakable."""
    meta = distribution(name).metadata
    if meta["License-Expression"]:
        return str(meta["License-Expression"])
    classified = [text.rpartition(" :: ")[2] for text in meta.get_all("Classifier") or [] if text.startswith("License :: OSI Approved :: ")]
    written = (meta["License"] or "").strip()
    given = classified or ([written] if written and len(written) <= 60 else [])
    return " or ".join(dict.fromkeys(SHORT.get(text, text) for text in given)) or FROM_FILE.get(name, "see its files")


def parts() -> dict[str, dict[str, str]]:
    """Licence by package, by the first part that brings it."""
    asked, seen = declared(), {"rcgnn"}
    found: dict[str, dict[str, str]] = {}
    for part in INSTALLED:
        new = sorted(closure(asked[part]) - seen)
        found[part] = {name: licence(name) for name in new}
        seen |= set(new)
    return found | STATED


def page() -> str:
    """The page."""
    lines = []
    for part, packages in parts().items():
        title = "What `pip install rcgnn` brings" if part == "core" else f"Extra `{part}`"
        note = " Direct packages, as their projects state it." if part in STATED else ""
        lines += [f"## {title}", "", *([note.strip(), ""] if note else []), "| package | licence |", "|---|---|"]
        lines += [f"| {name} | {terms} |" for name, terms in packages.items()] + [""]
    return HEAD + "\n".join(lines)


def main(check: bool) -> int:  # noqa: FBT001 - the one flag there is
    """Write or compare; the exit code."""
    if not check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    same = PAGE.read_text(encoding="utf-8") == page()
    print("docs/licences.md is as it should be." if same else "docs/licences.md differs from what is installed; run `make licences`.")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
