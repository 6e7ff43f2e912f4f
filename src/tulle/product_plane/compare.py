"""Rows that were expected against rows that came, in any order, and their difference as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from tulle.times import Moment

Row = Mapping[str, Any]
MOST_SHOWN = 10
MOST_COLUMNS = 6


def difference(expected: Sequence[Row], came: Sequence[Row]) -> list[str]:
    """What differs, a line each: `~` a row with other values, `-` one that is missing, `+` one too many."""
    missing, extra = _unmatched(expected, came)
    if not missing and not extra:
        return []
    lines = []
    for row in missing:
        near = _nearest(row, extra)
        if near is None:
            lines.append(f"- {shown_row(row)}")
            continue
        extra.remove(near)
        lines.append(_changed(row, near))
    columns = list(dict.fromkeys(name for row in expected for name in row))
    lines += [f"+ {shown_row({name: row[name] for name in columns or list(row)[:MOST_COLUMNS]})}" for row in extra]
    more = [f"and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return [*lines[:MOST_SHOWN], *more]


def shown_row(row: Row) -> str:
    """A row in one line."""
    return " ".join(f"{name}={_shown(value)}" for name, value in row.items())


def _unmatched(expected: Sequence[Row], came: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows without a partner on either side. Rows that say more choose first; vague ones take what is left."""
    left, missing = list(came), []
    for row in sorted(expected, key=len, reverse=True):
        match = next((other for other in left if all(_same(value, other[name]) for name, value in row.items())), None)
        if match is None:
            missing.append(row)
        else:
            left.remove(match)
    return missing, left


def _nearest(row: Row, others: Sequence[Row]) -> Row | None:
    """The row that agrees with `row` in the most columns, if in at least half of them."""
    agreeing = [(sum(_same(value, other[name]) for name, value in row.items()), other) for other in others]
    best = max(agreeing, key=lambda pair: pair[0], default=None)
    return best[1] if best and best[0] * 2 >= len(row) else None


def _changed(row: Row, came: Row) -> str:
    same = {name: value for name, value in row.items() if _same(value, came[name])}
    changes = [
        f"{name} is {_shown(came[name])}, expected {_shown(value)}" for name, value in row.items() if name not in same
    ]
    said = shown_row(dict(list(same.items())[:MOST_COLUMNS]))
    return f"~ {said + ': ' if said else ''}{', '.join(changes)}"


def _same(expected: Any, came: Any) -> bool:
    """Equality, but for what floating-point numbers do to decimal ones; NaN equals NaN."""
    if isinstance(expected, float) and isinstance(came, float):
        return math.isclose(expected, came, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(expected) and math.isnan(came))
    return type(expected) is type(came) and bool(expected == came)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return str(Moment.of(value)).replace(".000000", "").replace(":00Z", "Z")
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return value.isoformat() if isinstance(value, date) else str(value)
