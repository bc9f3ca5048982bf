"""Where Java archives are kept, and what a Spark driver is started from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptoviz.settings import Settings, load
from cryptoviz.stack.jars import JarSet, class_archive, jar_folder
from streaming.session import configuration

OPTIONS = "spark.driver.extraJavaOptions"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose state has one jar of Spark's connector."""
    found = load(state_dir=tmp_path / "state")
    folder = jar_folder(found, JarSet.SPARK)
    folder.mkdir(parents=True)
    (folder / "connector.jar").touch()
    return found


def test_states_that_share_their_downloads_know_them_by_one_path(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "jars").symlink_to(settings.state / "jars")
    other = load(state_dir=tmp_path / "other")
    assert jar_folder(other, JarSet.KAFKA) == jar_folder(settings, JarSet.KAFKA)
    assert class_archive(other) == class_archive(settings)


def test_a_local_driver_starts_from_the_archive_of_classes_if_there_is_one(settings: Settings) -> None:
    assert "SharedArchiveFile" not in configuration(settings)[OPTIONS]
    class_archive(settings).touch()
    assert f'"-XX:SharedArchiveFile={class_archive(settings)}"' in configuration(settings)[OPTIONS]
    cluster = settings.model_copy(update={"spark_master": "spark://master:7077"})
    assert "SharedArchiveFile" not in configuration(cluster)[OPTIONS]


def test_training_does_not_start_from_an_earlier_archive(settings: Settings) -> None:
    class_archive(settings).touch()
    assert "SharedArchiveFile" not in configuration(settings, java_options=["-Xlog:disable"])[OPTIONS]
