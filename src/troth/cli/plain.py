"""Values as people read them: spans of time, moments, JSON cut to fit, and text that can't command a terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from msgspec import Raw

SECOND = 1_000_000
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])")


def span(micros: int) -> str:
    """A length of time, short: ``3 ms``, ``1.24 s``, ``3m20s``, ``2h05m``, ``4d03h``."""
    if micros < 1000:
        return "<1 ms" if micros > 0 else "0 ms"
    if micros < SECOND:
        return f"{micros // 1000} ms"
    if micros < 60 * SECOND:
        return f"{micros / SECOND:.3g} s" if micros < 10 * SECOND else f"{micros // SECOND} s"
    minutes, seconds = divmod(micros // SECOND, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"


def moment(micros: int) -> str:
    """A point in time, in the reader's own zone, to the millisecond."""
    local = (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"


def iso(micros: int) -> str | None:
    """A point in time for programs: ISO 8601 in UTC; None for 0, which means never."""
    if not micros:
        return None
    return (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def since(text: str, now: int) -> int:
    """What ``--since`` means, in microseconds since the epoch: a span back from now (``2h``, ``1h30m``) or an ISO date.

    :raises ValueError: it is neither.
    """
    text = text.strip()
    if text and PART.sub("", text).strip() == "":
        return now - int(sum(float(number) * UNITS[unit] for number, unit in PART.findall(text)) * SECOND)
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        when = when.astimezone()
    return int(when.timestamp() * SECOND)


def clean(text: str) -> str:
    """Text from the log without what a terminal would obey: control characters are shown as escapes, on one line."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else " " if c in "\n\r\t" else c.encode("unicode_escape").decode() for c in text
    )


def cut(text: str, width: int) -> str:
    """At most ``width`` characters; what is missing is shown as an ellipsis."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def value(raw: Raw | bytes, width: int = 0) -> str:
    """An encoded value on one line, cut to ``width`` characters; 0: whole."""
    text = clean(bytes(raw).decode("utf-8", "replace"))
    return cut(text, width) if width else text


def many(count: int, one: str, more: str = "") -> str:
    """A number with its noun: ``1 node``, ``2 nodes``."""
    return f"{count} {one if count == 1 else more or one + 's'}"
