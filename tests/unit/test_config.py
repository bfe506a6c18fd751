"""Every setting under one name in four doors, checked when it is made."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rcgnn.config import Config, Section, check_name
from rcgnn.errors import ConfigError
from rcgnn.recipes import RECIPES

SECTIONS = [name for name, field in Config.model_fields.items() if isinstance(field.default, Section)]


def names() -> list[str]:
    tops = [name for name in Config.model_fields if name not in SECTIONS]
    return tops + [f"{s}.{n}" for s in SECTIONS for n in type(getattr(Config(), s)).model_fields]


def test_every_setting_says_what_it_is():
    for section in SECTIONS:
        for name, field in type(getattr(Config(), section)).model_fields.items():
            assert field.description, f"{section}.{name} has no description"


@pytest.mark.parametrize("name", names())
def test_every_setting_can_be_set_by_its_name(name):
    value = Config()
    for part in name.split("."):
        value = getattr(value, part)
    assert Config().override([f"{name}={'null' if value is None else value}"]) == Config()


def test_settings_are_read_as_yaml_and_the_later_wins():
    config = Config().override(["train.lr=1e-3", "data.max_lag=2", "train.lr=0.5", "train.clip=null", "data.scale=false", "device=cpu"])
    assert (config.train.lr, config.data.max_lag, config.train.clip, config.data.scale, config.device) == (0.5, 2, None, False, "cpu")


def test_on_and_off_are_words():
    assert Config().override(["select.refine=off", "data.clean=on"]).select.refine == "off"
    assert Config.parse({"signal": {"smooth": False}}).signal.smooth == "off"


WRONG = {
    "train.learning_rate=1": "unknown setting 'train.learning_rate'",
    "train.lrr=1": "Did you mean 'lr'",
    "trian.lr=1": "Did you mean 'train'",
    "data.maxlag=1": "Did you mean 'max_lag'",
    "train.zzzzzz=1": "Known here: epochs",
    "seed.x=1": "'seed' is one value, not a section",
    "train.lr": "expected section.name=value",
    "train.lr=0": "train.lr: .*greater than 0.*got 0",
    "train.lr=fast": "train.lr: .*got 'fast'",
    "data.max_lag=0": "data.max_lag",
    "data.max_lag=2.5": "data.max_lag",
    "data.valid_share=0.9": "data.valid_share",
    "select.alpha=1": "select.alpha",
    "select.refine=maybe": "select.refine",
    "recipe=best": "recipe",
    "train=3": "train",
}


@pytest.mark.parametrize("setting", WRONG)
def test_a_wrong_setting_says_which_and_what_instead(setting):
    with pytest.raises(ConfigError, match=WRONG[setting]):
        Config().override([setting])


def test_unknown_names_in_a_file_get_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"my\.yaml: unknown setting 'screen.gama'\. Did you mean 'gamma'\?"):
        Config.parse({"screen": {"gama": 1}}, "my.yaml")


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError):
        Config().train.lr = 1.0


def test_override_leaves_the_first_config_alone():
    config = Config()
    config.override(["train.lr=1e-3"])
    assert config == Config()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_sets_what_the_user_left_open(recipe):
    config = Config.parse({"recipe": recipe})
    for section, values in RECIPES[recipe].items():
        for name, value in values.items():
            assert getattr(getattr(config, section), name) == value


def test_the_user_wins_over_the_recipe():
    config = Config.parse({"recipe": "origin-before", "train": {"clip": 3.0}})
    assert (config.train.clip, config.train.batch, config.data.scale) == (3.0, 8, False)
    assert Config(recipe="origin-after", train=Config().train).train.batch == 8  # an untouched section says nothing
    assert config.override(["train.batch=4"]).train.model_dump() == {**config.train.model_dump(), "batch": 4}


def test_the_origins_numbers():
    before, after = (Config.parse({"recipe": r}) for r in ("origin-before", "origin-after"))
    assert (before.train.lr, before.train.clip, before.losses.acyclic, before.train.schedule) == (1e-3, 10.0, 0.1, "constant")
    assert (after.train.lr, after.train.clip, after.losses.recon, after.train.schedule) == (5e-4, 1.0, 10.0, "plateau")


def test_assemble_puts_the_recipe_under_file_and_settings(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("recipe: origin-before\ntrain: {lr: 0.25}\n", encoding="utf-8")
    config = Config.assemble(file, ["recipe=origin-after", "data.max_lag=2"])
    assert (config.recipe, config.train.lr, config.data.max_lag, config.train.clip) == ("origin-after", 0.25, 2, 1.0)


@pytest.mark.parametrize("recipe", RECIPES)
def test_yaml_gives_the_config_back(tmp_path, recipe):
    config = Config.parse({"recipe": recipe, "train": {"lr": 1e-5}, "select": {"refine": "off"}})
    file = tmp_path / "c.yaml"
    file.write_text(config.to_yaml(), encoding="utf-8")
    assert Config.load(file) == config


@pytest.mark.parametrize("text", ["- 1\n", "train: {lr: [", "just words", "\x00"])
def test_a_file_that_is_no_config_is_refused_with_its_name(tmp_path, text):
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"c\.yaml: "):
        Config.load(file)


def test_a_missing_file_is_refused_and_an_empty_one_is_all_defaults(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        Config.load(tmp_path / "nowhere.yaml")
    (tmp_path / "empty.yaml").touch()
    assert Config.load(tmp_path / "empty.yaml") == Config()


def test_check_name_is_silent_on_known_names():
    for name in names():
        check_name(name.split("."), "test")
