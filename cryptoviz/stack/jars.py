"""The Java archives of the local stack, fetched by Maven from `pom.xml`, one folder for each closure.

pom.xml profile -> mvn dependency:copy-dependencies -> <state>/jars/<profile>, stamped with the pom's checksum
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Final

from cryptoviz.settings import PROJECT_ROOT, Settings
from cryptoviz.stack.errors import StackError, last_lines

_POM: Final = PROJECT_ROOT / "pom.xml"
_STAMP: Final = ".pom"
_TIMEOUT_S: Final = 900


class JarSet(StrEnum):
    """A closure of archives; the name is the profile in `pom.xml` and the folder."""

    KAFKA = "kafka"
    SPARK = "spark"
    BENCH = "bench"


def jar_folder(settings: Settings, jars: JarSet) -> Path:
    """Where a closure is kept: its real path, for state folders that share one also share what is trained on it."""
    return (settings.state / "jars").resolve() / jars


def kafka_jars(settings: Settings) -> list[Path]:
    """The broker's archives; empty before `install_jars`."""
    return sorted(jar_folder(settings, JarSet.KAFKA).glob("*.jar"))


def spark_jars(settings: Settings) -> list[Path]:
    """What PySpark lacks to read Kafka; empty before `install_jars`."""
    return sorted(jar_folder(settings, JarSet.SPARK).glob("*.jar"))


def bench_jars(settings: Settings) -> list[Path]:
    """The PostgreSQL JDBC driver of the benchmarks' baseline; empty before `install_jars`."""
    return sorted(jar_folder(settings, JarSet.BENCH).glob("*.jar"))


def class_archive(settings: Settings) -> Path:
    """Where the classes that a Spark driver loads are archived, of the Spark that is installed."""
    return jar_folder(settings, JarSet.SPARK) / f"classes-{version('pyspark')}.jsa"


def install_jars(settings: Settings, *wanted: JarSet) -> list[JarSet]:
    """Fetch the closures that are not there yet and return them; costs nothing when all are there.

    Raises:
        StackError: Maven is missing or failed.
    """
    checksum = hashlib.sha256(_POM.read_bytes()).hexdigest()
    if all(_present(settings, jars, checksum) for jars in wanted):
        return []
    with _locked(settings.state / "jars"):
        missing = [jars for jars in wanted if not _present(settings, jars, checksum)]
        for jars in missing:
            _fetch(jar_folder(settings, jars), jars, checksum)
    return missing


def _present(settings: Settings, jars: JarSet, checksum: str) -> bool:
    stamp = jar_folder(settings, jars) / _STAMP
    return stamp.exists() and stamp.read_text() == checksum


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, jars: JarSet, checksum: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("Maven is missing", fix="install it (Debian, Ubuntu: apt-get install maven) and start again")
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    command = [maven, "-B", "-q", "-ntp", "-f", str(_POM), f"-P{jars}", "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={fresh}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise StackError(
            f"Maven did not fetch the {jars} archives within {_TIMEOUT_S} s",
            fix="check the connection to your Maven repository and start again; what is fetched stays fetched",
        ) from None
    if done.returncode != 0:
        raise StackError(
            f"Maven could not fetch the {jars} archives",
            detail=last_lines(done.stdout + done.stderr),
            fix="check the connection to your Maven repository and start again; what is fetched stays fetched",
        )
    (fresh / _STAMP).write_text(checksum)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
