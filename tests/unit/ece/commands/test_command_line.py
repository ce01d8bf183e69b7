import json
import os

import pytest
from typer.testing import CliRunner

from ece import cli
from ece.setting_fields import PREFIX
from ece.settings import GROUPS, Settings
from ece.settings_list import title_of

COMMANDS = ("up", "replay", "verify", "ledger", "catalog", "analytics", "wallets", "bench", "doctor", "migrate")


@pytest.fixture(autouse=True)
def own_place(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("ECE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_an_example(command):
    shown = CliRunner().invoke(cli.app, [command, "--help"])
    assert shown.exit_code == 0
    assert "scripts/" in shown.output


def test_a_bad_setting_is_one_line_and_exit_code_1(monkeypatch, capsys):
    monkeypatch.setenv(PREFIX + "PORT", "eighty")
    monkeypatch.setattr("sys.argv", ["ece", "up"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "ece: ECE_PORT: Input should be a valid integer, unable to parse string as an integer"
    ]


def test_wrong_usage_is_exit_code_2():
    assert CliRunner().invoke(cli.app, ["up", "--nope"]).exit_code == 2


def test_the_doctor_tells_what_is_broken_and_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("ECE_REDIS_URL", f"unix://{tmp_path}/none.sock")
    result = CliRunner().invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == 1
    broken = [finding for finding in json.loads(result.output)["findings"] if finding["verdict"] == "broken"]
    assert [finding["part"] for finding in broken] == ["redis"]
    assert "ECE_REDIS_URL" in broken[0]["advice"]


def test_the_doctor_finds_a_bad_setting_without_a_trace(monkeypatch):
    monkeypatch.setenv("ECE_HOSTS", "0")
    result = CliRunner().invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == 1
    assert "ECE_HOSTS" in result.output


def test_migrate_without_a_database_says_what_to_set(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ece", "migrate"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "ECE_DATABASE_URL is not set" in capsys.readouterr().err


def test_every_command_warns_of_a_variable_that_is_no_setting(monkeypatch, capsys):
    monkeypatch.setenv("ECE_PROT", "9000")
    monkeypatch.setattr("sys.argv", ["ece", "migrate"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err.startswith(
        "ece: ECE_PROT is not a setting and has no effect. Did you mean ECE_PORT?"
    )


def test_the_doctor_gives_every_setting_to_machines(monkeypatch):
    monkeypatch.setenv("ECE_HOSTS", "2")
    result = json.loads(CliRunner().invoke(cli.app, ["doctor", "--json"]).output)
    assert {one["variable"] for one in result["settings"]} == {PREFIX + name.upper() for name in Settings.model_fields}
    assert [one for one in result["settings"] if one["source"] == "environment"] == [
        {
            "group": "Directories and network", "variable": "ECE_DATA_DIR", "value": os.environ["ECE_DATA_DIR"],
            "source": "environment", "default": ".ece", "unit": "", "meaning": "directory of data, logs and secrets",
        },
        {
            "group": "Size and placement", "variable": "ECE_HOSTS", "value": "2", "source": "environment",
            "default": "1", "unit": "", "meaning": "hosts on each node",
        },
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [80, 120])
def test_the_doctor_fits_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("ECE_DATA_DIR", "/tmp")
    shown = CliRunner().invoke(cli.app, ["doctor"]).output
    assert max(map(len, shown.splitlines())) <= columns
    for group in GROUPS:
        assert title_of(group) in shown
