"""Metadata values that several assets show in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg


def table_value(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> dg.TableMetadataValue:
    """Rows as a table on an asset's page: numbers and text stay as they are, any other value becomes text.

    `columns` are the names with their types (`string`, `int`, `float`); without them every name of the rows is a
    column, with the type of its values.
    """
    if columns is None:
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: _type_of([row.get(name) for row in rows]) for name in names}
    return dg.MetadataValue.table(
        [dg.TableRecord({name: _cell(row.get(name)) for name in columns}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )


def _type_of(values: Sequence[object]) -> str:
    found = {type(value) for value in values if value is not None}
    return "int" if found == {int} else "float" if found and found <= {int, float} else "string"


def _cell(value: object) -> str | int | float | None:
    return value if isinstance(value, str | int | float) or value is None else str(value)
