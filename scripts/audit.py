"""Known weaknesses of the pinned dependencies: `pip-audit` over constraints.txt, and how much of it could be checked at all.

Exit code 0: nothing known, or nothing could be asked (it says so); 1: a pinned version has a known weakness; with --strict also where a
package could not be checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "constraints.txt"
ASK = (sys.executable, "-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip", "--format", "json")


def told(dependencies: list[dict[str, Any]]) -> list[str]:
    """One line a weakness, then one about what was checked.

    Example:
        >>> told([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "no answer"}])
        ['1 of 2 pinned packages were checked: no known weakness.', '1 could not be checked (no answer): b.']
    """
    skipped = [one for one in dependencies if "skip_reason" in one]
    weak = [one for one in dependencies if one.get("vulns")]
    lines = [
        f"{one['name']} {one['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version'}"
        for one in weak
        for v in one["vulns"]
    ]
    if len(skipped) == len(dependencies):
        return [
            f"Nothing was checked: the data of pip-audit does not answer here ({skipped[0]['skip_reason'] if skipped else 'no package'})."
        ]
    checked = len(dependencies) - len(skipped)
    lines.append(f"{checked} of {len(dependencies)} pinned packages were checked: {f'{len(weak)} with' if weak else 'no'} known weakness.")
    if skipped:
        lines.append(f"{len(skipped)} could not be checked ({skipped[0]['skip_reason']}): {', '.join(one['name'] for one in skipped)}.")
    return lines


def main(strict: bool) -> int:  # noqa: FBT001 - the one flag there is
    """Print, and the exit code."""
    done = subprocess.run(ASK, check=False, capture_output=True, text=True)  # noqa: S603 - this very Python, no shell
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"Nothing was checked: pip-audit did not answer ({' '.join(done.stderr.split())[-200:]}).")
        return int(strict)
    print("\n".join(told(dependencies)))
    return int(any(one.get("vulns") or (strict and "skip_reason" in one) for one in dependencies))


if __name__ == "__main__":
    sys.exit(main("--strict" in sys.argv[1:]))
