"""The control port: taking facts back, letting them stand again, running again. Each is an input of the product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from tulle.container.parts import Parts, shape_of
from tulle.errors import CheckFailed, NotThere, UsageError, lost_column
from tulle.formats.guard import guard
from tulle.formats.questions import readable_columns
from tulle.policy.decide import Principal
from tulle.product.manifest import Output
from tulle.storage.shapes import Entry, Story, Write
from tulle.times import Moment, parse_moment

FREELY = 10
"""A retraction of more facts than this must say how many it means."""


@dataclass(frozen=True)
class Retraction:
    """What is to be taken back: which facts of which port, why, and how many the asker thinks that is."""

    port: str | None
    where: Mapping[str, Any] | str
    reason: str
    expect: int | None = None
    preview: bool = False


def asked(body: Mapping[str, Any]) -> Retraction:
    """The retraction that a request's body asks for. Raises `UsageError` E011 where it does not say which facts."""
    where = body.get("where")
    if not isinstance(where, Mapping | str) or not where:
        raise UsageError("E011", "where must say which facts: an object of column and value, or an SQL condition")
    expect = body.get("expect")
    if expect is not None and not isinstance(expect, int):
        raise UsageError("E011", "expect takes a number")
    return Retraction(body.get("port"), where, str(body.get("reason") or ""), expect, bool(body.get("preview")))


def retract(parts: Parts, who: Principal, asked: Retraction) -> dict[str, Any]:
    """Takes facts back for good: the retraction stands against re-delivery until it is lifted.

    Raises `CheckFailed` E040 where the facts did not enter the mesh here, `UsageError` E041 without a reason and E042
    when it matches more facts than was said.
    """
    _must_be_source(parts)
    output = parts.output(asked.port)
    facts, total = _matching(parts, output, asked.where)
    if asked.preview:
        return {"matches": facts.num_rows, "of": total, "sample": _sample(facts, output)}
    _must_be_meant(asked, facts.num_rows, total)
    identity = facts.select(list(shape_of(output).identity))
    write = Write(puts=pa.table({}), retracts=identity)
    story = Story("retract", standing=True, who=who.subject, reason=asked.reason, revision=parts.revision)
    entry = parts.log.commit({output.table: write}, story)
    return _told(entry, output, "retracted")


def lift(parts: Parts, who: Principal, asked: Retraction) -> dict[str, Any]:
    """Lets retracted facts stand again with the values they had."""
    _must_be_source(parts)
    output = parts.output(asked.port)
    if not asked.reason.strip():
        raise UsageError("E041", "lifting a retraction needs a reason", fix='--reason "the sensor was right"')
    standing = _standing(parts, output)
    chosen = _chosen(standing, _by_identity(output, asked.where))
    if asked.preview:
        return {"matches": chosen.num_rows, "of": standing.num_rows}
    if not chosen.num_rows:
        raise NotThere("E043", f"no retraction of {standing.num_rows:,} matches", fix=f"tulle log {parts.address}")
    story = Story("lift", who=who.subject, reason=asked.reason, revision=parts.revision)
    entry = parts.log.lift(output.table, chosen, story)
    return {"lifted": chosen.num_rows, "moment": str(entry.processing_time), "seq": entry.seq}


def _must_be_source(parts: Parts) -> None:
    upstream = [str(i.source) for i in parts.manifest.product_inputs]
    if upstream:
        raise CheckFailed(
            "E040",
            f"{parts.address} is made from other products; what it says follows from them",
            why=f"A retraction belongs in the product where the fact entered the mesh: {', '.join(upstream)}",
            fix=f"tulle retract {parts.manifest.product_inputs[0].source.product} --where ... --reason ...",
        )


def _must_be_meant(asked: Retraction, matches: int, total: int) -> None:
    if not asked.reason.strip():
        raise UsageError("E041", "a retraction needs a reason: consumers read it", fix='--reason "sensor fault"')
    if not matches:
        raise NotThere("E043", f"matches none of {total:,} facts")
    if asked.expect is not None and asked.expect != matches:
        what = f"matches {matches:,} of {total:,} facts, not {asked.expect:,}"
        raise UsageError("E042", what, fix=f"--yes {matches}")
    if asked.expect is None and matches > FREELY:
        raise UsageError("E042", f"matches {matches:,} of {total:,} facts", fix=f"--yes {matches}")


def _matching(parts: Parts, output: Output, where: Mapping[str, Any] | str) -> tuple[pa.Table, int]:
    moment = parts.log.published()
    if isinstance(where, str):
        view = parts.log.select(output.table, moment, columns=tuple(readable_columns(output)))
        facts = _by_condition(parts, output, where, view)
    else:
        facts = parts.log.read(output.table, moment, where=_conditions(output, where))
    return facts, _live(parts, output)


def _by_condition(parts: Parts, output: Output, where: str, view: str) -> pa.Table:
    statement = guard(f"select * from {output.name} where {where}", {output.name: readable_columns(output)})
    return parts.workshop.query(statement.sql, {output.name: view}, [parts.place / "tables"])


def _live(parts: Parts, output: Output) -> int:
    """How many facts the port holds."""
    tallies = [entry.tables[output.table] for entry in parts.log.entries() if output.table in entry.tables]
    return sum(tally.inserted - tally.retracted for tally in tallies)


def _standing(parts: Parts, output: Output) -> pa.Table:
    found = [stood.identities for stood in parts.log.standing() if stood.table == output.table]
    nothing = pa.table({name: pa.array([], pa.null()) for name in shape_of(output).identity})
    return pa.concat_tables(found) if found else nothing


def _by_identity(output: Output, where: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
    """The column that actual time is taken from says the same as actual time itself."""
    if isinstance(where, str) or output.actual_time.column in output.key:
        return where
    return {"actual_time" if name == output.actual_time.column else name: value for name, value in where.items()}


def _chosen(standing: pa.Table, where: Mapping[str, Any] | str) -> pa.Table:
    """The standing retractions that `where` names, by the columns that identify a fact."""
    if isinstance(where, str):
        raise UsageError("E011", "lifting takes columns and values, not a condition", fix="--where origin=EWR")
    for column in where:
        if column not in standing.column_names:
            raise lost_column(column, standing.column_names, "the standing retractions")
    mask = [_meets(row, where) for row in standing.to_pylist()]
    return standing.filter(pa.array(mask, pa.bool_())) if standing.num_rows else standing


def _meets(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    return all(_text(row[name]) == _wanted(row[name], value) for name, value in where.items())


def _text(value: object) -> str:
    return str(Moment.of(value)) if isinstance(value, datetime) else str(value)


def _wanted(held: object, value: object) -> str:
    return str(parse_moment(str(value))) if isinstance(held, datetime) else str(value)


def _conditions(output: Output, where: Mapping[str, Any]) -> tuple[tuple[str, str, Any], ...]:
    known = readable_columns(output)
    for column in where:
        if column not in known:
            raise lost_column(column, known, output.table)
    return tuple((c, "is null", None) if v is None else (c, "=", v) for c, v in where.items())


def _sample(facts: pa.Table, output: Output) -> list[dict[str, str]]:
    rows = facts.select(list(shape_of(output).identity)).slice(0, 5).to_pylist()
    return [{name: _text(value) for name, value in row.items()} for row in rows]


def _told(entry: Entry, output: Output, what: str) -> dict[str, Any]:
    tally = entry.tables[output.table]
    return {what: getattr(tally, what), "moment": str(entry.processing_time), "seq": entry.seq}
