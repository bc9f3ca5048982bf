"""Values of a source's JSON as our messages carry them: numbers keep their digits, odd values stay as they are."""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from cryptoviz.records import FRACTION_DIGITS

_STEP: Final = Decimal(1).scaleb(-FRACTION_DIGITS)
_WIDE: Final = Context(prec=100)
_LONGEST: Final = 60
"""Digits before the point beyond which a number is written with its exponent."""


def _exact(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        return text


_decoder: Final = msgspec.json.Decoder(float_hook=_exact)


class NotJsonError(ValueError):
    """A body is not JSON."""


def decode(body: bytes) -> Any:
    """The JSON in a body: numbers with a point or an exponent are decimals, others integers, none a float.

    Raises:
        NotJsonError: it is none, or nested beyond reason.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotJsonError(str(error)) from None


def exact(value: Any) -> Any:
    """A number as the text of a decimal; anything else as it is.

    Overviews are computed by their source and printed as floats. Digits after the 18th of the fraction, where every
    engine of the chain ends, are rounded off; what would be nothing then is left for the gate to refuse.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    number = _rounded(Decimal(value))
    return format(number, "f") if -_LONGEST < number.adjusted() < _LONGEST else str(number)


def _rounded(number: Decimal) -> Decimal:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -FRACTION_DIGITS:
        return number
    try:
        return number.quantize(_STEP, context=_WIDE) or number
    except InvalidOperation:
        return number


def computed(value: Any) -> Any:
    """A number that the source computed (a change in percent) as a float; its text where that is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    try:
        found = float(value)
    except OverflowError:
        return str(Decimal(value))
    return found if abs(found) < float("inf") else str(value)


def symbol(value: Any) -> Any:
    """A coin's symbol in upper case."""
    return value.upper() if isinstance(value, str) else value


def instant(at: datetime) -> str:
    """An instant of ours: ISO 8601 with `Z`."""
    return at.isoformat().replace("+00:00", "Z")
