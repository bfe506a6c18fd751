"""Nasty files of settings: the settings, or one sentence; nothing in them is run, followed or expanded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostile.judge import deadline, sentence
from rcgnn.bench.suite import read_suite
from rcgnn.config import Config
from rcgnn.errors import ConfigError, RcgnnError
from rcgnn.files import plain_yaml
from rcgnn.prior import Prior

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijklmnopqrstuvw", "bcdefghijklmnopqrstuvwx", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{<<: [*{a}, *{a}]}}\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "lists in lists in lists": (LAUGHS, "line 2, column 8: expected a value, got an alias"),
    "mappings in mappings": (MERGES, "line 2, .*got an alias .*write the value out"),
    "an alias of itself": ("a: &a [*a]\n", "got an alias"),
    "nested too deeply": ("[" * 5000, "values are nested too deeply"),
    "an object": ("!!python/object/apply:os.abort []\n", "line 1, column 1: could not determine a constructor"),
    "an object in a setting": ("seed: !!python/object/apply:os.abort []\n", "could not determine a constructor"),
    "a date that is none": ("seed: 2024-99-99\n", "a value cannot be understood: month must be in 1..12"),
    "a stamp that is none": ("seed: !!timestamp x\n", "a value cannot be understood"),
    "a truth that is none": ("seed: !!bool maybe\n", "a value cannot be understood"),
    "a number that is none": ("seed: !!int ''\n", "a value cannot be understood"),
    "a number of 5,000 digits": ("seed: " + "9" * 5000, "a value cannot be understood"),
    "NUL": ("seed: \x00\n", "unacceptable character"),
    "UTF-16": ("seed: 1\n".encode("utf-16"), "byte 0 is not valid UTF-8"),
    "Latin-1": ("# é\n".encode("latin-1"), "byte 2 is not valid UTF-8; save the file as UTF-8"),
    "too long": ("#" * 1_000_001, "expected settings of at most 1,000,000 bytes, got more"),
    "a list": ("- 1\n", "expected settings such as .*got list"),
    "two documents": ("seed: 1\n---\nseed: 2\n", "line 2, column 1: but found another document"),
    "tabs": ("train:\n\tlr: 1\n", r"line 2, column 1: found character '\\t'"),
    "names that are no texts": ("1: 2\n", "unknown setting '1'|keys should be strings"),
    "a recipe that is a list": ("recipe: [a]\n", "recipe: input should be 'auto'"),
    "a recipe that is a mapping": ("recipe: {a: 1}\n", "recipe: input should be 'auto'"),
    "a section that is a number": ("train: 5\n", "train: input should be"),
    "a section that is nothing": ("train:\n", "train: input should be"),
    "infinite": ("train: {lr: .inf}\n", "train.lr: input should be a finite number, got inf"),
    "not a number": ("losses: {recon: .nan}\n", "losses.recon: input should be a finite number, got nan"),
    "an endless budget": ("budget: .inf\n", "budget"),
    "a delay beyond all": (f"data: {{max_lag: {10**30}}}\n", "data.max_lag"),
    "a very long name": ("n" * 900 + ": 1\n", r"unknown setting 'nnn.*\.\.\.'"),
    "a name with an escape": ('"\\e[2J": 1\n', r"unknown setting '\\x1b\[2J'"),
}


def refused(read, path: Path, says: str) -> None:
    with deadline(), pytest.raises(ConfigError, match=says) as caught:
        read(path)
    sentence(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_are_refused(name, tmp_path):
    content, says = REFUSED[name]
    path = tmp_path / "settings.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(Config.load, path, says)


def test_what_is_no_file_of_settings(tmp_path):
    path = tmp_path / "settings.yaml"
    readers = (Config.load, lambda path: Config.assemble(None, [], path), read_suite)
    for made, says in (
        (os.mkfifo, "expected a file, got a pipe"),
        (Path.mkdir, "expected a file, got a folder; name a file in it"),
        (lambda path: path.symlink_to("/dev/zero"), "expected a file, got a device"),
        (lambda path: path.symlink_to("gone"), "which is not there|there is no such suite file"),
        (lambda path: path.symlink_to(path.name), "leads back to itself|there is no such suite file"),
    ):
        made(path)
        for read in readers:
            refused(read, path, says)
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (["data=5", "data.max_lag=2"], "--set data.max_lag=2: data was set to 5 before, which is no section"),
        (["data=", "data.max_lag=2"], "data was set to None before"),
        (["=1"], "unknown setting"),
        (["."], "expected section.name=value"),
        (["dat" + "\0" * 120 + "a.max_lag=1"], "unknown setting"),
        (["train.lr=" + "[" * 3000], "train.lr: input should be a valid number"),
        (["train.lr=&a [*a]"], "train.lr: input should be a valid number"),
        (["seed=" + "9" * 5000], "seed: input should be a valid integer|seed: unable to parse"),
    ],
)
def test_set_texts_that_are_refused(said, says):
    with deadline(), pytest.raises(ConfigError, match=says) as caught:
        Config.assemble(None, said)
    sentence(caught.value)


@pytest.mark.parametrize(
    ("prior", "says"),
    [
        ({"forbid": ["*" * 40 + "a -> " + "*a" * 40 + "b"]}, "no sensor"),
        ({"forbid": ["[" * 5000 + " -> b"]}, "expected at most 2,000 characters, got 5,005"),
        ({"require": ["a -> b @ " + "9" * 1500]}, "999...' is not a delay"),
        ({"lags": ["a -> b @ 0.." + "9" * 9]}, "expected delays from 0 to data.max_lag = 3"),
        ({"forbid": ["x" * 1500 + " -> b"]}, "no sensor is called 'xxx.*matches it"),
        ({"forbid": ["a" + " " * 1900 + "b"]}, "is not a link; write"),
        ({"forbid": ["\x1b[2J -> b"]}, r"\\x1b"),
    ],
)
def test_prior_knowledge_that_is_refused(prior, says):
    with deadline(), pytest.raises(RcgnnError, match=says) as caught:
        Prior.given(Config.parse({"prior": prior}), ("a", "b"))
    sentence(caught.value)


def test_a_mark_before_the_settings_is_passed_over(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("\ufeffseed: 5\n", encoding="utf-8")
    assert Config.load(path).seed == 5


def test_plain_yaml_names_line_and_column():
    with pytest.raises(ValueError, match="line 2, column 4: expected a value, got an alias"):
        plain_yaml("a: &x 1\nb: *x\n")
