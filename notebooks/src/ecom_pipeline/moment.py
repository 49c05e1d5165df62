"""Points in time as whole microseconds since 1970, UTC.

Spark hands a timestamp to Python in the time zone of the Python process, without saying which; numbers have no zone. So
no timestamp crosses that border: watermarks and bounds travel as microseconds.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> int:
    """The present, by this machine's clock."""
    return (datetime.now(UTC) - _EPOCH) // _MICROSECOND


def parse(text: str) -> int:
    """Reads RFC 3339. A time without an offset is refused, as it says nothing."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text!r} is no RFC 3339 time; write it like 2026-03-01T00:00:00Z")
    return (at - _EPOCH) // _MICROSECOND


def text(micros: int) -> str:
    """RFC 3339, to the microsecond."""
    return (_EPOCH + micros * _MICROSECOND).isoformat(timespec="microseconds")


def day(micros: int) -> date:
    """The UTC date."""
    return (_EPOCH + micros * _MICROSECOND).date()


def column(micros: int) -> Column:
    """The same as a Spark timestamp."""
    return F.timestamp_micros(F.lit(micros))
