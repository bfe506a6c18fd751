"""docs/licences.md says what is installed; nothing under the GPL is in the core or in an extra but `peers`."""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licences, audit = script("licences"), script("audit")
PINNED = dict(line.lower().split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split())
LISTED = dict(re.findall(r"^\| (\S+) \| (.+) \|$", (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"), re.MULTILINE))


def as_pinned(name):
    """Installed in the version of constraints.txt: another one may state its licence in other words."""
    pins = {licences.canonicalize_name(pin): number for pin, number in PINNED.items()}
    try:
        return pins.get(name) == version(name).split("+")[0]
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not as_pinned("numpy"), reason="other versions than those of constraints.txt are installed")
def test_every_installed_package_is_listed_with_its_licence():
    installed = {name for part in licences.INSTALLED for name in licences.closure(licences.declared()[part]) if as_pinned(name)} - {"rcgnn"}
    assert installed
    assert {name: licences.licence(name) for name in installed} == {name: LISTED.get(name) for name in installed}


def test_every_extra_is_accounted_for():
    assert {*licences.INSTALLED, *licences.STATED} == set(licences.declared())
    for part, packages in licences.STATED.items():
        assert {licences.canonicalize_name(need.name) for need in licences.declared()[part]} == set(packages)


def test_the_gpl_is_in_the_peers_alone():
    under = {part: [name for name, terms in packages.items() if licences.GPL.search(terms)] for part, packages in licences.parts().items()}
    assert {part: names for part, names in under.items() if names} == {"peers": ["tigramite"]}
    assert not [name for name, terms in LISTED.items() if terms == "see its files"]


@pytest.mark.parametrize("terms", ["GPL-3.0-or-later", "GNU General Public License v2 (GPLv2)", "AGPL-3.0", "LGPL-3.0 or GPL-2.0"])
def test_the_gpl_is_recognised(terms):
    assert licences.GPL.search(terms)


@pytest.mark.skipif(not as_pinned("numpy"), reason="other versions than those of constraints.txt are installed")
def test_every_installed_package_is_pinned():
    needed = {name for part in licences.INSTALLED for name in licences.closure(licences.declared()[part])} - {"rcgnn", "setuptools", "pip"}
    pins = {licences.canonicalize_name(pin) for pin in PINNED}
    own = {name for name in needed if name.startswith("nvidia-") or name == "triton"}
    assert not needed - pins - own


def test_every_requirement_has_a_lower_bound():
    for part, needs in licences.declared().items():
        assert not [str(need) for need in needs if not any(bound.operator in (">=", "==", "~=") for bound in need.specifier)], part


def test_the_audit_says_what_it_could_not_check():
    weak = {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}
    skipped = {"name": "b", "skip_reason": "no answer"}
    assert audit.told([weak, skipped]) == [
        "a 1: X-1, mended in 2",
        "1 of 2 pinned packages were checked: 1 with known weakness.",
        "1 could not be checked (no answer): b.",
    ]
    assert audit.told([skipped]) == ["Nothing was checked: the data of pip-audit does not answer here (no answer)."]
