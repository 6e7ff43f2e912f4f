"""The two times. The only place that knows what "latest" means and how moments are read and written.

- **Actual time**: when a fact held in the world. An instant, or a window [from, to).
- **Processing time**: when a product came to know and publish it. UTC, whole microseconds, only ever increasing: the
  version of the data.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tulle.errors import UsageError

AHEAD_ALLOWED = 500_000
"""How far ahead of its own wall clock, in microseconds, a product steps up to meet an asked-for processing time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, order=True, slots=True)
class Moment:
    """An instant in whole microseconds since 1970-01-01T00:00Z. Written `2013-02-12T08:00:00.000000Z`."""

    micros: int

    def __str__(self) -> str:
        text = self.as_datetime().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return text.rjust(27, "0")

    def as_datetime(self) -> datetime:
        """The same instant as an aware datetime in UTC."""
        return _EPOCH + timedelta(microseconds=self.micros)

    def plus(self, micros: int) -> Moment:
        return Moment(self.micros + micros)

    @staticmethod
    def of(when: datetime) -> Moment:
        """The moment of an aware datetime. Raises `UsageError` E072 for a naive one."""
        if when.tzinfo is None:
            raise UsageError("E072", f"{when.isoformat()} has no time zone", fix=f"{when.isoformat()}Z")
        return Moment((when - _EPOCH) // _MICROSECOND)


class Latest:
    """Asks for whatever was published last. There is one value, `LATEST`; the sidecar turns it into a `Moment`."""

    def __repr__(self) -> str:
        return "LATEST"


LATEST = Latest()
AsOf = Moment | Latest


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of actual time [start, end); None is open."""

    start: Moment | None = None
    end: Moment | None = None

    def __str__(self) -> str:
        return f"{self.start or ''}..{self.end or ''}"


EVERYTHING = Period()
At = Moment | Period | None
"""What a reader says of actual time: an instant, a period, or nothing (all events; the states in force now)."""

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_FAR = 'fix the form: 2013-02-12, 2013-02-12T08:00Z, "yesterday"'


def parse_moment(text: str | date | datetime | Moment, now: Callable[[], Moment] | None = None) -> Moment:
    """The instant that `text` names: ISO 8601 with a zone, a date (00:00 UTC), `now`, `today` or `yesterday`.

    `now` gives the clock for the relative words; the wall clock by default. Raises `UsageError` E070 for what cannot
    be read, E072 for a time of day without a zone.
    """
    if isinstance(text, Moment):
        return text
    if isinstance(text, datetime):
        return Moment.of(text)
    if isinstance(text, date):
        return Moment.of(datetime(text.year, text.month, text.day, tzinfo=UTC))
    return _relative(text.strip(), now or wall_clock) or _absolute(text.strip())


def parse_as_of(text: str | date | datetime | Moment | Latest | None) -> AsOf:
    """A processing time as a reader gives it; nothing, or `latest`, means the latest."""
    if text is None or isinstance(text, Latest):
        return LATEST
    return LATEST if isinstance(text, str) and text.strip().lower() in ("", "latest") else parse_moment(text)


def parse_at(text: str | date | datetime | Moment | Period | None) -> At:
    """An actual time as a reader gives it: an instant, a date part (`2013`, `2013-06`, `2013-06-01`) or `A..B`.

    A year or month is a period; so is a day. `A..B` is half-open, and either side may be left out.
    """
    if text is None or isinstance(text, Moment | Period):
        return text
    if isinstance(text, datetime):
        return Moment.of(text)
    text = text.isoformat() if isinstance(text, date) else text.strip()
    if ".." in text:
        start, _, end = text.partition("..")
        return Period(_edge(start), _edge(end))
    match = _DATE.fullmatch(text)
    return _calendar_period(text, match) if match else parse_moment(text)


def wall_clock() -> Moment:
    """The machine's clock, now."""
    return Moment.of(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Clock:
    """The hybrid clock of one writer: pure; `tick` gives the next processing time and the clock after it."""

    last: Moment

    def tick(self, wall: Moment, above: Moment) -> Clock:
        """Issues a moment above the last issued one, above `above`, and at the wall clock if that is later."""
        return Clock(max(wall, self.last.plus(1), above.plus(1)))


def _relative(text: str, now: Callable[[], Moment]) -> Moment | None:
    days = {"now": None, "today": 0, "yesterday": 1}
    if text.lower() not in days:
        return None
    back = days[text.lower()]
    moment = now()
    if back is None:
        return moment
    midnight = moment.as_datetime().replace(hour=0, minute=0, second=0, microsecond=0)
    return Moment.of(midnight - timedelta(days=back))


def _absolute(text: str) -> Moment:
    match = _DATE.fullmatch(text)
    if match:
        start = _calendar_period(text, match).start
        assert start is not None
        return start
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("E070", f'"{text}" is no moment', fix=_FAR) from None
    return Moment.of(when)


def _edge(text: str) -> Moment | None:
    return parse_moment(text) if text.strip() else None


def _calendar_period(text: str, match: re.Match[str]) -> Period:
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        start = datetime(year or 1, month or 1, day or 1, tzinfo=UTC)
        if day:
            end = start + timedelta(days=1)
        elif month:
            end = (start + timedelta(days=32)).replace(day=1)
        else:
            end = start.replace(year=start.year + 1)
    except (ValueError, OverflowError):
        raise UsageError("E070", f'"{text}" is no date', fix=_FAR) from None
    return Period(Moment.of(start), Moment.of(end))
