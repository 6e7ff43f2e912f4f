"""The product that `tulle init --source file.csv` writes: what was proposed, with the assumptions as comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from tulle.product_plane.guess import Guess, Proposal
from tulle.product_plane.sample import expected_rows, sample_bytes
from tulle.product_plane.sniff import TextTable
from tulle.uris import ProductName

SAMPLE = "sample.csv"
_BARE = re.compile(r"[^\W\d_][\w]*(?:[ /.-][\w]+)*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off"}


def texts(name: ProductName, source: Path, table: TextTable, proposal: Proposal) -> dict[str, bytes]:
    """The product's files by name. There is SQL only where the file needs more than reading."""
    form = Form.of(table, proposal)
    files = {"product.yaml": _manifest(name, source, table, proposal, form).encode()}
    if form.sql:
        files["transform.sql"] = _sql(proposal, form).encode()
    files["tests/cases.yaml"] = _cases(name, table, proposal).encode()
    files[f"tests/{SAMPLE}"] = sample_bytes(table)
    files["README.md"] = _readme(name, source, proposal).encode()
    return files


class Form:
    """How the file is read: what the format itself can say, and which columns need SQL because it cannot."""

    def __init__(self, decimal: str, timestamps: str, dates: str, by_sql: frozenset[str], *, distinct: bool) -> None:
        self.decimal, self.timestamps, self.dates = decimal, timestamps, dates
        self.by_sql, self.distinct = by_sql, distinct

    @property
    def sql(self) -> bool:
        return bool(self.by_sql) or self.distinct

    @staticmethod
    def of(table: TextTable, proposal: Proposal) -> Form:
        """One decimal mark and one format of dates and of timestamps per file; columns that differ are read by SQL."""
        columns = proposal.columns
        decimal = _main(columns, "double", ",") if table.delimiter != "," else "."
        timestamps = _main(columns, "timestamp", proposal.time.kind.form if proposal.time else "")
        dates = _main(columns, "date", "")
        usual = {"double": decimal, "timestamp": timestamps, "date": dates}
        odd = {
            c.name
            for c in columns
            if c.markers or not c.source or (c.kind.type in usual and c.kind.form != usual[c.kind.type])
        }
        return Form(decimal, timestamps, dates, frozenset(odd), distinct=proposal.repeated > 0)


def _main(columns: Iterable[Guess], kind: str, wanted: str) -> str:
    """The form that stands in the format: the wanted one if a column has it, else the first column's."""
    forms = [column.kind.form for column in columns if column.kind.type == kind]
    usual = "." if kind == "double" else ""
    if wanted in forms:
        return wanted
    return next((form for form in forms if len(form) < 2 or kind != "double"), usual)


def _manifest(name: ProductName, source: Path, table: TextTable, proposal: Proposal, form: Form) -> str:
    key = ", ".join(proposal.key)
    time = proposal.time.name if proposal.time else "arrival"
    facts = "events" if proposal.time else "state"
    lines = [
        f"product: {name}",
        "archetype: source-aligned",
        f"team: {name.domain}",
        f"purpose: {quoted(f'What {source.name} holds, until you say what it is for.')}",
        f"# Proposed from {source.name}. What was assumed:",
        *(f"# - {note}" for note in (*table.notes, *proposal.notes)),
        "inputs:",
        "  files: # files that are put into the folder drop are taken in, each once",
        "    folder: drop",
        f"    pattern: {quoted('*' + source.suffix if source.suffix else '*')}",
        "    delivery: append # snapshot, if each file lists all there is",
        "    format:",
        f"      csv:{'' if _format(table, proposal, form) else ' {}'}",
        *(f"        {line}" for line in _format(table, proposal, form)),
        *(["transform: {sql: transform.sql}"] if form.sql else []),
        "outputs:",
        "  rows:",
        "    version: 1.0.0",
        f"    facts: {facts}",
        f"    key: [{key}]",
        f"    actual_time: {time}{_time_comment(proposal)}",
        "    columns: # say what each one means, and its unit",
        *(f"      - {_column(column, proposal, form)}" for column in proposal.columns),
        'readers: ["*"]',
    ]
    return "\n".join(lines) + "\n"


