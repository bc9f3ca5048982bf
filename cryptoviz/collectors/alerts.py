"""Alerts: the price of a pair moved by at least a threshold within a window. Pure: no clock, no network.

trade -> PriceMonitor.observe -> Alert or None
"""

from __future__ import annotations

from collections import deque

from cryptoviz.records import Alert, AlertType, Trade


class PriceMonitor:
    """Watches all pairs of one exchange.

    A move is measured from the lowest (highest) price within the last `window_s` seconds of event time to the price
    of the trade; after an alert the same pair and direction stays silent for `cooldown_s`.
    """

    def __init__(self, threshold_percent: float, window_s: float, cooldown_s: float) -> None:
        self._threshold = threshold_percent
        self._window_s = window_s
        self._cooldown_s = cooldown_s
        self._lows: dict[str, deque[tuple[float, float]]] = {}
        self._highs: dict[str, deque[tuple[float, float]]] = {}
        self._silent_until: dict[tuple[str, AlertType], float] = {}

    def observe(self, trade: Trade) -> Alert | None:
        """The alert that this trade sets off, if any."""
        pair, price, now = trade.pair, float(trade.price), trade.timestamp.timestamp()
        lows = self._lows.setdefault(pair, deque())
        highs = self._highs.setdefault(pair, deque())
        # Monotonic queues: the front is the lowest (highest) price still in the window.
        while lows and lows[-1][1] >= price:
            lows.pop()
        while highs and highs[-1][1] <= price:
            highs.pop()
        lows.append((now, price))
        highs.append((now, price))
        oldest = now - self._window_s
        while lows[0][0] < oldest:
            lows.popleft()
        while highs[0][0] < oldest:
            highs.popleft()
        rise = (price - lows[0][1]) / lows[0][1] * 100
        fall = (price - highs[0][1]) / highs[0][1] * 100
        if rise >= self._threshold:
            return self._alert(trade, AlertType.PRICE_UP, rise, now)
        if -fall >= self._threshold:
            return self._alert(trade, AlertType.PRICE_DOWN, fall, now)
        return None

    def _alert(self, trade: Trade, kind: AlertType, change: float, now: float) -> Alert | None:
        if now < self._silent_until.get((trade.pair, kind), float("-inf")):
            return None
        self._silent_until[trade.pair, kind] = now + self._cooldown_s
        return Alert(
            received_at=trade.received_at,
            timestamp=trade.timestamp,
            exchange=trade.exchange,
            pair=trade.pair,
            last_price=trade.price,
            change_percent=change,
            threshold=self._threshold,
            alert_type=kind,
        )
