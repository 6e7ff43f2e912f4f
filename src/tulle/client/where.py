"""Conditions as a caller writes them in Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tulle.errors import UsageError
from tulle.product.reading import Predicate, Scalar
from tulle.times import Moment

Where = Mapping[str, Any] | Iterable[Predicate] | None
"""A mapping of column to value: a list means any of them, None means null, and a column with an operator, as in
`{"wind_speed__gt": 20}`, is compared. Or predicates as they are.
"""

_Text: type = str
"""A text is no condition here, whatever types say: it is what people who think in SQL try first."""
_OPERATORS = {"ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def predicates(where: Where) -> tuple[Predicate, ...]:
    """The conditions in `where`. Raises `UsageError` E011 for a text: SQL belongs in `sql`."""
    if where is None:
        return ()
    if isinstance(where, _Text):
        raise UsageError("E011", "where takes columns and values here", fix='where={"origin": "EWR"}')
    if isinstance(where, Mapping):
        return tuple(_predicate(name, value) for name, value in where.items())
    return tuple(where)


def _predicate(name: str, value: Any) -> Predicate:
    column, cut, suffix = name.rpartition("__")
    if cut and suffix in _OPERATORS:
        return Predicate(column, _OPERATORS[suffix], scalar(value))  # type: ignore[arg-type]  # checked by the key
    if value is None:
        return Predicate(name, "is null")
    if isinstance(value, list | tuple | set | frozenset):
        return Predicate(name, "in", tuple(scalar(one) for one in value))
    return Predicate(name, "=", scalar(value))


def scalar(value: Any) -> Scalar:
    """A value as a predicate holds it: texts and numbers as they are, instants as text in UTC."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime):
        return str(Moment.of(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | Moment):
        return str(value)
    item = getattr(value, "item", None)  # numbers of numpy and Arrow
    if item is not None:
        return scalar(item())
    raise UsageError("E011", f"a {type(value).__name__} is no value to compare with")
