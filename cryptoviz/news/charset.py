"""Bytes of the web to text, whatever they say of themselves."""

from __future__ import annotations

import codecs
import re
from typing import Final

_CHARSETS: Final = re.compile(r"utf-?(8|16|32)|iso8859|cp125\d|ascii|gb|big5|euc|shift_jis|koi8")
"""What is believed, by Python's names: some other codecs of Python take for ever, or are no charsets at all."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEADER: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)


def decoded(body: bytes, declared: str, content_type: str) -> tuple[str, str]:
    """The text, and what was wrong with its charset.

    A byte order mark comes first, then what the document declares, then what its server says, then UTF-8; what is none
    of these is most often windows-1252.
    """
    header = _HEADER.search(content_type)
    marked = next((name for mark, name in _BOMS if body.startswith(mark)), "")
    named = [name for name in (marked, declared, header[1] if header else "") if name]
    for number, name in enumerate([*named, "utf-8"]):
        try:
            known = codecs.lookup(name).name.replace("_", "-")
            text = body.decode(name) if _CHARSETS.match(known) else None
        except (LookupError, UnicodeDecodeError):
            text = None
        if text is not None:
            return text.lstrip("\ufeff"), f"not in the charset {named[0]}" if number else ""
    return body.decode("cp1252", "replace"), f"not in the charset {[*named, 'utf-8'][0]}"
