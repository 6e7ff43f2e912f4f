"""The input ports of a manifest: other products, and drop folders of files."""

from __future__ import annotations

import codecs
import re
import zoneinfo
from collections.abc import Mapping

from tulle.errors import UsageError
from tulle.formats.manifest_outputs import OTHER_WORDS
from tulle.formats.walk import Place
from tulle.product.manifest import TYPES, Delivery, FileFormat, FileInput, Input, Output, ProductInput
from tulle.uris import PortAddress, ProductName, parse_port

INPUT = re.compile(r"[a-z][a-z0-9_]*")
CSV_KEYS = ("columns", "null", "delimiter", "decimal", "encoding", "timestamp_format", "date_format", "timezone")
DELIVERIES: tuple[Delivery, ...] = ("append", "snapshot")
NOWHERE = PortAddress(ProductName("nobody", "nothing"))


def read(place: Place, outputs: tuple[Output, ...]) -> Input:
    """The input port that stands at `place`; its name is the key. Files have the output port's columns by default."""
    name = str(place.path[-1])
    if not INPUT.fullmatch(name):
        said = (
            f'"{name}" is no name of an input. Lower case letters, digits and _: SQL sees a table, Python an argument'
        )
        place.faults.add(place.path, said, at_key=True)
    entries = place.entries()
    if "from" in entries and "folder" not in entries:
        return _product_input(name, place)
    if "folder" in entries and "from" not in entries:
        return _file_input(name, place, outputs)
    if place.is_mapping:
        place.wrong(f"{name} needs either from (a product's port) or folder (where files arrive)", _either(name))
    return ProductInput(name, NOWHERE)


def _product_input(name: str, place: Place) -> ProductInput:
    at = place.fields(("from",), ("wait_for",))
    text = at["from"].text()
    try:
        source = parse_port(text) if text else NOWHERE
    except UsageError:
        path = text.startswith((".", "/")) or "." in text.rpartition("/")[2]
        fix = f'{name}: {{folder: "{text}"}}' if path else f'{name}: {{from: "domain/product:rows@1"}}'
        at["from"].wrong(f'"{text}" is no address of a port: domain/product:port@major', fix)
        source = NOWHERE
    return ProductInput(name, source, at["wait_for"].texts() if "wait_for" in at else ())


def _file_input(name: str, place: Place, outputs: tuple[Output, ...]) -> FileInput:
    at = place.fields(("folder",), ("format", "delivery", "pattern"))
    return FileInput(
        name=name,
        folder=at["folder"].text(),
        format=_format(place, at.get("format"), outputs),
        delivery=at["delivery"].choice(DELIVERIES) if "delivery" in at else "append",
        pattern=at["pattern"].text() if "pattern" in at else "*",
    )


def _format(input_place: Place, place: Place | None, outputs: tuple[Output, ...]) -> FileFormat:
    if place is None:
        return FileFormat(columns=_columns(input_place, None, outputs))
    if place.is_text:
        kind = place.choice(("csv", "parquet"))
        return FileFormat("parquet" if kind == "parquet" else "csv", _columns(input_place, None, outputs))
    kinds = place.fields((), ("csv", "parquet"))
    if len(kinds) != 1:
        if place.is_mapping:
            place.wrong("format is csv or parquet", "format: {csv: {null: NA}}")
        return FileFormat()
    if "parquet" in kinds:
        at = kinds["parquet"].fields((), ("columns",))
        return FileFormat("parquet", _columns(input_place, at.get("columns"), outputs))
    return _csv(input_place, kinds["csv"].fields((), CSV_KEYS), outputs)


def _csv(input_place: Place, at: Mapping[str, Place], outputs: tuple[Output, ...]) -> FileFormat:
    usual = FileFormat()
    delimiter = at["delimiter"].text(empty=True) if "delimiter" in at else usual.delimiter
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\n\r':
        at["delimiter"].wrong("delimiter must be one character, or tab")
    decimal = at["decimal"].choice((".", ",")) if "decimal" in at else usual.decimal
    if decimal == delimiter:
        at["decimal"].wrong("decimal and delimiter cannot be the same character")
    return FileFormat(
        kind="csv",
        columns=_columns(input_place, at.get("columns"), outputs),
        null=at["null"].text(empty=True) if "null" in at else usual.null,
        delimiter=delimiter,
        decimal=decimal,
        encoding=_encoding(at["encoding"]) if "encoding" in at else usual.encoding,
        timestamp_format=at["timestamp_format"].text() if "timestamp_format" in at else "",
        date_format=at["date_format"].text() if "date_format" in at else "",
        timezone=_zone(at["timezone"]) if "timezone" in at else usual.timezone,
    )


def _columns(input_place: Place, place: Place | None, outputs: tuple[Output, ...]) -> tuple[tuple[str, str], ...]:
    if place is not None:
        return tuple((name, below.choice(TYPES, OTHER_WORDS)) for name, below in place.entries().items())
    if len(outputs) > 1:
        said = (
            "say which columns the files have (format: {csv: {columns: {name: type}}}): there are several output ports"
        )
        input_place.wrong(said)
    return tuple((column.source or column.name, column.type) for output in outputs[:1] for column in output.columns)


def _encoding(place: Place) -> str:
    text = place.text()
    try:
        "a".encode(text or "utf-8")
        name = codecs.lookup(text or "utf-8").name
        return "latin-1" if name == "iso8859-1" else name
    except (LookupError, ValueError):
        place.wrong(f'there is no encoding "{text}"', "encoding: utf-8")
        return "utf-8"


def _zone(place: Place) -> str:
    text = place.text()
    try:
        if text:
            zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        place.wrong(f'there is no time zone "{text}". Zones are called Europe/Berlin, America/New_York, UTC')
    return text


def _either(name: str) -> str:
    return f'{name}: {{from: "domain/product:rows@1"}}     or {name}: {{folder: "drop"}}'
