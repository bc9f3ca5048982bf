"""What can be traded where: the spot pairs that an exchange lists, asked through ccxt and kept in `instruments`.

    exchange REST -> ccxt -> Instrument -> gate -> compare with the table -> upsert, delist

Works for every exchange id of ccxt; those with collectors of their own are asked at the address in the settings, so
that simulators can stand in. Increments are exact decimals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from cryptoviz.exchanges import EXCHANGES, spelling
from cryptoviz.exchanges.spellings import UnspelledPairError
from cryptoviz.gate.audit import audit, quarantine_rows
from cryptoviz.gate.report import GateReport
from cryptoviz.gate.rows import CandidateRow
from cryptoviz.gate.values import instant
from cryptoviz.pairs import is_pair
from cryptoviz.remote.errors import PermanentError
from cryptoviz.remote.exchange import asking, connect, exact
from cryptoviz.settings import Mode, Settings
from cryptoviz.storage.queries import query

if TYPE_CHECKING:
    from psycopg import Connection


SUBJECT: Final = "instruments"
ONLINE: Final = "online"
OFFLINE: Final = "offline"
DELISTED: Final = "delisted"

_TICK_SIZE: Final = 4
_DECIMAL_PLACES: Final = 2


@dataclass(frozen=True)
class Instrument:
    """One spot pair as an exchange lists it now.

    `status` is `online` where it can be traded without restriction, else the exchange's own word in lower case.
    `spelling` is the exchange's name of the pair in its REST interface; None: not known.
    """

    exchange: str
    pair: str
    status: str
    price_increment: Decimal | None
    volume_increment: Decimal | None
    spelling: str | None = None


@dataclass(frozen=True)
class Listing:
    """The spot pairs of an exchange; `skipped` are those whose name is no pair in our words, or that of another."""

    instruments: tuple[Instrument, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class StatusChange:
    """A pair whose status is not what the table says."""

    pair: str
    before: str
    after: str


@dataclass(frozen=True)
class Changes:
    """What a listing changes in the table."""

    new: tuple[str, ...]
    changed: tuple[StatusChange, ...]
    delisted: tuple[str, ...]


def source_address(exchange: str, settings: Settings) -> str | None:
    """Where to ask an exchange; None: at ccxt's own address for it, or in the demo nowhere."""
    return settings.rest_url(exchange) or None if exchange in EXCHANGES else None


def permitted_address(exchange: str, settings: Settings) -> str | None:
    """`source_address`, where the exchange may be asked.

    Raises:
        PermanentError: the exchange has no simulator, and this is the demo.
    """
    address = source_address(exchange, settings)
    if address is None and settings.mode is Mode.DEMO:
        raise PermanentError(f"{exchange} has no simulator, and the demo never leaves loopback")
    return address


def addresses(exchange: str, settings: Settings) -> dict[str, str] | None:
    """`permitted_address` by ccxt's names of its addresses; None: at ccxt's own. Raises as that does."""
    return _addresses(exchange, permitted_address(exchange, settings))


def _addresses(exchange: str, address: str | None) -> dict[str, str] | None:
    return None if address is None else EXCHANGES[exchange].ccxt_addresses(address)


def fetch(exchange: str, address: str | None, timeout_s: float) -> Listing:
    """The spot pairs that an exchange lists now, in one request.

    Raises:
        TransientError: no answer, a limit, maintenance: try again later.
        PermanentError: unknown to ccxt, or an answer that trying again will not change.
    """
    spec = EXCHANGES.get(exchange)
    market = connect(spec.ccxt_id if spec else exchange, _addresses(exchange, address), timeout_s)
    with asking(exchange, market):
        markets = market.fetch_markets()
    return parse(exchange, markets, market.precisionMode)


