"""The first rows of a user's file: as a small file of the same form, and as the rows that should come of it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from tulle.product_plane.guess import Guess, Proposal
from tulle.product_plane.sniff import TextTable
from tulle.times import Moment

ROWS = 3


def sample_bytes(table: TextTable) -> bytes:
    """Header and first rows, in the file's own encoding and with its delimiter."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(table.rows[:ROWS])
    return text.getvalue().encode(table.encoding)


def expected_rows(table: TextTable, proposal: Proposal) -> list[dict[str, object]]:
    """What the first rows hold, by our names: once each, as rows that repeat are dropped."""
    rows: list[dict[str, object]] = []
    for texts in table.rows[:ROWS]:
        row = {c.name: _value(text, c, proposal.null) for c, text in zip(proposal.columns, texts, strict=True)}
        if row not in rows:
            rows.append(row)
    return rows


def _value(text: str, column: Guess, null: str) -> object:
    kind = column.kind
    if text in {"", null, *column.markers}:
        return None
    if kind.type == "int64":
        return int(text)
    if kind.type == "double":
        return _number(text, kind.form)
    if kind.type == "bool":
        return text.lower() == "true"
    if kind.type == "date" and kind.form:
        return datetime.strptime(text, kind.form).date().isoformat()  # noqa: DTZ007 - a day has no zone
    return str(_moment(text, kind.form)) if kind.type == "timestamp" else text


def _number(text: str, form: str) -> float:
    if form.startswith(".,") or form == ",":
        return float(text.replace(".", "").replace(",", "."))
    return float(text.replace(",", ""))


def _moment(text: str, form: str) -> Moment:
    when = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007 - it may name none
    return Moment.of(when if when.tzinfo else when.replace(tzinfo=UTC))