def _format(table: TextTable, proposal: Proposal, form: Form) -> list[str]:
    lines = [f"delimiter: {quoted(table.delimiter)}"] if table.delimiter != "," else []
    lines += [f"decimal: {quoted(form.decimal)}"] if form.decimal != "." else []
    lines += [f"encoding: {table.encoding}"] if table.encoding != "utf-8" else []
    lines += [f"null: {quoted(proposal.null)}"] if proposal.null else []
    lines += [f"timestamp_format: {quoted(form.timestamps)}"] if form.timestamps else []
    lines += [f"date_format: {quoted(form.dates)}"] if form.dates else []
    if any(c.kind.type == "timestamp" and not c.kind.zoned for c in proposal.columns):
        lines += ["timezone: UTC # assumed: the file names no zone; for local times say, for example, Europe/Berlin"]
    if form.sql:
        lines += ["columns:"]
        lines += [f"  {quoted(c.source)}: {_input_type(c, form)}" for c in proposal.columns]
    return lines


def _input_type(column: Guess, form: Form) -> str:
    return "string" if column.name in form.by_sql else column.kind.type


def _time_comment(proposal: Proposal) -> str:
    return "" if proposal.time else " # no column says when a row was true"


def _column(column: Guess, proposal: Proposal, form: Form) -> str:
    parts = [f"name: {column.name}", f"type: {column.kind.type}"]
    if column.name in proposal.key and not column.nulls:
        parts.append("required: true")
    if column.source != column.name and not form.sql:
        parts.append(f"source: {quoted(column.source)}")
    doubt = f" # {column.kind.doubt}" if column.kind.doubt else ""
    return "{" + ", ".join(parts) + "}" + doubt


def _sql(proposal: Proposal, form: Form) -> str:
    lines = [f"    {_expression(place, column, form)}" for place, column in enumerate(proposal.columns, start=1)]
    head = "-- The file is read as it is; what the format alone cannot say is said here."
    return f"{head}\nSELECT{' DISTINCT' if form.distinct else ''}\n" + ",\n".join(lines) + "\nFROM files\n"


def _expression(place: int, column: Guess, form: Form) -> str:
    # A column without a name in the header is the one of that place, as SQL says it.
    value = _identifier(column.source) if column.source else f"#{place}"
    if column.name in form.by_sql and column.kind.type != "string":
        value = _converted(column, _without_markers(value, column.markers))
    return value if value == _identifier(column.name) else f"{value} AS {_identifier(column.name)}"


def _without_markers(value: str, markers: Iterable[str]) -> str:
    for marker in markers:
        value = f"nullif({value}, {_literal(marker)})"
    return value


def _converted(column: Guess, value: str) -> str:
    kind = column.kind
    if kind.type == "double":
        if kind.form in {",", ".,"}:
            value = f"replace(replace({value}, '.', ''), ',', '.')"
        value = f"replace({value}, ',', '')" if kind.form == ",." else value
        return f"{value}::DOUBLE"
    if kind.type == "date" and kind.form:
        return f"strptime({value}, {_literal(kind.form)})::DATE"
    if kind.type == "timestamp" and kind.form:
        read = f"strptime({value}, {_literal(kind.form)})"
        return read if kind.zoned else f"timezone('UTC', {read})"
    return {"int64": f"{value}::BIGINT", "bool": f"{value}::BOOLEAN", "date": f"{value}::DATE"}.get(
        kind.type, f"{value}::TIMESTAMPTZ"
    )


def _cases(name: ProductName, table: TextTable, proposal: Proposal) -> str:
    rows = expected_rows(table, proposal)
    lines = [
        f"# Each case gives rows or a file to the inputs and says which rows come out. Run it: tulle test {name}",
        "cases:",
        "  - name: the first rows of the file",
        "    given:",
        f"      files: {{file: {SAMPLE}}}",
        "    expect:",
        "      rows:" if rows else "      rows: []",
        *(f"        - {{{', '.join(f'{key}: {_value(value)}' for key, value in row.items())}}}" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def _readme(name: ProductName, source: Path, proposal: Proposal) -> str:
    time = proposal.time.name if proposal.time else "the arrival of its file"
    said = "\n".join(f"- {note}" for note in proposal.notes)
    return (
        f"# {name}\n\nWhat `{source.name}` holds. A fact is told apart by {', '.join(proposal.key)} and its actual"
        f" time, which is {time}.\n\n    tulle test {name}\n    tulle read {name}\n\n"
        f"Put another file of the same form into `drop/` and read again.\n\n## Assumed\n\n{said}\n"
    )


def quoted(text: str) -> str:
    """The text as a YAML scalar: bare where that is safe."""
    if _BARE.fullmatch(text) and text.lower() not in _WORDS and not text.endswith("\n"):
        return text
    return json.dumps(text, ensure_ascii=False)


def _identifier(name: str) -> str:
    """A name in SQL, always in quotes: any word of a file's header may be one of SQL's own."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