def parse(exchange: str, markets: Iterable[Mapping[str, Any]], precision_mode: int = _TICK_SIZE) -> Listing:
    """The spot pairs among ccxt's markets of an exchange, sorted by pair.

    Raises:
        PermanentError: not one spot pair is among them.
    """
    spot = [market for market in markets if market.get("spot")]
    # A dark pool (Kraken's .d) has the same pair as the market whose shadow it is.
    lit = [market for market in spot if not str(market.get("id")).endswith(".d")]
    named: dict[str, list[Mapping[str, Any]]] = {}
    for market in lit:
        named.setdefault(str(market["symbol"]), []).append(market)
    chosen = {pair: _chosen(exchange, pair, markets) for pair, markets in named.items() if is_pair(pair)}
    pairs = {pair: market for pair, market in chosen.items() if market is not None}
    if not pairs:
        raise PermanentError(f"{exchange} lists no spot pair")
    instruments = (_instrument(exchange, market, precision_mode) for _, market in sorted(pairs.items()))
    skipped = (
        name if len(markets) == 1 else f"{name} ({_name(market)})"
        for name, markets in named.items()
        for market in markets
        if pairs.get(name) is not market
    )
    return Listing(tuple(instruments), tuple(sorted(skipped)))


def _chosen(exchange: str, pair: str, markets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The market of a pair. Of two, such as a coin before and after it was swapped, the one that we spell so.

    None: we spell neither so, or what the pair is called means another coin there.
    """
    if len(markets) == 1:
        return markets[0]
    try:
        ours = spelling(exchange, pair).rest
    except UnspelledPairError:
        return None
    return next((market for market in markets if _name(market) == ours), None)


def _name(market: Mapping[str, Any]) -> str:
    """The exchange's name of a market in requests; Kraken's id has letters that nobody else writes (XXBTZUSD)."""
    alternative = (market.get("info") or {}).get("altname")
    return str(alternative or market.get("id") or "")


def compare(stored: Mapping[str, str], current: Iterable[Instrument], held: Collection[str] = ()) -> Changes:
    """What a listing (`current`) changes in a table that holds `stored`, the status of each pair of that exchange.

    Pairs that are `held` back are listed too, but nothing that was said of them counts.
    """
    now = {instrument.pair: instrument.status for instrument in current}
    return Changes(
        new=tuple(sorted(now.keys() - stored.keys())),
        changed=tuple(
            StatusChange(pair, stored[pair], status)
            for pair, status in sorted(now.items())
            if pair in stored and stored[pair] != status
        ),
        delisted=tuple(sorted(pair for pair in stored.keys() - now.keys() - set(held) if stored[pair] != DELISTED)),
    )


def publish(
    connection: Connection[Any], exchange: str, listing: Listing, seen_at: datetime, *, run: str, asset: str
) -> tuple[GateReport, Changes]:
    """Audit a listing and store what passes, in one transaction; what does not goes to quarantine.

    The table keeps what it had of a pair that is held back, and everything if the audit blocks.

    Raises:
        GateError: the gate itself failed; nothing was changed.
    """
    rows = [_row(instrument, seen_at, run) for instrument in listing.instruments]
    with connection.transaction():
        found = audit(connection, SUBJECT, rows, run, asset)
        quarantine_rows(connection, SUBJECT, rows, found)
        if found.report.blocked:
            return found.report, Changes((), (), ())
        held = {listing.instruments[position].pair for position in found.faults}
        passed = Listing(tuple(found.passed(listing.instruments)), listing.skipped)
        return found.report, store(connection, exchange, passed, seen_at, held)


def store(
    connection: Connection[Any], exchange: str, listing: Listing, seen_at: datetime, held: Collection[str] = ()
) -> Changes:
    """Bring the table `instruments` in line with a listing, in one transaction.

    `seen_to` of a listed pair becomes `seen_at`. A pair no longer listed keeps its row and the last time it was seen,
    with status `delisted`; if it comes back, the row goes on. Rows of pairs that are `held` back stay as they are.
    """
    with connection.transaction():
        connection.execute(query("instruments_lock"), {"exchange": exchange})
        stored = dict(connection.execute(query("instruments_status"), {"exchange": exchange}).fetchall())
        changes = compare(stored, listing.instruments, held)
        _upsert(connection, exchange, listing.instruments, seen_at)
        if changes.delisted:
            connection.execute(
                query("instruments_delist"),
                {"exchange": exchange, "pair": list(changes.delisted), "status": DELISTED},
            )
    return changes


def restore(connection: Connection[Any], payload: Mapping[str, Any]) -> None:
    """Store one pair as it was held back.

    Raises:
        ValueError: it says no time at which it was seen.
    """
    seen_at = instant(payload.get("received_at"))
    if seen_at is None:
        raise ValueError("received_at is no instant")
    price_step, volume_step = (
        Decimal(payload[name]) if payload.get(name) is not None else None
        for name in ("price_increment", "volume_increment")
    )
    instrument = Instrument(
        payload["exchange"], payload["pair"], payload["status"], price_step, volume_step, payload.get("spelling")
    )
    _upsert(connection, instrument.exchange, [instrument], seen_at)


def _row(instrument: Instrument, seen_at: datetime, run: str) -> CandidateRow:
    steps = {"price_increment": instrument.price_increment, "volume_increment": instrument.volume_increment}
    payload = {
        "exchange": instrument.exchange,
        "pair": instrument.pair,
        "status": instrument.status,
        **{name: None if step is None else f"{step:f}" for name, step in steps.items()},
        "spelling": instrument.spelling,
        "received_at": seen_at.isoformat(),
    }
    key = f"{instrument.exchange}|{instrument.pair}"
    return CandidateRow(key, payload, {"source": instrument.exchange}, key, run)


def _upsert(connection: Connection[Any], exchange: str, rows: Sequence[Instrument], seen_at: datetime) -> None:
    connection.execute(
        query("instruments_upsert"),
        {
            "exchange": exchange,
            "pair": [row.pair for row in rows],
            "status": [row.status for row in rows],
            "price_increment": [row.price_increment for row in rows],
            "volume_increment": [row.volume_increment for row in rows],
            "spelling": [row.spelling for row in rows],
            "seen_at": seen_at,
        },
    )


def known_exchanges(connection: Connection[Any], pairs: Mapping[str, Collection[str]]) -> set[str]:
    """The exchanges of which every one of `pairs` (by exchange) is listed under a known name, see `listed_as`."""
    return {
        exchange
        for exchange, wanted in pairs.items()
        if (spellings := listed_as(connection, exchange)) and all(spellings.get(pair) for pair in wanted)
    }


def listed_as(connection: Connection[Any], exchange: str) -> dict[str, str | None]:
    """The exchange's own name of each pair that it lists or has listed, as `unconfirmed` wants it.

    A pair whose row the gate holds back is listed: collecting does not wait until somebody can read its price step.
    """
    return dict(connection.execute(query("instruments_spellings"), {"exchange": exchange}).fetchall())


def _instrument(exchange: str, market: Mapping[str, Any], precision_mode: int) -> Instrument:
    precision = market.get("precision") or {}
    return Instrument(
        exchange=exchange,
        pair=market["symbol"],
        status=_status(market),
        price_increment=_increment(precision.get("price"), precision_mode),
        volume_increment=_increment(precision.get("amount"), precision_mode),
        spelling=_name(market) or None,
    )


def _status(market: Mapping[str, Any]) -> str:
    if market.get("active") is not False:
        return ONLINE
    word = (market.get("info") or {}).get("status")
    word = word.strip().lower() if isinstance(word, str) else ""
    return word if word and word != ONLINE else OFFLINE


def _increment(value: object, precision_mode: int) -> Decimal | None:
    """The smallest step, from ccxt's precision; None where the exchange gives none (or counts significant digits)."""
    if value is None or precision_mode not in (_TICK_SIZE, _DECIMAL_PLACES):
        return None
    try:
        number = exact(value)
        step = Decimal(1).scaleb(-int(number)) if precision_mode == _DECIMAL_PLACES else number
    except (InvalidOperation, ValueError):
        return None
    return step if step.is_finite() and step > 0 else None
