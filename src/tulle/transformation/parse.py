"""Files into rows of the declared columns and types.

An unquoted cell that is empty, or says what the format declares as null, is null; a quoted empty text is a text.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from tulle.errors import CheckFailed, nearest
from tulle.product.manifest import FileFormat
from tulle.transformation.columns import ARROW, fits, said
from tulle.transformation.engine import Connection, literal, rows, tables
from tulle.transformation.instants import Instants, from_local, from_texts

_CODED = pa.dictionary(pa.int32(), pa.string())
"""How texts that still have to be read are kept: each different one is read once."""

_TIME = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$"


@dataclass(frozen=True)
class Source:
    """A file as it came: where its bytes are, what its sender called it, how it is written."""

    path: Path
    name: str
    format: FileFormat

    def place(self, row: int) -> str:
        """Where a row stands in the file: `2013-01.csv:17`."""
        return f"{self.name}:{_line(self, row)}" if self.format.kind == "csv" else f"{self.name}, row {row + 1}"


@dataclass(frozen=True)
class Parsed:
    """The rows of a file, in its order, and what had to be decided about them."""

    rows: pa.Table
    source: Source
    warnings: tuple[str, ...] = ()


def parse(connection: Connection, source: Source) -> Parsed:
    """The rows of a file. Raises `CheckFailed` E030 for other columns than declared, E031 for a bad value."""
    if source.path.stat().st_size == 0:
        raise CheckFailed("E030", f"{source.name} is empty: it has not even a header", where=source.name)
    table = _parquet(source) if source.format.kind == "parquet" else _csv(source)
    made, warnings = [], []
    for name, kind in source.format.columns:
        column, warning = _typed(connection, source, name, kind, table[name])
        made.append(column)
        warnings += [warning] if warning else []
    schema = pa.schema([(name, ARROW[kind]) for name, kind in source.format.columns])
    return Parsed(pa.table(made, schema=schema), source, tuple(warnings))


def _csv(source: Source) -> pa.Table:
    form = source.format
    _check_names(source, _header(source))
    odd: list[int] = []

    def note_and_skip(row: arrow_csv.InvalidRow) -> str:
        odd.append(row.number - 2)  # numbered from 1, header included
        return "skip"

    try:
        table = arrow_csv.read_csv(
            source.path,
            arrow_csv.ReadOptions(use_threads=False, encoding=_encoding(form)),
            arrow_csv.ParseOptions(
                delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=note_and_skip
            ),
            _conversion(form, {name: _first_type(kind, form) for name, kind in form.columns}),
        )
    except (pa.ArrowInvalid, UnicodeError):
        if _only_a_header(source):
            return pa.schema([(name, _first_type(kind, form)) for name, kind in form.columns]).empty_table()
        _explain(source)
    if odd:
        what = f"a row has more or fewer cells than the {len(form.columns)} columns of the header"
        raise CheckFailed("E031", what, where=source.place(odd[0]), why=f"Rows with this fault: {len(odd)}.")
    return table


def _conversion(form: FileFormat, types: dict[str, pa.DataType]) -> arrow_csv.ConvertOptions:
    return arrow_csv.ConvertOptions(
        column_types=types,
        include_columns=list(types),
        null_values=sorted({"", form.null}),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        decimal_point=form.decimal,
    )


def _first_type(kind: str, form: FileFormat) -> pa.DataType:
    by_hand = kind == "timestamp" or (kind == "date" and form.date_format)
    return _CODED if by_hand else ARROW[kind]


def _typed(
    connection: Connection, source: Source, name: str, kind: str, values: pa.ChunkedArray
) -> tuple[pa.ChunkedArray, str]:
    """A column in its declared type, and a warning if something had to be decided."""
    form = source.format
    if values.type == _CODED and kind == "date":
        return _each(source, name, kind, values, lambda texts: _dates(connection, texts, form.date_format)), ""
    if values.type == _CODED and kind == "timestamp":
        return _instants(connection, source, name, values)
    if kind == "timestamp" and pa.types.is_timestamp(values.type) and values.type.tz is None:
        read = from_local(connection, values.combine_chunks(), form.timezone)
        return pa.chunked_array([read.values]), _doubts(name, form.timezone, read, None)
    fitting = fits(values, kind)
    if fitting is None:
        why = f"The file holds {said(values.type)}."
        raise CheckFailed("E031", f"column {name} is not {kind}", where=f"{source.name}, column {name}", why=why)
    return fitting, ""


def _instants(
    connection: Connection, source: Source, name: str, values: pa.ChunkedArray
) -> tuple[pa.ChunkedArray, str]:
    form, doubts = source.format, []

    def read(texts: pa.Array) -> pa.Array:
        found = from_texts(connection, texts, form.timestamp_format, form.timezone)
        doubts.append(found)
        return found.values

    made = _each(source, name, "timestamp", values, read)
    indices = values.unify_dictionaries().combine_chunks()
    return made, _doubts(name, form.timezone, doubts[0], indices.indices) if doubts else ""


def _each(source: Source, name: str, kind: str, values: pa.ChunkedArray, read: object) -> pa.ChunkedArray:
    """Reads each different text once. Raises `CheckFailed` E031 for the first row that cannot be read."""
    assert callable(read)
    coded = values.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], pa.string()))
    made = read(coded.dictionary).take(coded.indices)
    if made.null_count > coded.null_count:
        wrong = pc.and_(pc.is_null(made), pc.is_valid(coded.indices))
        raise _bad_value(source, name, kind, pc.index(wrong, True).as_py(), _format_hint(source.format, kind))
    return pa.chunked_array([made])


def _dates(connection: Connection, texts: pa.Array, pattern: str) -> pa.Array:
    with tables(connection, {"_texts": pa.table({"v": texts})}):
        found = rows(connection, f"SELECT CAST(try_strptime(v, {literal(pattern)}) AS DATE) AS v FROM _texts")
    return found["v"].combine_chunks()


def _doubts(name: str, zone: str, read: Instants, indices: pa.Array | None) -> str:
    def count(marks: pa.Array) -> int:
        return pc.sum(marks if indices is None else marks.take(indices)).as_py() or 0

    if not (pc.any(read.twice).as_py() or pc.any(read.never).as_py()):
        return ""
    twice, never = count(read.twice), count(read.never)
    said_twice = f"{twice} local times stand twice in {zone}; the first was taken" if twice else ""
    said_never = f"{never} local times never were in {zone}; they were moved on by what was left out" if never else ""
    return f"{name}: " + "; ".join(part for part in (said_twice, said_never) if part)


def _parquet(source: Source) -> pa.Table:
    try:
        file = pq.ParquetFile(source.path)
        _check_names(source, file.schema_arrow.names)
        return file.read(columns=[name for name, _ in source.format.columns], use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise CheckFailed("E031", f"{source.name} is no Parquet file, or a broken one", where=source.name) from None


def _check_names(source: Source, found: Sequence[str]) -> None:
    declared = [name for name, _ in source.format.columns]
    missing = [name for name in declared if name not in found]
    unexpected = [name for name in dict.fromkeys(found) if name not in declared]
    twice = [name for name in dict.fromkeys(found) if found.count(name) > 1] if isinstance(found, list) else []
    faults = [("missing", missing), ("unexpected", unexpected), ("twice", twice)]
    if not (missing or unexpected or twice):
        return
    what = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in faults if names)
    hints = [f"{name}: {hint}" for name in unexpected if (hint := nearest(name, missing))]
    delimiter = _other_delimiter(source.format, found)
    why = "\n".join([*hints, *([delimiter] if delimiter else []), f"Declared: {', '.join(declared)}."])
    raise CheckFailed(
        "E030", f"other columns than declared in {source.name}: {what}", where=f"{source.name}:1", why=why
    )


def _other_delimiter(form: FileFormat, found: Sequence[str]) -> str:
    if len(found) != 1 or len(form.columns) == 1:
        return ""
    better = max(",;\t|", key=found[0].count)
    return f"The header is one cell: its delimiter looks like {better!r}." if found[0].count(better) else ""


def _header(source: Source) -> list[str]:
    try:
        return next(_records(source))[1]
    except StopIteration:
        raise CheckFailed("E030", f"{source.name} has no header", where=source.name) from None
    except UnicodeError:
        raise _bad_text(source) from None


def _records(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Every record with the line it begins in; lines with nothing in them do not count."""
    form = source.format
    csv.field_size_limit(1 << 30)
    encoding = "utf-8-sig" if _encoding(form) == "utf-8" else form.encoding
    with source.path.open(encoding=encoding, newline="") as file:
        reader, line = csv.reader(file, delimiter=form.delimiter), 1
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1


