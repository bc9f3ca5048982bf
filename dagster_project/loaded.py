"""What most runs need, loaded once for all of them (`dagster_project.server`). Nothing here connects anywhere."""

import dagster_postgres  # noqa: F401
import psycopg  # noqa: F401

import dagster_project.definitions  # noqa: F401
from cryptoviz.gate import engine

engine.load()
