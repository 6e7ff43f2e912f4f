"""Rows and documents as text: tables to look at, JSON and CSV to go on with. Data goes to stdout, remarks to stderr."""

from __future__ import annotations

import csv
import json
import math
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

SOON = 2.0
"""Seconds after which a command says what it is doing."""

_GAP = "  "


def show(rows: Iterable[Mapping[str, Any]], form: str, columns: Sequence[str] = ()) -> None:
    """Prints rows. `columns` gives order and choice; otherwise the first row does."""
    if form == "csv":
        _csv(rows, columns)
    elif form == "json":
        print(as_json([dict(row) for row in rows]))
    else:
        listed = list(rows)
        sys.stdout.writelines(f"{line}\n" for line in table(listed, columns or list(listed[0] if listed else ())))


def show_facts(document: Mapping[str, Any], form: str) -> None:
    """Prints one document: name and value a line, or JSON, or a CSV of one row."""
    if form == "json":
        print(as_json(document))
    elif form == "csv":
        _csv([document], list(document))
    else:
        known = {name: text(value) for name, value in document.items() if value not in (None, "", [], {})}
        width = max(map(len, known), default=0)
        for name, value in known.items():
            print(f"{name.ljust(width)}{_GAP}{value}")


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """A table in plain text: numbers to the right, everything else to the left."""
    if not columns:
        return
    cells = [[text(row.get(name)) for name in columns] for row in rows]
    right = [_all_numbers(row.get(name) for row in rows) for name in columns]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *cells, strict=True)]
    for line in (columns, *cells):
        parts = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        yield _GAP.join(parts).rstrip()


def text(value: Any) -> str:
    """A value as a table shows it. Numbers are shortened to four decimals; JSON and CSV have them in full."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value) and abs(value) >= 0.001:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(text(part) for part in value)
    return str(plain(value) if value is not None else "").replace("\n", " ")


def plain(value: Any) -> Any:
    """A value as JSON and CSV write it: instants in UTC with a Z, dates as ISO, bytes in hex."""
    if isinstance(value, datetime):
        when = value.astimezone(UTC) if value.tzinfo else value
        return when.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return (
        value if isinstance(value, str | int | float) else value.isoformat() if isinstance(value, date) else str(value)
    )


def as_json(document: Any, indent: int | None = 2) -> str:
    """A document as JSON; on one line without an indent."""
    return json.dumps(document, default=plain, ensure_ascii=False, indent=indent)


def remark(line: str) -> None:
    """Says something about the answer, beside it."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def patience(doing: str) -> Iterator[None]:
    """Says what is being done, once, if it takes longer than two seconds."""
    timer = threading.Timer(SOON, remark, (f"{doing} …",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    names = list(columns)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, row in enumerate(rows):
        names = names or list(row)
        if number == 0:
            writer.writerow(names)
        writer.writerow([_csv_cell(row.get(name)) for name in names])


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return ("true" if value else "false") if isinstance(value, bool) else plain(value)


def _all_numbers(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
