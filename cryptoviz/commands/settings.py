"""settings: what is in force, and the text of .env.example."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import SecretStr

from cryptoviz.commands.output import Json, as_json, say
from cryptoviz.logs import MASK, mask
from cryptoviz.settings import PREFIX, PROJECT_ROOT, Settings, load

_POLLED: Final = ("coingecko", "coinmarketcap", "fear_greed")
_INTRODUCTION: Final = """\
# Every setting with its default. Copy what you change into .env, or set it in the environment, which wins.
# Written by `cryptoviz settings --example`; the descriptions live in cryptoviz/settings and cryptoviz/exchanges.
"""


def register(app: typer.Typer) -> None:
    """Add this word to the program."""
    app.command("settings")(show)


def show(
    json: Json = False,
    example: Annotated[bool, typer.Option(help="The text of .env.example instead.")] = False,
) -> None:
    """Print every setting in force, secrets masked."""
    if example:
        typer.echo(example_text(), nl=False)
        return
    values = masked(load())
    if json:
        as_json(values)
    else:
        for name, value in values.items():
            say(f"{PREFIX}{name.upper()}={_text(value)}")


def masked(settings: Settings) -> dict[str, Any]:
    """Every setting by name, what is derived from them included; secrets masked."""
    values = {name: _masked(getattr(settings, name)) for name in Settings.model_fields}
    sources = {
        f"{exchange}_{kind}_url": getattr(settings, f"{kind}_url")(exchange)
        for exchange in settings.exchanges
        for kind in ("ws", "rest")
    }
    sources |= {f"{name}_url": getattr(settings, f"{name}_address") for name in _POLLED}
    resolved = {
        "state_dir": str(settings.state),
        "kafka_bootstrap_servers": settings.bootstrap_servers,
        "checkpoint_dir": settings.checkpoints,
    }
    return values | {name: mask(value) for name, value in (sources | resolved).items()}


def _masked(value: Any) -> Any:
    match value:
        case SecretStr():
            return MASK if value.get_secret_value() else ""
        case StrEnum() | Path() | date():
            return str(value)
        case str():
            return mask(value)
        case _:
            return value


def example_text() -> str:
    """The text of .env.example."""
    return _INTRODUCTION + "\n" + "\n".join(_examples())


def _examples() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        yield f"# {field.description}\n# {PREFIX}{name.upper()}={_text(default)}\n"


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ",".join(value)
        case _:
            return str(value)


EXAMPLE_FILE: Final = PROJECT_ROOT / ".env.example"
