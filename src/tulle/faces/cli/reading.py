"""`tulle read`, `sql`, `changes`, `history`: rows, as of both times."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tulle.faces.cli.asking import AS_OF, AT, declare_address, declare_where, mesh
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.conditions import conditions
from tulle.faces.cli.showing import as_json, patience, plain, remark, show, table, text

if TYPE_CHECKING:
    from tulle.client.answer import Answer

_OPS = {0: "put", 1: "retract"}
SHOWN = 40
"""Rows that a table shows where nobody says how many."""
MOST = 1_000
"""Lines that a table has at most: nobody reads more."""


def show_answer(answer: Answer, form: str, most: int | None = None) -> None:
    """Prints rows, and on stderr at which moment they were read. `most` cuts a table short, and says so."""
    if form == "csv":
        sys.stdout.write(answer.csv())
    elif form == "json":
        print(as_json({"stamp": answer.document(), "rows": answer.json_rows()}))
    else:
        _table(answer.arrow().slice(0, most).to_pylist(), answer.columns, answer)
    for warning in answer.warnings:
        remark(f"warning: {warning}")


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], answer: Answer) -> None:
    sys.stdout.writelines(f"{line}\n" for line in table(rows, columns))
    sys.stdout.flush()
    cut = f"the first {len(rows):,} of " if len(rows) < len(answer) else ""
    remark(f"({cut}{len(answer):,} row{'' if len(answer) == 1 else 's'}, as of {answer.moment})")


def _declare_read(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    declare_where(parser)
    parser.add_argument("--at", help=AT)
    parser.add_argument("--as-of", help=AS_OF)
    parser.add_argument("--columns", help="only these, comma-separated")
    parser.add_argument("--order", help="sort by these, comma-separated; -column reverses, key means the key")
    parser.add_argument("--limit", type=int, help=f"at most so many rows (a table without it shows {SHOWN})")


def _read(words: Words) -> None:
    short = words.output == "table" and words.limit is None
    with patience(f"reading {words.address}"):
        answer = mesh().load(
            words.address,
            as_of=words.as_of,
            at=words.at,
            columns=[name.strip() for name in words.columns.split(",")] if words.columns else None,
            where=conditions(words.where),
            order=words.order,
            limit=SHOWN + 1 if short else words.limit,
        )
    if short and len(answer) > SHOWN:
        rows = answer.arrow().slice(0, SHOWN).to_pylist()
        sys.stdout.writelines(f"{line}\n" for line in table(rows, answer.columns))
        sys.stdout.flush()
        remark(f"(the first {SHOWN} rows, as of {answer.moment}; there are more: --limit N, or -o csv for all)")
        return
    show_answer(answer, words.output)


def _declare_sql(parser: argparse.ArgumentParser) -> None:
    text = 'one SELECT; a product is domain.product, another port domain."product:port@1"; - reads it from stdin'
    parser.add_argument("statement", help=text)
    parser.add_argument("--as-of", help=AS_OF)
    parser.add_argument("--at", help=AT)


def _sql(words: Words) -> None:
    statement = sys.stdin.read() if words.statement == "-" else words.statement
    with patience("asking"):
        answer = mesh().sql(statement, as_of=words.as_of, at=words.at)
    show_answer(answer, words.output, MOST)


def _declare_history(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    declare_where(parser)
    parser.add_argument("--limit", type=int, help="at most so many versions")


def _history(words: Words) -> None:
    with patience(f"reading the history of {words.address}"):
        answer = mesh().history(words.address, where=conditions(words.where), limit=words.limit)
    if words.output != "table":
        show_answer(answer, words.output)
        return
    told = [{**row, "_op": _OPS.get(row["_op"], row["_op"])} for row in answer.rows()]
    _table(told, [name for name in answer.columns if name != "_op"] + ["_op"], answer)


def _declare_changes(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    parser.add_argument("--since", help="the moment after which changes are asked for; nothing: from the beginning")
    parser.add_argument("--until", help="the moment up to which; nothing: the latest")
    parser.add_argument("--every", action="store_true", help="every change in between, not the net one")
    parser.add_argument("-f", "--follow", action="store_true", help="stay, and tell what comes")


def _changes(words: Words) -> None:
    asked = mesh()
    changes = asked.changes(words.address, words.since, words.until, follow=words.follow, every=words.every)
    if words.output == "json":
        for change in changes:
            print(as_json(dict(change.document), indent=None), flush=words.follow)
    elif words.follow:
        for change in changes:
            print(f"{change.op:<8}{change.moment}  {_told(change.before, change.after)}", flush=True)
    else:
        rows = [_change_row(change.document) for change in changes]
        show(rows[:MOST] if words.output == "table" else rows, words.output)
        if words.output == "table" and len(rows) > MOST:
            remark(f"(the first {MOST:,} of {len(rows):,} changes: -o csv for all)")
    if changes.cursor:
        remark(f"(go on with --since {changes.cursor})")


def _told(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """The values of a fact; where a correction changed one, what it was and what it is."""
    if not before or not after:
        return text(after or before or {})
    pairs = {name: (text(before.get(name)), text(now)) for name, now in after.items()}
    return ", ".join(f"{name} {was} -> {now}" if was != now else f"{name} {now}" for name, (was, now) in pairs.items())


def _change_row(document: Mapping[str, Any]) -> dict[str, Any]:
    values = document.get("after") or document.get("before") or {}
    times = {name: plain(document.get(name)) for name in ("actual_time", "processing_time")}
    return {"op": document["op"], **values, **times}


VERBS: dict[str, Verb] = {
    "read": (_declare_read, _read),
    "sql": (_declare_sql, _sql),
    "history": (_declare_history, _history),
    "changes": (_declare_changes, _changes),
}
