import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from ece.settings import GROUPS, BadSetting, Settings, load_settings, unknown_variables
from ece.settings_list import settings_list


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ECE_")]:
        monkeypatch.delenv(name)


def test_the_environment_sets_what_it_names_and_leaves_the_rest(monkeypatch):
    monkeypatch.setenv("ECE_PORT", "9001")
    settings = load_settings()
    assert (settings.port, settings.host, settings.base_url) == (9001, "127.0.0.1", "http://127.0.0.1:9001")


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("ECE_DATABASE_URL", "")
    assert load_settings().database_url is None


def test_every_bad_value_is_named_by_its_variable(monkeypatch):
    monkeypatch.setenv("ECE_PORT", "99999")
    monkeypatch.setenv("ECE_LOG_LEVEL", "loud")
    with pytest.raises(BadSetting) as refused:
        load_settings()
    assert "ECE_PORT: Input should be less than or equal to 65535" in str(refused.value)
    assert "ECE_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'" in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ECE_JWT_SECRET", "hunter2"),
        ("ECE_CLUSTER_SECRET", "hunter2"),
        ("ECE_DATABASE_URL", "mysql://ann:hunter2@db"),
        ("ECE_REDIS_URL", "http://:hunter2@cache"),
    ],
)
def test_a_refusal_never_shows_a_secret(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting) as refused:
        load_settings()
    assert variable in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_more_gateways_than_a_port_is_good_for_are_refused(monkeypatch):
    monkeypatch.setenv("ECE_GATEWAYS", "17")
    with pytest.raises(BadSetting, match="ECE_GATEWAYS"):
        load_settings()


def test_origins_are_whole_and_none_stands_for_all(monkeypatch):
    monkeypatch.setenv("ECE_CORS_ORIGINS", " https://cards.example , http://localhost:5173 ")
    assert load_settings().origins == ["https://cards.example", "http://localhost:5173"]
    for bad in ("*", "https://cards.example/", "https://cards.example,*", "cards.example", "null"):
        monkeypatch.setenv("ECE_CORS_ORIGINS", bad)
        with pytest.raises(BadSetting, match="ECE_CORS_ORIGINS"):
            load_settings()


def test_settings_are_frozen():
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_a_child_reads_back_what_its_parent_had(monkeypatch):
    secret = "s" * 40
    given = load_settings(jwt_secret=secret, port=9002, database_url="postgresql://ann:pw@db/ece", hosts=3)
    for name, value in given.child_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == given


def test_representations_hide_secrets():
    settings = load_settings(jwt_secret="s" * 40, database_url="postgresql://ann:hunter2@db/ece")
    assert "ssss" not in repr(settings)
    assert "hunter2" not in repr(settings)


def test_each_data_directory_has_its_own_short_directory_for_sockets(tmp_path):
    one, other = load_settings(data_dir=tmp_path / "one"), load_settings(data_dir=tmp_path / "other")
    assert one.sockets_dir != other.sockets_dir
    assert one.sockets_dir == load_settings(data_dir=tmp_path / "one").sockets_dir


def test_every_setting_is_in_one_group():
    grouped = [name for group in GROUPS for name in group.__annotations__]
    assert sorted(grouped) == sorted(Settings.model_fields)


def test_the_list_says_where_each_value_comes_from_and_shows_no_secret(monkeypatch):
    monkeypatch.setenv("ECE_PORT", "9001")
    monkeypatch.setenv("ECE_JWT_SECRET", "s" * 40)
    listed = {one.variable: one for one in settings_list(load_settings())}
    shown = {name: (one.value, one.source) for name, one in listed.items()}
    assert shown["ECE_PORT"] == ("9001", "environment")
    assert shown["ECE_HOST"] == ("127.0.0.1", "default")
    assert shown["ECE_JWT_SECRET"] == ("set", "environment")
    assert shown["ECE_CLUSTER_SECRET"] == ("not set", "default")
    assert "ssss" not in repr(listed)


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("ECE_PROT", "Did you mean ECE_PORT?"),
        ("ece_data_dirr", "Did you mean ECE_DATA_DIR?"),
        ("ECE_BATCH_MAX", "No setting has a similar name."),
    ],
)
def test_a_variable_that_is_no_setting_is_named_with_the_most_similar_one(monkeypatch, variable, hint):
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("ECE_PYTHON", "python3.13")
    monkeypatch.setenv("ece_port", "9001")
    assert list(unknown_variables()) == [
        f"{variable} is not a setting and has no effect. {hint} `ece doctor` lists all settings."
    ]


def test_reading_settings_loads_neither_the_rest_side_nor_ray():
    program = "import sys, ece.settings; sys.exit(not {'fastapi', 'ray'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    ("changed", "demanded"),
    [
        ({}, False),
        ({"host": "::1"}, False),
        ({"host": "localhost", "public_url": "http://localhost:9000"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "203.0.113.7"}, True),
        # Behind a proxy of this machine.
        ({"public_url": "https://cards.example"}, True),
        ({"admin_second_factor": "required"}, True),
        ({"host": "0.0.0.0", "admin_second_factor": "off"}, False),
    ],
)
def test_operators_need_a_second_factor_where_others_than_this_machine_reach_the_engine(
    changed: dict[str, Any], demanded: bool
):
    assert Settings(**changed).operators_prove is demanded