def _only_a_header(source: Source) -> bool:
    try:
        return _line(source, 0) == 0
    except (UnicodeError, csv.Error):
        return False


def _line(source: Source, row: int) -> int:
    """The line in which a row begins, found by reading again: only errors want to know."""
    return next(islice(_records(source), row + 1, None), (0, []))[0]


def _encoding(form: FileFormat) -> str:
    plain = codecs.lookup(form.encoding).name
    return "utf-8" if plain in ("utf-8", "utf-8-sig", "ascii") else form.encoding


# ── the first fault of a file that cannot be read ────────────────────────────────────────────────────────────────────


def _explain(source: Source) -> NoReturn:
    """Reads the file again as texts, and tells the first value that is not of its declared type."""
    form = source.format
    options = arrow_csv.ReadOptions(use_threads=False, encoding=_encoding(form))
    layout = arrow_csv.ParseOptions(
        delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=lambda _: "skip"
    )
    try:
        types = {name: pa.string() for name, _ in form.columns}
        table = arrow_csv.read_csv(source.path, options, layout, _conversion(form, types))
    except (pa.ArrowInvalid, UnicodeError):
        raise _bad_text(source) from None
    typed = [(name, kind) for name, kind in form.columns if _first_type(kind, form) not in (_CODED, pa.string())]
    faults = [(row, name, kind) for name, kind in typed if (row := _first_bad(table[name], kind, form)) is not None]
    if not faults:
        raise CheckFailed("E031", f"{source.name} cannot be read as it is declared", where=source.name)
    row, name, kind = min(faults)
    raise _bad_value(source, name, kind, row, _format_hint(form, kind))


