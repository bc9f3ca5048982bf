"""What settings are made of: the kinds of values, each refused with the fix where it makes no sense."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cryptoviz.exchanges import EXCHANGES
from cryptoviz.pairs import is_pair
from cryptoviz.settings.ages import parse as parse_ages
from cryptoviz.settings.quotas import parse as parse_quotas

PREFIX: Final = "CRYPTOVIZ_"

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]


class Mode(StrEnum):
    """Where data comes from: simulators on loopback, or the real sources."""

    DEMO = "demo"
    LIVE = "live"


class SettingsGroup(BaseSettings):
    """Settings of one subject; all groups together are the `Settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )


def _list(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _pairs(value: list[str]) -> list[str]:
    for pair in value:
        if not is_pair(pair):
            raise ValueError(f"{pair!r} is not a pair; write BASE/QUOTE in upper case with BTC and DOGE, as in BTC/USD")
    if len(set(value)) != len(value):
        raise ValueError("a pair is listed twice; list each once")
    return value


def _exchanges(value: list[str]) -> list[str]:
    unknown = [name for name in value if name not in EXCHANGES]
    if unknown:
        raise ValueError(f"no collector for {', '.join(unknown)}; choose from {', '.join(EXCHANGES)}")
    if len(set(value)) != len(value):
        raise ValueError("an exchange is listed twice; list each once")
    return value


def _readable(value: Path | None) -> Path | None:
    if value is not None and not os.access(value, os.R_OK):
        raise ValueError(f"{value} cannot be read; give the path of an existing file that this user may read")
    return value


def hosts(value: list[str]) -> list[str]:
    """Each a host and a port."""
    for host in value:
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError(f"{host!r} is not host:port; write a name or an address and a port, as in 10.0.0.5:8080")
    return value


def _quota(value: str) -> str:
    parse_quotas(value)
    return value


def _history(value: str) -> str:
    parse_ages(value)
    return value


Names = Annotated[list[str], NoDecode, BeforeValidator(_list)]
Pairs = Annotated[list[str], NoDecode, BeforeValidator(_list), AfterValidator(_pairs), Field(min_length=1)]
Quota = Annotated[str, AfterValidator(_quota)]
History = Annotated[str, AfterValidator(_history)]
ReadableFile = Annotated[Path | None, AfterValidator(_readable)]
ExchangeNames = Annotated[Names, AfterValidator(_exchanges), Field(min_length=1)]
