"""Files of every format are recognised from their content and read exactly, piece by piece, from any position."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from cryptoviz.imports import chunks as pieces
from cryptoviz.imports.aggregates import without_ids
from cryptoviz.imports.chunks import Chunk, Position, chunks
from cryptoviz.imports.files import File, ImportRefusedError, files
from cryptoviz.imports.layouts import Format, Kind, recognise, timeframe_named
from cryptoviz.imports.values import columns

CANDLE = ("open", "high", "low", "close", "volume")
BEGIN = Position()
MADE = 1_700_000_000_123_456
TRADES = {
    "binance": "7,37000.10,0.00100,37.0001,{time},True,True\n8,37000.20,2,74000.4,{time},False,True\n",
    "binance with header": "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n"
    "7,37000.10,0.00100,37.0001,{time},true,true\n8,37000.20,2,74000.4,{time},false,true\n",
    "csv": "Timestamp,Trade ID,Price,Amount,Side\n{time},7,37000.10,0.00100,SELL\n{time},8,37000.20,2,b\n",
}


def only(path: Path, kind: Kind, form: Format | None = None) -> tuple[File, Any]:
    [file] = files([str(path)])
    return file, recognise(file, kind, form)


def read(path: Path, kind: Kind, since: Position = BEGIN) -> list[dict[str, Any]]:
    file, layout = only(path, kind)
    return [row for chunk in chunks(file, layout, since) for row in columns(chunk, layout).to_pylist()]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", ["20221216", "202212161530", "20221216153000", "20221216.0", "2.0221216E7"])
def test_dates_written_as_whole_numbers_are_refused_and_not_read_as_seconds_of_1970(tmp_path: Path, text: str) -> None:
    with pytest.raises(ImportRefusedError, match=r"column 'date' has dates written as whole numbers, such as 20221216"):
        read(written(tmp_path / "c.csv", f"date,open,high,low,close,volume\n{text},1,2,1,2,3\n"), Kind.CANDLES)
    numbers = pa.table(
        {"date": [20221216, 20221217]} | {name: [1.0, 2.0] for name in ["open", "high", "low", "close", "volume"]}
    )
    pq.write_table(numbers, tmp_path / "c.parquet")
    with pytest.raises(ImportRefusedError, match="such as 20221216"):
        read(tmp_path / "c.parquet", Kind.CANDLES)


@pytest.mark.parametrize("name", TRADES)
@pytest.mark.parametrize(
    ("time", "made"),
    [(str(MADE), MADE), (str(MADE)[:13], MADE // 1000 * 1000), (str(MADE)[:10], MADE // 10**6 * 10**6)],
)
def test_a_trade_is_read_exactly_whatever_its_times_count(tmp_path: Path, name: str, time: str, made: int) -> None:
    rows = read(written(tmp_path / "BTCUSDT-trades.csv", TRADES[name].format(time=time)), Kind.TRADES)
    assert [row["microseconds"] for row in rows] == [made, made]
    assert [row["trade_id"] for row in rows] == [7, 8]
    assert [row["side"] for row in rows] == ["sell", "buy"], "the taker's"
    assert [row["price"] for row in rows] == ["37000.10", "37000.20"], "with every digit"
    assert [row["volume"] for row in rows] == ["0.00100", "2"]
    assert [row["row_number"] for row in rows] == [1, 2]
    assert [row["unreadable"] for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("2023-11-14T22:13:20.123456Z", MADE),
        ("2023-11-14 22:13:20.123456", MADE),
        ("2023-11-15T00:13:20.123456+02:00", MADE),
        ("2023-11-14 22:13:20.123456 UTC", MADE),
        ("1700000000.123456", MADE),
        ("1700000000123456789", MADE),
        ("1700000000123456.0", MADE),
        ("1700000000123.456", MADE),
        ("1700000000123.4567", MADE),
        ("1700000000123.", MADE // 1000 * 1000),
        ("1671166800000.0", 1_671_166_800_000_000),
        ("1.6711668e+12", 1_671_166_800_000_000),
        ("1.6711668E9", 1_671_166_800_000_000),
        ("1.700000000123456e+09", MADE),
        ("1.700000000123456e+15", MADE),
        ("1.700000000123456789e18", MADE),
        ("-1.5", -1_500_000),
        ("1.5e30", None),
        ("inf", None),
        ("1e", None),
        ("2023-11-14", 1_699_920_000_000_000),
        ("2023-13-14", None),
        ("soon", None),
    ],
)
def test_times_are_utc_however_they_are_written(tmp_path: Path, text: str, made: int | None) -> None:
    [row] = read(written(tmp_path / "trades.csv", f"time,id,price,amount,side\n{text},1,2,3,buy\n"), Kind.TRADES)
    assert row["microseconds"] == made
    assert row["unreadable"] == (None if made else f"time {text} is no time")


@pytest.mark.parametrize(
    ("times", "made"),
    [
        ([1_671_166_800_000.0, 1_700_000_000_123.0], [1_671_166_800_000_000, MADE // 1000 * 1000]),
        ([1_671_166_800.0, 1_700_000_000.123456], [1_671_166_800_000_000, MADE]),
        ([1_671_166_800_000.0, 1_700_000_000_123.456], [1_671_166_800_000_000, MADE]),
        ([1_700_000_000_123_456.0, None], [MADE, None]),
        ([1.7e18, float("nan")], [1_700_000_000_000_000, None]),
        ([1e300, float("inf")], [None, None]),
    ],
)
def test_floating_point_columns_of_times_and_ids_are_read_exactly(
    tmp_path: Path, times: list[float | None], made: list[int | None]
) -> None:
    path = tmp_path / "trades.parquet"
    ids = pa.array([12_345_678_901.0, 12_345_678_902.0])
    rest = {"id": ids, "price": [1.5, 2.5], "amount": [1.0, 1.0], "side": ["buy", "sell"]}
    pq.write_table(pa.table({"timestamp": pa.array(times, pa.float64()), **rest}), path)
    rows = read(path, Kind.TRADES)
    assert [row["microseconds"] for row in rows] == made
    assert [row["trade_id"] for row in rows] == [12_345_678_901, 12_345_678_902]
    assert [row["unreadable"] is None for row in rows] == [one is not None for one in made]


def test_times_of_too_few_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    times = pa.array([1_671_166_800.0], pa.float32())
    pq.write_table(pa.table({"time": times, "price": [1.0], "volume": [1.0]}), path)
    with pytest.raises(ImportRefusedError, match="32-bit floating-point numbers, which are off by up to 64 seconds"):
        only(path, Kind.TRADES)


def test_what_cannot_be_read_says_what_and_where(tmp_path: Path) -> None:
    text = "time,id,price,amount,side\n1700000000,1,abc,3,buy\n1700000000,2,nan,3,hold\n1,2\n1700000000,x,1,,buy\n\n"
    rows = read(written(tmp_path / "trades.csv", text), Kind.TRADES)
    assert {row["row_number"]: row["unreadable"] for row in rows} == {
        1: "price abc is no number",
        2: "price nan is no number",
        3: "2 cells where there should be 5",
        4: "volume (nothing) is no number",
    }


def table(kind: Kind) -> pa.Table:
    when = pa.array([datetime(2023, 11, 14, 22, 13, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC"))
    if kind is Kind.TRADES:
        names = {"timestamp": when, "id": ["7", "8"], "type": [None, None], "side": ["sell", "buy"]}
        return pa.table({**names, "price": [0.1, 5e-08], "amount": [0.3, 1e-05], "cost": [0.03, 0.0]})
    return pa.table({"date": when, **{name: [0.1, 5e-08] for name in CANDLE}})


@pytest.mark.parametrize("kind", Kind)
def test_floating_point_numbers_become_the_shortest_decimals_that_mean_them(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "ADA_BTC-5m.feather"
    with path.open("wb") as sink, pa.ipc.new_file(sink, table(kind).schema) as writer:
        writer.write(table(kind))
    pq.write_table(table(kind), tmp_path / "ADA_BTC.parquet")
    for name, form in (("ADA_BTC-5m.feather", Format.FREQTRADE), ("ADA_BTC.parquet", Format.PARQUET)):
        assert only(tmp_path / name, kind)[1].format is form
        rows = read(tmp_path / name, kind)
        field = "price" if kind is Kind.TRADES else "close"
        assert [float(row[field]) for row in rows] == [0.1, 5e-08]
        assert rows[0][field] == "0.1"
        assert rows[0]["microseconds"] == 1_699_999_980_000_000


@pytest.mark.parametrize("name", ["BTC_USDT-1m.json", "BTC_USDT-1m.json.gz"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_json_of_freqtrade_keeps_its_digits(tmp_path: Path, name: str, separators: tuple[str, str]) -> None:
    rows = [[1_700_000_040_000 + n * 60_000, 0.10, 0.2, 0.1, 0.15, 10.123] for n in range(50)]
    text = json.dumps(rows, separators=separators).replace("0.15,", "0.1500000000000000000001,")
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    found = read(tmp_path / name, Kind.CANDLES)
    assert len(found) == 50
    assert found[49]["microseconds"] == rows[49][0] * 1000
    assert {row["close"] for row in found} == {"0.1500000000000000000001"}


@pytest.mark.parametrize("form", ["csv", "zip", "csv.gz", "json", "parquet"])
def test_reading_goes_on_at_any_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(pieces, "BLOCK_BYTES", 200)
    monkeypatch.setattr(pieces, "BLOCK_ROWS", 7)
    path = tmp_path / f"BTCUSDT-trades.{form}"
    lines = [f"{n},{n}.50,1,1,{MADE + n},True,True" for n in range(1, 60)]
    text = "\n".join(lines).encode()
    match form:
        case "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("BTCUSDT-trades.csv", text)
        case "csv.gz":
            path.write_bytes(gzip.compress(text))
        case "json":
            path.write_text(json.dumps([[MADE + n, str(n), None, "buy", n, 1, 1] for n in range(1, 60)]))
        case "parquet":
            ids = list(range(1, 60))
            named = {
                "id": ids,
                "price": ids,
                "qty": ids,
                "time": [MADE + n for n in ids],
                "is_buyer_maker": [True] * 59,
            }
            pq.write_table(pa.table(named), path, row_group_size=11)
        case _:
            path.write_bytes(text)
    file, layout = only(path, Kind.TRADES)
    whole = list(chunks(file, layout, Position()))
    assert len(whole) > 3, "or nothing is proved"
    assert ids_of(whole, layout) == list(range(1, 60))
    assert [one.last for one in whole] == [False] * (len(whole) - 1) + [True]
    for number, chunk in enumerate(whole):
        rest = list(chunks(file, layout, chunk.until))
        assert ids_of(rest, layout) == ids_of(whole[number + 1 :], layout)
        assert [one.until for one in rest][-1:] == [one.until for one in whole[number + 1 :]][-1:]


def ids_of(found: Sequence[Chunk], layout: Any) -> list[int]:
    rows = [row for chunk in found for row in columns(chunk, layout).to_pylist()]
    assert [row["trade_id"] for row in rows] == [row["row_number"] for row in rows]
    return [row["trade_id"] for row in rows]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_rows_that_belong_together_are_never_parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(pieces, "BLOCK_BYTES", 100)
    monkeypatch.setattr(pieces, "BLOCK_ROWS", 7)
    prices = [n // 9 + 1 for n in range(50)]
    path = tmp_path / f"XBTUSD.{form}"
    if form == "csv":
        path.write_text("".join(f"1700000000,{price},1\n" for price in prices))
    else:
        pq.write_table(pa.table({"time": [1_700_000_000] * 50, "price": prices, "volume": prices}), path)

    def whole(rows: pa.Table, _numbers: pa.Array) -> int:
        found = [str(price) for price in rows["price"].to_pylist()]
        return found.index(found[-1])

    file, layout = only(path, Kind.TRADES)
    position, seen = Position(), []
    while True:
        chunk = next(iter(chunks(file, layout, position, whole)), None)
        if chunk is None:
            break
        seen.append([int(price) for price in chunk.table["price"].to_pylist()])
        position = chunk.until
    assert [price for part in seen for price in part] == prices
    assert len(seen) > 3
    assert all(set(one).isdisjoint(other) for one, other in pairwise(seen))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"1,2,3,4,5\n", "of no known format"),
        ("a.csv", b"\x00\xff\xfe\x00", "of no known format"),
        ("a.csv", b"time,price\n1,2\n", "has no column for volume"),
        ("a.csv", b"time,price,price,volume\n", "names a column twice"),
        ("a.csv", b"1700000040,1,2,1,2,5,3\n", "holds candles (kraken), not trades: use `cryptoviz import candles`"),
        ("a.json", b'{"a": 1}', "no list of rows"),
        ("a.json", b"[[1,2]]", "rows of 2 values"),
        ("a.parquet", b"PAR1 and nothing else", "cannot be read"),
        ("a.feather", b"FEA1", "first version of feather"),
        ("a.zip", b"PK\x03\x04 broken", "zip that cannot be read"),
    ],
)
def test_a_file_that_is_none_of_these_is_refused_by_name_and_reason(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImportRefusedError) as refused:
        only(tmp_path / name, Kind.TRADES)
    assert str(refused.value).startswith(name)
    assert said in str(refused.value)


def test_a_format_that_was_asked_for_is_insisted_on(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "1700000000,2,3\n")
    assert only(path, Kind.TRADES, Format.KRAKEN)[1].format is Format.KRAKEN
    with pytest.raises(ImportRefusedError, match="not of format binance: it looks like kraken"):
        only(path, Kind.TRADES, Format.BINANCE)


FREQTRADE = ["timestamp", "id", "type", "side", "price", "amount", "cost"]
CRYPTOFEED = ["exchange", "symbol", "side", "amount", "price", "id", "timestamp", "receipt_timestamp"]
BINANCES = ["id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"]
OURS = ["timestamp", "exchange", "pair", "trade_id", "price", "volume", "side", "received_at"]


@pytest.mark.parametrize(
    ("columns", "exchange", "may_be_aggregates"),
    [
        (FREQTRADE, "binance", True),
        (FREQTRADE, "binanceus", True),
        (FREQTRADE, "kraken", False),
        (CRYPTOFEED, "binance", True),
        (CRYPTOFEED, "coinbase", False),
        (BINANCES, "binance", False),
        (OURS, "binance", False),
    ],
)
@pytest.mark.parametrize("form", ["csv", "feather"])
def test_who_numbers_trades_of_an_exchange_in_his_own_way_is_known(
    tmp_path: Path, form: str, columns: list[str], exchange: str, *, may_be_aggregates: bool
) -> None:
    path = tmp_path / f"t.{form}"
    if form == "csv":
        written(path, ",".join(columns) + "\n")
    else:
        feather.write_feather(pa.table({name: pa.array([], pa.string()) for name in columns}), path)
    _file, layout = only(path, Kind.TRADES)
    assert layout.of_single_trades
    seen = without_ids(layout, exchange, single=False)
    assert (seen.aggregated, seen.of_single_trades) == (may_be_aggregates, not may_be_aggregates)
    assert without_ids(layout, exchange, single=True) == layout


def test_json_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", "[[1700000000000,1,1,1,1,1],[1700000060000,1,1,1")
    with pytest.raises(ImportRefusedError, match="ends in the middle"):
        read(path, Kind.CANDLES)


def test_a_packed_file_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"1700000000,2,3\n" * 50_000)[:-200])
    with pytest.raises(ImportRefusedError, match="cannot be read"):
        read(path, Kind.TRADES)


def test_folders_patterns_and_zips_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.csv", "a.csv", "notes.txt"):
        written(tmp_path / "in" / name, "1700000000,2,3\n")
    with zipfile.ZipFile(tmp_path / "in" / "c.zip", "w") as archive:
        archive.writestr("y/z.csv", "1700000000,2,3\n")
        archive.writestr("readme.txt", "hello")
    assert [one.name for one in files([str(tmp_path / "in")])] == ["a.csv", "b.csv", "c.zip:y/z.csv"]
    assert [one.name for one in files([str(tmp_path)])] == ["in/a.csv", "in/b.csv", "in/c.zip:y/z.csv"]
    [twice] = files([str(tmp_path / "in" / "a.*"), str(tmp_path / "in" / "a.csv")])
    assert twice.named, "what is named by hand counts as such, however else it was found"
    assert [one.name for one in files([str(tmp_path / "in" / "*.csv"), str(tmp_path / "in")])] == [
        "a.csv",
        "b.csv",
        "c.zip:y/z.csv",
    ]
    with pytest.raises(ImportRefusedError, match="nothing that could be imported"):
        files([str(tmp_path / "in" / "*.txt")])
    for nothing in ("nothing.csv", "*.parquet"):
        with pytest.raises(ImportRefusedError, match="there is no file"):
            files([str(tmp_path / nothing)])


def test_a_fingerprint_is_of_the_content_not_of_the_name(tmp_path: Path) -> None:
    one, same = (written(tmp_path / name, "1700000000,2,3\n") for name in ("a.csv", "b.csv"))
    other = written(tmp_path / "c.csv", "1700000000,2,4\n")
    first, second, third = (file.fingerprint() for file in files([str(one), str(same), str(other)]))
    assert first == second != third


@pytest.mark.parametrize(
    ("stem", "form", "length"),
    [
        ("XBTUSD_1", Format.KRAKEN, "1m"),
        ("XBTUSD_60", Format.KRAKEN, "1h"),
        ("XBTUSD_1440", Format.KRAKEN, "1d"),
        ("XBTUSD_720", Format.KRAKEN, "12h"),
        ("XBTUSD_1_Q1_2026", Format.KRAKEN, "1m"),
        ("ADABTC-1m-2021-11-27", Format.BINANCE, "1m"),
        ("BTCUSDT-1mo-2024-01", Format.BINANCE, "1mo"),
        ("BTCUSDT-1s-2024-01", Format.BINANCE, "1s"),
        ("BTC_USDT-1Mo", Format.FREQTRADE, "1mo"),
        ("BTCUSD_1M", Format.CSV, "1mo"),
        ("BTCUSD_1D", Format.CSV, "1d"),
        ("ADA_BTC-5m", Format.FREQTRADE, "5m"),
        ("btc-perp-20211231-20220201_1m", Format.CSV, "1m"),
        ("candles", Format.CSV, None),
    ],
)
def test_a_name_may_say_how_long_candles_are(stem: str, form: Format, length: str | None) -> None:
    assert timeframe_named(stem, form) == length


@pytest.mark.parametrize(
    ("path", "kind", "form", "rows"),
    [
        ("candles/ADABTC-1m-2021-11-27.csv", Kind.CANDLES, Format.BINANCE, 10),
        ("candles/ADA_BTC-5m.feather", Kind.CANDLES, Format.FREQTRADE, 5_720),
        ("candles/btc-perp-20211231-20220201_1m.csv", Kind.CANDLES, Format.CSV, 45_031),
        ("candles/btc_daily_2013_2025.csv", Kind.CANDLES, Format.CSV, 4_557),
        ("binance/btcusdt-trades.parquet", Kind.TRADES, Format.PARQUET, 2_001),
    ],
)
def test_real_files_are_recognised_and_read_whole(
    shared_data: Path, path: str, kind: Kind, form: Format, rows: int
) -> None:
    assert only(shared_data / path, kind)[1].format is form
    found = read(shared_data / path, kind)
    assert len(found) == rows
    assert not any(row["unreadable"] for row in found)
