"""The guard of a SQL door: what may run is on a list; anything else, or anything unexpected, is refused.

The text that runs is written anew from the syntax tree, with the ports' names and the common tables' names replaced by
ones that nothing else in the engine can have. The child it runs in can reach nothing but the ports' files; the guard
is there so that a statement reaches them through the views only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from tulle.errors import TulleError
from tulle.formats import sql_columns
from tulle.formats.guard_lists import CHANGING, FUNCTIONS, NAMED, PARTS, TYPES
from tulle.formats.sql import generated, not_a_product, parsed, strip_domains, written
from tulle.formats.sql_text import mark, refused

_WORD = re.compile(r"\w+")
_TABLE_PARTS = {"this", "db", "alias", "joins"}
_JOIN_PARTS = {"this", "on", "side", "kind", "using", "method"}


@dataclass(frozen=True)
class Statement:
    """A statement that may run, and the names among `ports` that it reads: each needs a view of that very name."""

    sql: str
    tables: tuple[str, ...]


def guard(text: str, ports: Mapping[str, Iterable[str] | Mapping[str, str]]) -> Statement:
    """The statement in `text`, if it may run over `ports`: the names that SQL has for them here, and their columns.

    A name with a dot, as `weather.hourly`, is written so in SQL, too. Raises `UsageError` E202 for what is not allowed,
    E203 for what does not parse, `NotThere` E201 for a column that no port has.
    """
    try:
        return _guarded(text, {name: _typed(columns) for name, columns in ports.items()})
    except TulleError:
        raise
    except (RecursionError, ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError):
        # the parser met something that it did not expect, so neither can we say what it would mean to the engine
        raise refused("the statement is not understood") from None


def _guarded(text: str, ports: Mapping[str, Mapping[str, str]]) -> Statement:
    marked = mark(text)
    if marked.times:
        raise refused(
            "FOR SYSTEM_TIME and FOR VALID_TIME are not taken at a product's door", fix="as_of=... and at=..."
        )
    tree = parsed(marked.text)
    _allowed(tree)
    tables = _bound(tree, ports, _common_tables(tree, ports))
    strip_domains(tree)
    _known_columns(tree, {name: ports[name] for name in tables}, text)
    sql = generated(tree)
    _read_back(sql, tables)
    return Statement(sql, tables)


def _typed(columns: Iterable[str] | Mapping[str, str]) -> Mapping[str, str]:
    return columns if isinstance(columns, Mapping) else dict.fromkeys(columns, "")


def _allowed(tree: exp.Query) -> None:
    for node in tree.walk():
        _allowed_node(node)


def _allowed_node(node: exp.Expr) -> None:
    kind = type(node)
    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in NAMED or isinstance(node.parent, exp.Table):
            raise _bad_function(node.name)
    elif isinstance(node, exp.Func) and kind not in PARTS and kind not in FUNCTIONS:
        raise _bad_function(node.sql_name())
    elif kind not in PARTS and kind not in FUNCTIONS:
        raise refused(f"{_spoken(kind)} is not allowed in a statement")
    elif isinstance(node, exp.Var) and not _WORD.fullmatch(node.name):
        # such a word, as a unit of time, is written out as it stands
        raise refused(f"{node.name[:40]!r} is no word that is known here")
    elif isinstance(node, exp.Table):
        _plain_table(node)
    elif isinstance(node, exp.Join):
        _only(node, _JOIN_PARTS, "this kind of join")
    elif isinstance(node, exp.With) and node.recursive:
        raise refused("WITH RECURSIVE is not allowed")
    elif isinstance(node, exp.DataType) and node.this not in TYPES:
        raise refused("a cast to this type is not allowed", why=f"Types: {', '.join(sorted(t.value for t in TYPES))}")


def _plain_table(table: exp.Table) -> None:
    if not isinstance(table.this, exp.Identifier):
        raise refused("a function is no table here", why=not_a_product(""))
    if table.catalog:
        raise refused("a name with three parts is no product", why=not_a_product(""))
    _only(table, _TABLE_PARTS, "what follows the table")


def _only(node: exp.Expr, parts: set[str], what: str) -> None:
    if any(value for name, value in node.args.items() if name not in parts):
        raise refused(f"{what} is not allowed", why="A door gives the same answer to the same question, from its rows.")


def _bad_function(name: str) -> TulleError:
    if name.lower() in CHANGING:
        why = "An answer depends on the question and its two times only. Write the moment you mean."
        return refused(f"{name.lower()} gives another answer each time", why=why)
    return refused(
        f"the function {name.lower()[:60]} is not allowed", why="tulle.sql over several products may use any."
    )


def _spoken(kind: type[exp.Expr]) -> str:
    return {"Placeholder": "a parameter", "Parameter": "a parameter", "Lock": "FOR UPDATE"}.get(
        kind.__name__, kind.__name__
    )


def _common_tables(tree: exp.Query, ports: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """New names for the tables of WITH, so that a use out of their reach finds nothing else in the engine."""
    renamed: dict[str, str] = {}
    for cte in tree.find_all(exp.CTE):
        name = cte.alias.lower()
        if name in renamed:
            raise refused(f"WITH names {name} twice")
        if name in {port.lower() for port in ports}:
            raise refused(f"WITH may not take the name of a port: {name}")
        renamed[name] = f"_c{len(renamed)}"
        cte.args["alias"].set("this", exp.to_identifier(renamed[name], quoted=True))
    return renamed


def _bound(tree: exp.Query, ports: Mapping[str, Mapping[str, str]], common: Mapping[str, str]) -> tuple[str, ...]:
    used: dict[str, None] = {}
    for table in tree.find_all(exp.Table):
        name = written(table.this)
        if table.db:
            name = f"{written(table.args['db'])}.{name}"
        if not table.db and table.name.lower() in common:
            local = common[table.name.lower()]
        elif name in ports:
            local = name
            used[name] = None
        else:
            raise refused(f'"{name[:80]}" is not served here', why=f"{not_a_product('')} Here: {', '.join(ports)}.")
        if not table.alias:
            kept = table.args.get("alias") or exp.TableAlias()
            kept.set("this", exp.to_identifier(table.name, quoted=True))
            table.set("alias", kept)
        table.set("this", exp.to_identifier(local, quoted=True))
        table.set("db", None)
    return tuple(used)


def _known_columns(tree: exp.Query, tables: Mapping[str, Mapping[str, str]], text: str) -> None:
    sql_columns.check(tree, tables, {name: name for name in tables}, text)


def _read_back(sql: str, tables: Sequence[str]) -> None:
    """What was written must be read as what was meant."""
    again = parsed(sql)
    _allowed(again)
    for table in again.find_all(exp.Table):
        if table.db or (table.name not in tables and not table.name.startswith("_c")):
            raise refused("the statement is not understood")
