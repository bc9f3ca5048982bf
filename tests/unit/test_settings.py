"""Settings: every one documented, nonsense refused by name with the fix, secrets never shown."""

import json
from pathlib import Path

import pytest
from dotenv import dotenv_values
from typer.testing import CliRunner

from cryptoviz import cli
from cryptoviz.commands.settings import EXAMPLE_FILE, example_text, masked
from cryptoviz.settings import PREFIX, Mode, Role, Settings, SettingsError, load

SECRET = "s3cret-of-the-house"
COMPANIONS = {"archive_s3_secret": {"archive_s3_bucket": "bucket", "archive_s3_key": "key"}}
SECRETS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.setattr("cryptoviz.settings.PROJECT_ROOT", tmp_path)


def test_the_example_file_is_what_the_settings_give() -> None:
    assert EXAMPLE_FILE.read_text() == example_text(), "run `make docs`"


def test_every_setting_is_in_the_example_with_its_description() -> None:
    text = EXAMPLE_FILE.read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"# {field.description}\n# {PREFIX}{name.upper()}=" in text, name


def test_the_example_with_every_line_switched_on_is_the_defaults(tmp_path: Path) -> None:
    switched_on = tmp_path / "all.env"
    lines = EXAMPLE_FILE.read_text().splitlines()
    switched_on.write_text("\n".join(line.removeprefix("# ") for line in lines if line.startswith(f"# {PREFIX}")))
    assert len(dotenv_values(switched_on)) == len(Settings.model_fields)
    assert Settings(_env_file=switched_on) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("KRAKEN_PAIRS", "XBT/USD", "BASE/QUOTE"),
        ("KRAKEN_PAIRS", "BTC-USD", "BASE/QUOTE"),
        ("BINANCE_PAIRS", "BTC/USDT,BTC/USDT", "twice"),
        ("COLLECTOR_SILENCE_S", "-1", "greater than 0"),
        ("ALERT_WINDOW_S", "0", "greater than 0"),
        ("KAFKA_PORT", "70000", "65535"),
        ("POSTGRES_PORT", "many", "integer"),
        ("KAFKA_CA_FILE", "/nowhere/ca.pem", "cannot be read"),
        ("MODE", "dream", "demo"),
        ("SPARK_DRIVER_MEMORY", "lots", "pattern"),
        ("LOG_LEVEL", "loud", "debug, info"),
    ],
)
def test_nonsense_is_refused_naming_the_setting_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert f"{PREFIX}{name}" in str(caught.value)
    assert says in str(caught.value)
    assert str(Settings.model_fields[name.lower()].description) in str(caught.value)


def test_two_parts_on_one_port_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DAGSTER_PORT", "9092")
    with pytest.raises(SettingsError, match=f"{PREFIX}DAGSTER_PORT and {PREFIX}KAFKA_PORT"):
        load()


S3 = {
    "BUCKET": "candles/old",
    "ENDPOINT": "https://s3.example.org",
    "REGION": "eu-1",
    "KEY": "key",
    "SECRET": SECRET,
}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["BUCKET", "KEY"], "KEY has no {0}SECRET; set both or neither"),
        (["BUCKET", "SECRET"], "SECRET has no {0}KEY; set both or neither"),
        (["SECRET"], "SECRET has no {0}KEY; set both or neither"),
        (["ENDPOINT"], "ENDPOINT is set, but no {0}BUCKET"),
        (["REGION"], "REGION is set, but no {0}BUCKET"),
        (["KEY", "SECRET"], "KEY is set, but no {0}BUCKET"),
    ],
)
def test_half_a_bucket_is_refused(monkeypatch: pytest.MonkeyPatch, given: list[str], says: str) -> None:
    prefix = f"{PREFIX}ARCHIVE_S3_"
    for name in given:
        monkeypatch.setenv(f"{prefix}{name}", S3[name])
    with pytest.raises(SettingsError) as caught:
        load()
    assert f"{prefix}{says.format(prefix)}" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("given", [[], ["BUCKET"], ["BUCKET", "ENDPOINT", "REGION"], ["BUCKET", "KEY", "SECRET"]])
def test_a_whole_bucket_is_taken(monkeypatch: pytest.MonkeyPatch, given: list[str]) -> None:
    for name in given:
        monkeypatch.setenv(f"{PREFIX}ARCHIVE_S3_{name}", S3[name])
    assert load().archive_s3_bucket == ("candles/old" if given else "")


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{PREFIX}DAGSTER_PORT=3001\n{PREFIX}KAFKA_PORT=9999\n")
    monkeypatch.setenv(f"{PREFIX}DAGSTER_PORT", "3002")
    assert (load().dagster_port, load().kafka_port) == (3002, 9999)


def test_the_state_folders_secrets_are_read(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "secrets.env").write_text(f"{PREFIX}POSTGRES_READER_PASSWORD={SECRET}\n")
    assert f":{SECRET}@" in load().database(Role.READER)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_never_shows(name: str) -> None:
    value = f"postgresql://user:{SECRET}@host/db" if name.endswith("_url") else SECRET
    settings = Settings.model_validate({name: value, **COMPANIONS.get(name, {})})
    for text in (repr(settings), str(settings), settings.model_dump_json(), json.dumps(masked(settings))):
        assert SECRET not in text


def test_an_error_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}KAFKA_PASSWORD", SECRET)
    monkeypatch.setenv(f"{PREFIX}KAFKA_PORT", SECRET)
    with pytest.raises(SettingsError) as caught:
        load()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_command_masks_secrets_and_resolves_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}KAFKA_PASSWORD", SECRET)
    monkeypatch.setenv(f"{PREFIX}MODE", "demo")
    result = CliRunner().invoke(cli.app, ["settings", "--json"])
    assert result.exit_code == 0
    values = json.loads(result.output)
    assert set(Settings.model_fields) <= set(values)
    assert SECRET not in result.output
    assert values["kafka_password"] == "**********"
    assert values["kraken_ws_url"] == f"ws://127.0.0.1:{Settings().simulator_port}/kraken/v2"
    assert values["fear_greed_url"] == f"http://127.0.0.1:{Settings().web_simulator_port}/fear_greed"
    assert values["mode"] == str(Mode.DEMO)
