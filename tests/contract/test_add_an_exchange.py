"""docs/add-an-exchange.md, done as it says: a folder and one entry in the list make a third exchange."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cryptoviz.settings import PROJECT_ROOT

DOCUMENT = PROJECT_ROOT / "docs" / "add-an-exchange.md"
LIST = Path("cryptoviz", "exchanges", "__init__.py")
COPIED = (
    *("cryptoviz", "assets", "jobs", "sensors", "dagster_project", "simulators", "streaming", "sql"),
    *("great_expectations", "docs", "pyproject.toml", "dagster.yaml", "workspace.yaml"),
)
USE = """
import asyncio, json, sys, threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptoviz.exchanges import EXCHANGES, spelling, unconfirmed
from cryptoviz.exchanges.adapter import FrameError
from cryptoviz.exchanges.candles import build
from cryptoviz.instruments import fetch
from cryptoviz.pairs import Series, Timeframe
from cryptoviz.remote.exchange import Rest, connect
from cryptoviz.remote.rest import RestClient
from cryptoviz.settings import load
from cryptoviz.streams.facts import Stream

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
TRADES = [
    {"trade_id": number, "side": "buy" if number % 2 else "sell", "size": "0.10", "price": f"{67000 + number}.50",
     "time": (START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    for number in range(1, 2501)
]
EMPTY = {3, 4, 401}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = {name: value[0] for name, value in parse_qs(urlsplit(self.path).query).items()}
        path = urlsplit(self.path).path
        if path == "/products":
            body = [{"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "quote_increment": "0.01",
                     "base_increment": "0.00000001", "status": "online", "trading_disabled": False}]
        elif path == "/products/BTC-USD/trades":
            rows = [row for row in TRADES if row["trade_id"] < int(asked.get("after", 10**9))]
            body = rows[-int(asked["limit"]):][::-1]
        elif path == "/products/BTC-USD/candles":
            first, last = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
            minutes = [(moment - START) // timedelta(minutes=1) for moment in (first, last)]
            assert minutes[1] - minutes[0] < 300
            body = [[int((START + timedelta(minutes=n)).timestamp()), 1.5, 3.25, 2, 3, 0.1]
                    for n in range(minutes[1], minutes[0] - 1, -1) if n not in EMPTY]
        else:
            body = {"message": "NotFound"}
        text = json.dumps(body).encode()
        self.send_response(200 if body != {"message": "NotFound"} else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Free:
    def reserve(self, weight): return 0
    def closed_for(self): return 0
    def failed(self, error): return 0
    def answered(self, used=None): pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
spec = EXCHANGES["coinbase"]
settings = load(exchanges=["kraken", "coinbase"], coinbase_rest_url=url)
found = {"root": str(Path(sys.modules["cryptoviz"].__file__).parents[1])}

feed = spec.live_adapter()(["BTC/USD"])
(request,) = feed.subscribe(["BTC/USD"])
found["request"] = json.loads(request.message)
frames = [
    b'{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}',
    b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2026-05-04T08:19:28.464459Z"}',
    b'{"type":"last_match","trade_id":7,"side":"buy","size":"0.10","price":"67000.50","product_id":"BTC-USD",'
    b'"time":"2026-05-04T12:00:07.000001Z","sequence":1}',
    b'{"type":"match","trade_id":8,"side":"sell","size":"1","price":"67001","product_id":"ETH-USD",'
    b'"time":"2026-05-04T12:00:08Z","sequence":2}',
    b'{"type":"match","trade_id":9,"side":"sell","size":"1","price":"-1","product_id":"BTC-USD",'
    b'"time":"2026-05-04T12:00:08Z"}',
    b'{"type":"error","message":"Failed to subscribe","reason":"XYZ-USD is not a valid product"}',
    b'{"type":"match"',
]
found["frames"] = []
for frame in frames:
    try:
        parsed = feed.parse(frame, datetime.now(UTC))
        found["frames"].append(repr(parsed if not isinstance(parsed, list) else [
            (t.pair, str(t.price), str(t.volume), t.side.value, t.trade_id, t.timestamp.isoformat()) for t in parsed]))
    except FrameError as error:
        found["frames"].append(f"{error.kind}: {error.reason}")


async def live():
    rest = RestClient(settings.rest_url("coinbase"), per_s=100, burst=100, timeout_s=10)
    newest = await feed.newest(rest, "BTC/USD")
    ids = [t.trade_id async for page in feed.trades(rest, "BTC/USD", 900, 2100, START) for t in page]
    await rest.close()
    return newest.trade_id, ids[0], ids[-1], ids == list(range(ids[0], ids[-1] + 1))


found["live"] = asyncio.run(live())
market = connect(spec.ccxt_id, spec.ccxt_addresses(url), 10)
past = spec.history_adapter()(Rest("coinbase", market, Free()), lambda: START + timedelta(hours=10))
series = Series("coinbase", "BTC/USD", Timeframe.M1)
pages = list(past.pages(series, START, START + timedelta(minutes=450)))
rows = [row for page in pages for row in page.rows]
found["candles"] = [len(pages), len(rows), str(rows[0].low), pages[-1].until == START + timedelta(minutes=450)]
found["silent"] = [[(at - START) // timedelta(minutes=1) for at in span] for page in pages for span in page.silent]
found["first"] = past.first_candle(series) == START
found["trades"] = [t.trade_id for page in past.trade_pages("BTC/USD", 995, 2005, START, START) for t in page] == list(
    range(995, 2006))
listed = fetch("coinbase", url, 10).instruments
found["instruments"] = [(one.pair, one.spelling, str(one.price_increment)) for one in listed]
found["confirmed"] = unconfirmed("coinbase", ["BTC/USD", "ETH/USD"], {one.pair: one.spelling for one in listed})
found["stream"] = "collector_coinbase" in set(Stream)
found["addresses"] = [settings.ws_url("coinbase"), settings.history_per_minute("coinbase")]

from assets.streams import stream_assets
specs = {asset.key.to_user_string(): asset for asset in stream_assets(settings)}
found["graph"] = {
    "collector": sorted(dep.asset_key.to_user_string() for dep in specs["collector_coinbase"].deps),
    "rawtrade": sorted(dep.asset_key.to_user_string() for dep in specs["kafka/rawtrade"].deps),
    "rawticker": sorted(dep.asset_key.to_user_string() for dep in specs["kafka/rawticker"].deps),
}
from jobs.repair import RebuildConfig
found["choice"] = RebuildConfig(exchange="coinbase").exchange.value
from cryptoviz.storage.migrations import read
found["sql"] = any("'kraken', 'binance', 'coinbase'" in migration.text for migration in read())
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house to which the document was done."""
    house = tmp_path_factory.mktemp("house")
    leave = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        if (PROJECT_ROOT / name).is_dir():
            shutil.copytree(PROJECT_ROOT / name, house / name, ignore=leave)
        else:
            shutil.copy(PROJECT_ROOT / name, house / name)
    (house / "tests" / "contract").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "tests" / "contract" / "test_exchanges.py", house / "tests" / "contract")
    text = DOCUMENT.read_text()
    written = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert {Path(name).name for name in written} == {"spec.py", "wire.py", "feed.py", "history.py"}
    for name, block in written.items():
        (house / name).parent.mkdir(exist_ok=True)
        (house / name).write_text(block)
    (house / "cryptoviz" / "exchanges" / "coinbase" / "__init__.py").touch()
    (edit,) = re.findall(r"^```diff\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert edit[0] == LIST.as_posix()
    imported, before, after = (line[1:] for line in edit[1].splitlines())
    listed = (house / LIST).read_text()
    assert listed.count(f"{before}\n") == 1
    changed = listed.replace("from cryptoviz.exchanges.kraken", f"{imported}\nfrom cryptoviz.exchanges.kraken", 1)
    (house / LIST).write_text(changed.replace(f"{before}\n", f"{after}\n"))
    return house


def run(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRYPTOVIZ_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=house,
        env=environment | {"PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_declaration_of_the_new_exchange_keeps_the_contract_of_all(house: Path) -> None:
    done = run(
        house, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "tests/contract/test_exchanges.py"
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


def test_the_new_exchange_is_collected_asked_and_shown(house: Path) -> None:
    done = run(house, "-c", USE)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["root"] == str(house)
    assert found["request"] == {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches", "heartbeat"]}
    subscribed, heartbeat, trade, foreign, impossible, refused, cut = found["frames"]
    assert subscribed.startswith("Subscribed(")
    assert "request=1" in subscribed
    assert heartbeat == "Heartbeat()"
    assert trade == "[('BTC/USD', '67000.50', '0.10', 'sell', 7, '2026-05-04T12:00:07.000001+00:00')]"
    assert foreign == "UnknownPair(name='ETH-USD')"
    assert impossible == "invalid: price is negative"
    assert refused.startswith("Refused(reason='XYZ-USD is not a valid product'")
    assert cut.startswith("undecodable: ")
    assert found["live"] == [2500, 900, 2500, True]
    assert found["candles"] == [2, 447, "1.5", True]
    assert found["silent"] == [[3, 5], [401, 402]]
    assert (found["first"], found["trades"]) == (True, True)
    assert found["instruments"] == [["BTC/USD", "BTC-USD", "0.01"]]
    assert found["confirmed"] == {"ETH/USD": "coinbase lists no ETH/USD"}
    assert found["stream"]
    assert found["addresses"] == ["wss://ws-feed.exchange.coinbase.com", 240]
    assert found["graph"] == {
        "collector": ["coinbase"],
        "rawtrade": ["collector_coinbase", "collector_kraken"],
        "rawticker": ["collector_kraken"],
    }
    assert found["choice"] == "coinbase"
    assert found["sql"]