def _first_bad(texts: pa.ChunkedArray, kind: str, form: FileFormat) -> int | None:
    values = pc.utf8_trim_whitespace(texts.combine_chunks())
    if form.decimal != "." and kind in ("float", "double", "decimal"):
        values = pc.replace_substring(values, form.decimal, ".")
    start, stop = 0, len(values)
    if _castable(values, kind):
        return None
    while stop - start > 1:
        middle = (start + stop) // 2
        start, stop = (middle, stop) if _castable(values.slice(start, middle - start), kind) else (start, middle)
    return start


def _castable(values: pa.Array, kind: str) -> bool:
    if kind == "time":  # Arrow reads these in files but casts none
        return not pc.any(pc.invert(pc.match_substring_regex(values, _TIME))).as_py()
    try:
        pc.cast(values, ARROW[kind])
    except pa.ArrowInvalid:
        return False
    return True


def _bad_value(source: Source, name: str, kind: str, row: int, hint: str) -> CheckFailed:
    place = source.place(row)
    return CheckFailed("E031", f"{place}: column {name} holds something that is no {kind}", where=place, why=hint)


def _format_hint(form: FileFormat, kind: str) -> str:
    if kind == "timestamp":
        return f"Timestamps are declared as {form.timestamp_format or 'ISO 8601'}."
    if kind == "date":
        return f"Dates are declared as {form.date_format or 'ISO 8601, as in 2013-02-12'}."
    return f"The decimal mark is declared as {form.decimal}" if kind in ("float", "double", "decimal") else ""


def _bad_text(source: Source) -> CheckFailed:
    what = f"{source.name} is not written in {source.format.encoding}"
    return CheckFailed("E031", what, where=source.name, why="Declare its encoding: utf-8, latin-1, utf-16, ...")


def blank(source: Source, column: str, row: int) -> CheckFailed:
    """The error for a row without a value that its column requires."""
    place = source.place(row)
    return CheckFailed("E031", f"{place}: column {column} is required and holds nothing", where=place)
