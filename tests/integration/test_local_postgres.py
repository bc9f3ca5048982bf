"""The private cluster: loopback only, passwords kept, back after kill -9, nothing left behind by stop."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cryptoviz.settings import Role, load
from cryptoviz.stack.postgres.cluster import LocalPostgres
from cryptoviz.stack.postgres.passwords import ensure_secrets
from cryptoviz.storage.database import connect

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def server(postgres_cluster) -> Iterator[LocalPostgres]:
    folder: Path = postgres_cluster.folder / "own"
    passwords = ensure_secrets(folder)
    port = postgres_cluster.server.port + 1
    server = LocalPostgres(postgres_cluster.server.installation, folder / "postgres", port, passwords)
    server.prepare()
    server.start()
    yield server
    server.stop()


def test_the_cluster_comes_back_after_kill_and_stop_leaves_nothing(server: LocalPostgres) -> None:
    state = server.data_dir.parent
    server.provision()
    server.provision()
    settings = load(state_dir=state, postgres_port=server.port, database_url=None)
    with connect(Role.OWNER, settings) as connection:
        connection.execute("create table kept (id int)")
        assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)

    pid = int((server.data_dir / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    server.prepare()
    server.start()
    with connect(Role.OWNER, settings) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)

    server.stop()
    assert not server.ready()
    assert not (server.data_dir / "postmaster.pid").exists()


def test_secrets_are_kept_and_private(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path)
    assert ensure_secrets(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600
    assert len(set(first.values())) == len(first)


def test_a_wrong_password_is_refused(server: LocalPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://cryptoviz_admin:wrong@127.0.0.1:{server.port}/postgres")
