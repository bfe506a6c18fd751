"""The recipes for clusters: a shell that reads, a manifest that parses, and commands whose options there are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from rcgnn.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md").read_text(encoding="utf-8")


def block(title: str) -> str:
    found = re.search(rf'^```\w+ title="{re.escape(title)}"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def commands() -> list[str]:
    script = block("sweep.sbatch").replace("\\\n", " ")
    (slurm,) = [line for line in script.splitlines() if line.startswith("rcgnn ")]
    return [slurm, yaml.safe_load(block("sweep.yaml"))["spec"]["entrypoint"]]


@pytest.mark.parametrize("command", commands(), ids=["slurm", "kubernetes"])
def test_the_commands_of_the_recipes_have_options_that_exist(command):
    _, name, *words = shlex.split(command)
    known = {option for param in typer.main.get_command(app).commands[name].params for option in param.opts}
    asked = [word for word in words if word.startswith("--")]
    assert {"--engine", "--address", "--out"} <= set(asked) <= known


def test_both_groups_of_the_kubernetes_recipe_see_the_volume_of_the_command():
    spec = yaml.safe_load(block("sweep.yaml"))["spec"]
    groups = [spec["rayClusterSpec"]["headGroupSpec"], *spec["rayClusterSpec"]["workerGroupSpecs"]]
    assert all(group["template"]["spec"]["containers"][0]["volumeMounts"] == [{"name": "data", "mountPath": "/data"}] for group in groups)
    assert len({group["template"]["spec"]["containers"][0]["image"] for group in groups}) == 1
    cores = sum(int(g["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]) * g["replicas"] for g in groups[1:])
    assert f"--jobs {cores} " in spec["entrypoint"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_slurm_recipe_is_a_shell_script(tmp_path):
    script = tmp_path / "sweep.sbatch"
    script.write_text(block("sweep.sbatch"), encoding="utf-8")
    assert subprocess.run(["bash", "-n", script], check=False, capture_output=True, text=True).stderr == ""
