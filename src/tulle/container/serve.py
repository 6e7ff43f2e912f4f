"""Answers: a question that was let in, pinned to one moment, asked of the log, stamped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tulle.container.parts import Condition, Parts
from tulle.errors import lost_column
from tulle.formats.guard import guard
from tulle.formats.questions import BY_KEY, readable_columns
from tulle.product.manifest import Output
from tulle.product.reading import Predicate, Provenance, Read, Stamp
from tulle.times import AsOf, At, Moment, Period, parse_moment, wall_clock
from tulle.uris import PortAddress


@dataclass(frozen=True)
class Served:
    """An answer: rows and the stamp that says what they are."""

    rows: pa.Table
    stamp: Stamp


class Serve:
    """Answers questions from the log of one product. Whoever calls has been let in by the sidecar."""

    def __init__(self, parts: Parts, condition: Condition) -> None:
        self._parts, self._condition = parts, condition

    def rows(self, read: Read, *, digest: bool = True) -> Served:
        """The rows of `read`, in full. Raises `NotThere` E201 for a column that is not there, E071 for the future."""
        output = self._parts.output(read.port.port, read.port.major)
        moment, warnings = self.pin(read.as_of)
        columns = _asked_columns(read, output, self._parts.address)
        order = _expanded(read.order, output)
        at = _narrowed(output, _in_force(output, read.at), read.where)
        rows = self._parts.log.read(output.table, moment, at, columns, _conditions(read), order, read.limit)
        self._counted(rows)
        return Served(rows, self._stamp(output, moment, rows, warnings, digest=digest))

    def changes(self, port: PortAddress, since: Moment, until: AsOf, *, every: bool) -> Served:
        """What changed after `since` up to `until`."""
        output = self._parts.output(port.port, port.major)
        moment, warnings = self.pin(until)
        rows = self._parts.log.changes(output.table, since, moment, every=every)
        self._counted(rows)
        return Served(rows, self._stamp(output, moment, rows, warnings, digest=False))

    def history(self, read: Read) -> Served:
        """Every version of the facts that `read.where` matches, retractions included."""
        output = self._parts.output(read.port.port, read.port.major)
        moment, warnings = self.pin(read.as_of)
        rows = self._parts.log.history(output.table, _conditions(read), moment=moment, at=read.at)
        rows = rows.slice(0, read.limit) if read.limit is not None else rows
        self._counted(rows)
        return Served(rows, self._stamp(output, moment, rows, warnings, digest=False))

    def query(self, sql: str, as_of: AsOf, at: At) -> Served:
        """One SELECT over this product's ports, answered in a child that can reach nothing else."""
        outputs = {name: output for output in self._parts.manifest.outputs for name in self._names(output)}
        statement = guard(sql, {name: readable_columns(output) for name, output in outputs.items()})
        moment, warnings = self.pin(as_of)
        views = {name: self._view(outputs[name], at, moment) for name in statement.tables}
        rows = self._parts.workshop.query(statement.sql, views, [self._parts.place / "tables"])
        self._counted(rows)
        first = outputs[statement.tables[0]] if statement.tables else self._parts.output(None)
        return Served(rows, self._stamp(first, moment, rows, warnings, digest=True))

    def pin(self, as_of: AsOf) -> tuple[Moment, tuple[str, ...]]:
        """The moment that `as_of` means now, for good, and what the reader should know about it."""
        log = self._parts.log
        published = log.published()
        if not isinstance(as_of, Moment):
            nothing = (f"{self._parts.address} has not published anything yet",)
            return published, self._condition.warnings if published.micros else nothing
        if as_of > published:
            log.close_until(as_of)
        first = next(log.entries(), None)
        early = first is None or as_of < first.processing_time
        return as_of, (f"{self._parts.address} had not published anything as of {as_of}",) if early else ()

    def provenance(self, moment: Moment) -> Provenance:
        """What the state at `moment` was made from."""
        entry = self._parts.log.at(moment)
        reached = entry.story.provenance if entry else {}
        return tuple((name, oldest, newest) for name, (oldest, newest) in sorted(reached.items()))

    def _names(self, output: Output) -> tuple[str, ...]:
        """How SQL at this door may call a port: by its name, its table, or as domain.product for the default port."""
        product = self._parts.manifest.product
        whole = f"{product.domain}.{product.product}"
        names = [output.table, f"{whole}:{output.table}"]
        if output is self._parts.output(output.name):
            names += [output.name, f"{whole}:{output.name}"]
        if output is self._parts.output(None):
            names.append(whole)
        return tuple(names)

    def _view(self, output: Output, at: At, moment: Moment) -> str:
        return self._parts.log.select(output.table, moment, _in_force(output, at), tuple(readable_columns(output)))

    def _stamp(
        self, output: Output, moment: Moment, rows: pa.Table, warnings: tuple[str, ...], *, digest: bool
    ) -> Stamp:
        sealed = self._parts.log.digest(rows) if digest else ""
        port = f"{self._parts.address}:{output.table}"
        return Stamp(port, moment, self.provenance(moment), sealed, rows.num_rows, output.version, warnings)

    def _counted(self, rows: pa.Table) -> None:
        self._condition.count("reads")
        self._condition.count("rows_read", rows.num_rows)


def _asked_columns(read: Read, output: Output, address: str) -> tuple[str, ...]:
    known = readable_columns(output)
    for column in (*read.columns, *(predicate.column for predicate in read.where)):
        if column not in known:
            raise lost_column(column, known, f"{address}:{output.table}")
    return read.columns or tuple(known)


def _conditions(read: Read) -> tuple[tuple[str, str, object], ...]:
    return tuple((predicate.column, predicate.operator, predicate.value) for predicate in read.where)


def _expanded(order: Sequence[str], output: Output) -> tuple[str, ...]:
    """`key` in an order stands for the columns that identify a fact: then the same bytes come back every time."""
    taken = BY_KEY in readable_columns(output)
    times = ("actual_time", "actual_until") if output.actual_time.until else ("actual_time",)
    expanded: list[str] = []
    for name in order:
        expanded += [*output.key, *times] if name == BY_KEY and not taken else [name]
    return tuple(dict.fromkeys(expanded))


def _narrowed(output: Output, at: At, where: Sequence[Predicate]) -> At:
    """A port of events that is asked for a range of the column its actual time is taken from is asked for a period.

    The rows are the same; the files outside it are not opened.
    """
    if output.facts == "state" or output.actual_time.until or at is not None:
        return at
    bounds = [p for p in where if p.column == output.actual_time.column and isinstance(p.value, str)]
    starts = [parse_moment(str(p.value)) for p in bounds if p.operator in (">", ">=", "=")]
    ends = [parse_moment(str(p.value)).plus(1) for p in bounds if p.operator in ("<", "<=", "=")]
    return Period(max(starts, default=None), min(ends, default=None)) if bounds else None


def _in_force(output: Output, at: At) -> At:
    """A port of states that is asked for nothing in particular answers with the states in force now."""
    return wall_clock() if output.facts == "state" and not isinstance(at, Moment | Period) else at
