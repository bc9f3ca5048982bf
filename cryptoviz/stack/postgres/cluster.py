"""One private cluster of PostgreSQL: created, configured, started, stopped, and given its roles and databases.

    prepare -> start (or a supervisor runs `command`) -> provision

Other clusters of the machine are never touched.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from cryptoviz.processes import works_in
from cryptoviz.settings import PREFIX, Settings
from cryptoviz.stack.errors import last_lines
from cryptoviz.stack.postgres.installation import Edition, Installation, PostgresError, run_logged
from cryptoviz.stack.postgres.passwords import ensure_secrets
from cryptoviz.stack.postgres.service_user import as_service_user, give_to_service_user, local_data_dir

SUPERUSER: Final = "cryptoviz_admin"
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
LOCKS: Final = 256
"""Locks for each connection (`max_locks_per_transaction`): a long history has thousands of chunks and indexes."""
_LONGEST_SOCKET_DIR: Final = 80
_ROLE_SECRETS: Final = {
    "cryptoviz_owner": "postgres_owner_password",
    "cryptoviz_writer": "postgres_writer_password",
    "cryptoviz_reader": "postgres_reader_password",
    "dagster": "dagster_database_password",
}


class LocalPostgres:
    """One private cluster: own data, own port, loopback only, passwords everywhere.

    `durable=False` trades crash safety for speed: for tests only.
    """

    locale: Sequence[str] = ("--locale=C",)
    """The options of `initdb` for the order of text."""

    def __init__(
        self,
        installation: Installation,
        data_dir: Path,
        port: int,
        passwords: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        durable: bool = True,
    ) -> None:
        self.installation = installation
        self.data_dir = data_dir
        self.host = host
        self.port = port
        self._passwords = passwords
        self._durable = durable

    @classmethod
    def of_settings(cls, installation: Installation, settings: Settings, *, host: str = "127.0.0.1") -> LocalPostgres:
        """The local stack's cluster, or one of the same passwords elsewhere; makes them if they lack."""
        passwords = ensure_secrets(settings.state)
        return cls(installation, local_data_dir(settings.state), settings.postgres_port, passwords, host=host)

    @property
    def command(self) -> list[str]:
        """The command line of the server in the foreground. SIGINT stops it fast and cleanly."""
        return [*as_service_user(), str(self.installation.bin_dir / "postgres"), "-D", str(self.data_dir)]

    @property
    def log_path(self) -> Path:
        """Where the server writes to when started by `start`."""
        return self.data_dir.with_name(f"{self.data_dir.name}.log")

    def prepare(self) -> None:
        """Create the cluster if there is none, and write its configuration. Safe to interrupt and to repeat.

        Raises:
            PostgresError: initdb failed, or the data belong to another major version.
        """
        self._clear_stale_lock()
        version = self.data_dir / "PG_VERSION"
        if not version.exists():
            self._initialise()
        elif version.read_text().strip() != str(self.installation.major):
            raise PostgresError(
                f"{self.data_dir} belongs to PostgreSQL {version.read_text().strip()}, found was "
                f"{self.installation.major}",
                fix="install that version again, or `make reset` (deletes the data)",
            )
        self._write("cryptoviz.conf", self._configuration())
        self._write("pg_hba.conf", "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def _clear_stale_lock(self) -> None:
        """Remove the lock file of a server that was killed and whose number lives on as a zombie or as another process.

        PostgreSQL itself takes any process of that number for the server. Its children hold the shared memory: they
        have noticed the death and are awaited.
        """
        locks = [*self.data_dir.glob("postmaster.pid"), *self.data_dir.glob(".s.PGSQL.*.lock")]
        if any(works_in(_pid_in(lock), self.data_dir) for lock in locks):
            return
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while locks and any(works_in(int(path.name), self.data_dir) for path in Path("/proc").glob("[0-9]*")):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        for lock in locks:
            lock.unlink(missing_ok=True)

    def _initialise(self) -> None:
        partial = self.data_dir.with_name(f"{self.data_dir.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", prefix="cryptoviz-") as password:
            password.write(self._passwords["postgres_superuser_password"])
            password.flush()
            give_to_service_user(partial, Path(password.name))
            options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password.name}", "-E", "UTF8"]
            options += [*self.locale, *([] if self._durable else ["--no-sync"])]
            program = self.installation.bin_dir / "initdb"
            run_logged(
                [*as_service_user(), program, "-D", partial, *options],
                self.log_path,
                f"free some space or delete {partial}, then run it again",
                {"LC_ALL": "C", "TZ": "UTC"},
                cwd=Path("/"),
            )
        with (partial / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude_if_exists 'cryptoviz.conf'\n")
        partial.rename(self.data_dir)

    def _configuration(self) -> str:
        socket_dir = str(self.data_dir) if len(str(self.data_dir)) <= _LONGEST_SOCKET_DIR else ""
        values = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": socket_dir,
        }
        if self.installation.edition is not Edition.PLAIN:
            values |= {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}
        return "".join(f"{name} = '{value}'\n" for name, value in (values | self.tuning()).items())

    def tuning(self) -> dict[str, str]:
        """Settings that make the server quick. What right results need is in docs/servers.md."""
        values = {
            "max_connections": "100",
            "shared_buffers": "512MB" if self._durable else "256MB",
            "work_mem": "16MB",
            "maintenance_work_mem": "128MB",
            "effective_cache_size": "2GB",
            "random_page_cost": "1.1",
            "max_wal_size": "4GB",
            "min_wal_size": "256MB",
            "checkpoint_timeout": "15min",
            "wal_compression": "lz4" if self._durable else "off",
            "synchronous_commit": "on" if self._durable else "off",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "max_locks_per_transaction": str(LOCKS),
            # Without workers no TimescaleDB scheduler connects, and template databases of tests can be copied.
            "max_worker_processes": "24" if self._durable else "0",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_duration_statement": "1s" if self._durable else "-1",
            "password_encryption": "scram-sha-256",
            "idle_in_transaction_session_timeout": "10min",
        }
        if self.installation.edition is not Edition.PLAIN:
            values |= {"timescaledb.max_background_workers": "8"}
        return values

    def _write(self, name: str, text: str) -> None:
        path = self.data_dir / name
        if path.exists() and path.read_text() == text:
            return
        partial = path.with_name(f"{name}.partial")
        partial.write_text(text)
        partial.chmod(0o600)
        give_to_service_user(partial)
        partial.replace(path)

    def start(self) -> None:
        """Start the server in the background unless it runs, and wait until it answers.

        Raises:
            PostgresError: it does not come up; the message has the last lines of its log.
        """
        if self.ready():
            return
        deadline = time.monotonic() + START_TIMEOUT_S
        server = self._launch()
        while not self.ready():
            if server.poll() is not None and _still_dying(self.log_path) and time.monotonic() < deadline:
                time.sleep(0.2)
                server = self._launch()
            if server.poll() is not None or time.monotonic() > deadline:
                raise PostgresError(
                    f"PostgreSQL did not start on port {self.port}; the whole log is {self.log_path}",
                    detail=last_lines(self.log_path.read_text(errors="replace")),
                    fix=f"if another program has the port, set {PREFIX}POSTGRES_PORT",
                )
            time.sleep(0.05)

    def _launch(self) -> subprocess.Popen[bytes]:
        self._clear_stale_lock()
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True
            )

    def stop(self) -> None:
        """Stop the server if it runs, and wait until it has."""
        if (self.data_dir / "postmaster.pid").exists():
            program = str(self.installation.bin_dir / "pg_ctl")
            command = [*as_service_user(), program, "stop", "-D", str(self.data_dir), "-m", "fast", "-w", "-t", "60"]
            subprocess.run(command, capture_output=True, cwd="/", check=False)

    def ready(self) -> bool:
        """Whether this very cluster accepts our superuser on its port."""
        try:
            with self._connect("postgres") as connection:
                row = connection.execute("show data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.data_dir

    def superuser_url(self, database: str = "postgres") -> str:
        """The address for the superuser, password included: for provisioning and tests, never for a service."""
        password = self._passwords["postgres_superuser_password"]
        return f"postgresql://{SUPERUSER}:{password}@{self.host}:{self.port}/{database}"

    def provision(self, database: str = "cryptoviz", *, extension: bool = True) -> None:
        """Roles with their passwords, `database` with the extension, and Dagster's database. Safe to repeat."""
        with self._connect("postgres") as connection:
            for role, secret in _ROLE_SECRETS.items():
                self._ensure_role(connection, role, self._passwords[secret])
            self._ensure_database(connection, database, "cryptoviz_owner")
            self._ensure_database(connection, "dagster", "dagster")
        if extension and self.installation.edition is not Edition.PLAIN:
            with self._connect(database) as connection:
                connection.execute("create extension if not exists timescaledb")

    def _ensure_role(self, connection: psycopg.Connection, role: str, password: str) -> None:
        if connection.execute("select from pg_roles where rolname = %s", [role]).fetchone() is None:
            connection.execute(sql.SQL("create role {} nosuperuser").format(sql.Identifier(role)))
        statement = "alter role {} login password {}"
        connection.execute(sql.SQL(statement).format(sql.Identifier(role), sql.Literal(password)))
        for setting in ("timezone = 'UTC'", "jit = off"):  # for whoever connects by other means than ours
            connection.execute(sql.SQL("alter role {} set " + setting).format(sql.Identifier(role)))

    def _ensure_database(self, connection: psycopg.Connection, name: str, owner: str) -> None:
        if connection.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
            names = (sql.Identifier(name), sql.Identifier(owner))
            connection.execute(sql.SQL("create database {} owner {}").format(*names))
        connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))
        if owner == "cryptoviz_owner":
            statement = "grant connect, temporary on database {} to cryptoviz_writer, cryptoviz_reader"
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            self.superuser_url(database), autocommit=True, connect_timeout=5, application_name="cryptoviz stack"
        )


def _pid_in(lock: Path) -> int:
    first = lock.read_text().split("\n", 1)[0].strip()
    return int(first) if first.isdigit() else 0


def _still_dying(log: Path) -> bool:
    """Whether the server refused to start because its killed predecessor is not quite gone."""
    end = last_lines(log.read_text(errors="replace"), 3)
    return "lock file" in end or "shared memory block" in end
