"""How a stranger's CSV file is written: its encoding, its delimiter, its header, its rows as text."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tulle.errors import NotThere, UsageError
from tulle.product_plane.kinds import NULLS

MOST_ROWS = 200_000
MOST_BYTES = 256 << 20
DELIMITERS = (",", ";", "\t", "|")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16"),
)


@dataclass(frozen=True)
class TextTable:
    """A CSV file as text: how it is written, its header, its rows.

    `cut` says that there are more rows than these, `quoted` which marks of null stand in quotes somewhere: there they
    are texts, not nulls.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()
    cut: bool = False
    quoted: frozenset[str] = frozenset()

    def column(self, number: int) -> list[str]:
        return [row[number] for row in self.rows]


def read_text_table(file: Path) -> TextTable:
    """The file, up to 200,000 rows of it. Raises `NotThere` E022 or `UsageError` E011 if it is no table in CSV."""
    head = _head(file)
    encoding, codec, said = _encoding(head)
    try:
        text = head.decode(codec, errors="ignore" if len(head) == MOST_BYTES else "strict")
    except UnicodeDecodeError:
        raise _no_table(file, f"the file is not {encoding} throughout") from None
    if "\0" in text[:4096]:
        raise _no_table(file, "the file holds binary data")
    delimiter = _delimiter(text)
    try:
        lines = itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), MOST_ROWS + 2)
        table = [row for row in lines if row]
    except csv.Error as problem:
        raise _no_table(file, str(problem)) from None
    if not table:
        raise _no_table(file, "the file is empty")
    header = _header(file, table[0])
    rows, ragged = _even(table[1 : MOST_ROWS + 1], len(header))
    notes = [*said, *_cut_note(table), *_ragged_note(ragged)]
    return TextTable(
        encoding, delimiter, header, rows, tuple(notes), len(table) > MOST_ROWS + 1, _quoted(text, delimiter)
    )


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(MOST_BYTES)
    except FileNotFoundError:
        raise NotThere("E022", f"there is no file {file}") from None
    except IsADirectoryError:
        raise NotThere("E022", f"{file} is a folder; name one file in it") from None


def _encoding(head: bytes) -> tuple[str, str, list[str]]:
    """The encoding by our name for it, the codec to read with, and what to tell."""
    for mark, name, codec in _MARKS:
        if head.startswith(mark):
            return name, codec, [f"encoding: {name}, by its byte-order mark"]
    if head[:200].count(0) > len(head[:200]) // 4:
        little = head[1:200:2].count(0) > head[0:200:2].count(0)
        codec = "utf-16-le" if little else "utf-16-be"
        return codec, codec, [f"encoding: {codec}, by its zero bytes"]
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < MOST_BYTES)
        return "utf-8", "utf-8", []
    except UnicodeDecodeError:
        windows = any(byte in head for byte in b"\x80\x82\x84\x91\x92\x93\x94\x96\x97")
        name = "cp1252" if windows else "latin-1"
        return name, name, [f"encoding: {name}, assumed: it is not UTF-8"]


def _delimiter(text: str) -> str:
    """The delimiter that splits the first lines into the most columns, evenly."""
    sample = text[:65536]
    return max(DELIMITERS, key=lambda delimiter: _evenness(sample, delimiter))


def _evenness(sample: str, delimiter: str) -> tuple[float, int]:
    try:
        rows = list(itertools.islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), 100))
    except csv.Error:
        return (0.0, 0)
    widths = Counter(len(row) for row in rows[:-1] or rows if row)
    width, often = widths.most_common(1)[0] if widths else (1, 0)
    return (0.0, 0) if width < 2 or len(rows[0]) < 2 else (round(often / sum(widths.values()), 1), width)


def _quoted(text: str, delimiter: str) -> frozenset[str]:
    mark = re.escape(delimiter)
    return frozenset(re.findall(rf'(?:^|{mark})"(\\N|[-?\w/]{{0,4}})"(?=$|{mark}|\r)', text, re.MULTILINE)) & {*NULLS}


def _header(file: Path, first: list[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in first)
    if not any(any(letter.isalpha() for letter in name) for name in names):
        raise _no_table(file, "its first line holds no names of columns")
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise _no_table(file, f'two of its columns are called "{twice[0]}"')
    return tuple(first)


def _even(rows: list[list[str]], width: int) -> tuple[list[list[str]], list[int]]:
    """The rows that have as many fields as the header, and the numbers of those that do not."""
    ragged = [number for number, row in enumerate(rows, start=2) if len(row) != width]
    return ([row for row in rows if len(row) == width] if ragged else rows), ragged


def _ragged_note(ragged: list[int]) -> list[str]:
    if not ragged:
        return []
    return [f"{len(ragged)} rows have more or fewer fields than the header, first row {ragged[0]}: they will stop it"]


def _cut_note(table: list[list[str]]) -> list[str]:
    return [f"looked at the first {MOST_ROWS:,} rows only"] if len(table) > MOST_ROWS + 1 else []


def _no_table(file: Path, why: str) -> UsageError:
    fix = "a CSV file whose first line names the columns, each once"
    return UsageError("E011", f"{file.name} cannot be read as a table", why=why, fix=fix)
