"""What goes into the outbox is what PostgreSQL takes, whatever a source says."""

from __future__ import annotations

from typing import Any

from cryptoviz.gate.staging import StagedRow, stage

MOST_BYTES_OF_AN_INDEX = 2_704


class Outbox:
    """A connection that keeps what it is given."""

    rowcount = 0

    def execute(self, _statement: Any, parameters: dict[str, Any]) -> Outbox:
        self.given = parameters
        return self


def staged(*rows: StagedRow) -> dict[str, Any]:
    outbox = Outbox()
    stage(outbox, "market", rows, "run")  # type: ignore[arg-type]
    return outbox.given


def test_keys_and_series_of_any_length_fit_an_index_and_stay_different() -> None:
    symbols = ["\U0001f680" * 5_000 + end for end in "ab"]
    given = staged(*(StagedRow(f"now|coingecko|{one}", {"source": "coingecko", "symbol": one}) for one in symbols))
    for name in ("key", "series"):
        assert len(set(given[name])) == len(symbols)
        assert all(len(f"market{key}".encode()) < MOST_BYTES_OF_AN_INDEX for key in given[name])


def test_a_key_of_ordinary_length_stays_as_it_is() -> None:
    row = StagedRow("now|coingecko|BTC", {"source": "coingecko", "symbol": "BTC"})
    assert staged(row)["key"] == ["now|coingecko|BTC"]
    assert staged(row)["series"] == ["coingecko|BTC"]
