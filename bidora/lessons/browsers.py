"""Who votes: a browser, known by a one-way mark that fits one vote only. No names, no addresses."""

from __future__ import annotations

import binascii
import hashlib
import re

_TOKEN = re.compile(r"^2\|([0-9a-f]{8})\|([0-9a-f]{2,128})\|[0-9]{1,12}$")
_BROWSER = re.compile(r"^[0-9a-f]{16,64}$")


def browser_of(cookie: str) -> str:
    """The part of Streamlit's cookie against forged requests that stays the same in one browser; "" where there is none.

    The cookie is `2|mask|masked token|time`; the mask changes with every page, the token under it does not.

    >>> browser_of("2|00000000|0123456789abcdef0123456789abcdef|1") == browser_of(
    ...     "2|ffffffff|fedcba9876543210fedcba9876543210|2"
    ... )
    True
    """
    found = _TOKEN.match(cookie.strip("\"'")[:400])
    if found is None or len(found[2]) % 2:
        return ""
    mask, masked = (binascii.unhexlify(part) for part in found.groups())
    token = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
    return hashlib.sha256(token).hexdigest()[:32]


def mark_of(browser: str, code: str) -> str:
    """The name of a browser's ballot in one vote; ballots of two votes cannot be told to come from one browser.

    Raises:
        ValueError: the browser is not what `browser_of` gives, or another hexadecimal text of 16 to 64 digits.
    """
    if not _BROWSER.match(browser):
        raise ValueError("a browser is known by 16 to 64 hexadecimal digits")
    return hashlib.sha256(f"{code}:{browser}".encode()).hexdigest()[:24]
