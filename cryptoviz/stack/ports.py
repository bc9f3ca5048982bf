"""Port conflicts, found before anything is started and named with the setting that moves the port."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from cryptoviz.processes import listener, port_free
from cryptoviz.settings import PREFIX, Settings
from cryptoviz.stack.errors import StackError
from cryptoviz.stack.services import port_settings

_COMMAND_LENGTH: Final = 60


def check_ports(settings: Settings, running: Collection[str]) -> None:
    """Refuse to go on when a port of a process that is not `running` already is taken.

    Raises:
        StackError: names every taken port, who has it, and the setting that moves it.
    """
    taken = [
        (name, setting, getattr(settings, setting))
        for name, ports in port_settings(settings).items()
        if name not in running
        for setting in ports
        if not port_free(getattr(settings, setting))
    ]
    if taken:
        raise StackError(
            "\n".join(f"port {port} for {name} is in use{_by(port)}" for name, _setting, port in taken),
            fix="stop that process, or move the port: "
            + ", ".join(f"set {PREFIX}{setting.upper()}" for _name, setting, _port in taken)
            + " in .env or the environment",
        )


def _by(port: int) -> str:
    owner = listener(port)
    return f" by pid {owner.pid} ({owner.command[:_COMMAND_LENGTH]})" if owner is not None else ""
