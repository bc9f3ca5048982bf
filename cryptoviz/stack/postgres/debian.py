"""PostgreSQL and TimescaleDB from the packages of Debian or Ubuntu, as root.

    apt: postgresql-<n>-timescaledb where the release has it; on Debian 12 the source package of Debian 13, built

Packages that are installed are never upgraded, and no cluster is created or restarted.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptoviz.stack.postgres.installation import (
    SUPPORTED,
    Edition,
    Installation,
    PostgresError,
    Say,
    best_installation,
    output_of,
    run_logged,
)

BUILD_PACKAGES: Final = ("build-essential", "cmake", "dpkg-dev", "libssl-dev", "libkrb5-dev")


def install_from_packages(log: Path, say: Say) -> Installation:
    """Install PostgreSQL with TimescaleDB by apt.

    Raises:
        PostgresError: this release has no package, or apt or the build failed.
    """
    release = platform.freedesktop_os_release()
    say("updating the package lists")
    run_logged(
        ["apt-get", "-q", "update"], log, "check the network and the sources in /etc/apt, then run the command again"
    )
    packaged = _packaged_extension()
    if packaged is not None:
        _install_packages([f"postgresql-{packaged}", f"postgresql-{packaged}-timescaledb"], log, say)
    elif release.get("ID") == "debian" and release.get("VERSION_CODENAME") == "bookworm":
        _install_packages(["postgresql-15", "postgresql-client-15"], log, say)
        _build_extension(15, log, say)
    else:
        raise PostgresError(f"{release.get('PRETTY_NAME', 'this system')} has no package of TimescaleDB")
    best = best_installation()
    if best is None or best.edition is Edition.PLAIN:
        raise PostgresError(f"the packages are installed, yet offer no timescaledb; see {log}")
    return best


def _packaged_extension() -> int | None:
    names = output_of(["apt-cache", "search", "--names-only", r"^postgresql-1[5-8]-timescaledb$"]).split()
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
    run_logged(
        [*command, "install", *missing], log, f"run `apt-get install {' '.join(missing)}` by hand", _APT_ENVIRONMENT
    )


_APT_ENVIRONMENT: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def _installed_version(package: str) -> str:
    status = output_of(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package]).split()
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
        run_logged(["cmake", "-S", source, "-B", build, "-G", "Unix Makefiles", *options], log, advice)
        run_logged(["cmake", "--build", build, f"-j{os.cpu_count() or 1}"], log, advice)
        run_logged(["cmake", "--install", build], log, advice, {"DESTDIR": str(staged)})
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
    run_logged(["apt-get", "-q", *options, "update"], log, advice)
    run_logged(["apt-get", "-q", *options, "source", "timescaledb"], log, advice, cwd=target)
    return next(path for path in target.iterdir() if path.is_dir())


def _debian_mirror() -> str:
    """The first mirror that this machine takes Debian itself (not its security updates) from."""
    sites = output_of(["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"]).splitlines()
    mirrors = [site for site, _, codename in (line.partition(" ") for line in sites) if codename == "bookworm"]
    return mirrors[0] if mirrors else "http://deb.debian.org/debian"


def _unpack_headers(major: int, work: Path, log: Path) -> Path:
    """A pg_config that answers as the machine's own, except for where the server's headers are."""
    package, folder = f"postgresql-server-dev-{major}", work / "headers"
    folder.mkdir()
    version = _installed_version(f"postgresql-{major}")
    download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download"]
    try:
        run_logged([*download, f"{package}={version}"], log, "", cwd=folder)
    except PostgresError:  # superseded by a newer minor version; headers of one major version fit each other
        run_logged([*download, package], log, "run `apt-get update` and try again", cwd=folder)
    archive = next(folder.glob("*.deb"))
    run_logged(["dpkg-deb", "-x", archive, folder / "unpacked"], log, "the download was damaged; run it again")
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
