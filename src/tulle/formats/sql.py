"""A SELECT over products: which it reads, as of when, and which columns and rows of each it needs.

In SQL a product is `domain.product`, another port or version of it `domain."product:port@1"`. Two clauses may follow
the name: `FOR SYSTEM_TIME AS OF '...'` (processing time) and `FOR VALID_TIME AS OF '...'` or `FROM '...' TO '...'`
(actual time). `parse` finds the products; `qualify`, once their columns are known, finds what can be left unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from tulle.errors import UsageError
from tulle.formats import sql_columns
from tulle.formats.sql_text import Marked, Times, mark, refused, unreadable
from tulle.product.reading import Predicate
from tulle.times import LATEST, AsOf, At
from tulle.uris import PortAddress, parse_port

MOST_NODES = 5_000
"""How many parts a statement may have."""

Columns = Mapping[str, str]
"""The columns of a port and their types, in order."""


@dataclass(frozen=True)
class Source:
    """One port that a query reads, at one pair of times, under the name that stands for it in the rewritten text.

    No `columns`: all of them. `where` may be asked of the port; the query asks it again.
    """

    local: str
    address: PortAddress
    as_of: AsOf
    at: At
    columns: tuple[str, ...] = ()
    where: tuple[Predicate, ...] = ()


@dataclass(frozen=True)
class Query:
    """A SELECT whose products are renamed to local tables. `text` is as it was written."""

    sql: str
    sources: tuple[Source, ...]
    text: str
    tree: exp.Query = field(compare=False, repr=False)

    @property
    def timed(self) -> bool:
        """Whether any table has a time of its own."""
        return any(s.at is not None or s.as_of is not LATEST for s in self.sources)


def parse(text: str) -> Query:
    """The query in `text`. Raises `UsageError` E202 for what is no SELECT over products, E203 if it does not parse."""
    marked = mark(text)
    tree = parsed(marked.text)
    names = _common_names(tree)
    local: dict[tuple[PortAddress, Times], str] = {}
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Func):
            continue
        if not table.db and table.name.lower() in names:
            continue
        key = (_address(table), _times(table, marked))
        _rename(table, local.setdefault(key, f"_t{len(local)}"))
    strip_domains(tree)
    sources = tuple(Source(name, address, times.as_of, times.at) for (address, times), name in local.items())
    return Query(generated(tree), sources, text, tree)


def qualify(query: Query, schemas: Mapping[PortAddress, Columns]) -> Query:
    """The query with what each source must deliver. Raises `NotThere` E201 for a column that none of them has."""
    tables = {source.local: schemas[source.address] for source in query.sources if source.address in schemas}
    addresses = {source.local: str(source.address) for source in query.sources}
    sql_columns.check(query.tree, tables, addresses, query.text)
    needs = sql_columns.needs(query.tree, tables)
    pushed = sql_columns.pushable(query.tree, tables)
    sources = (
        replace(source, columns=needs[source.local], where=pushed.get(source.local, ()))
        if source.local in tables
        else source
        for source in query.sources
    )
    return replace(query, sources=tuple(sources))


def parsed(text: str) -> exp.Query:
    """The syntax tree of one SELECT. Raises `UsageError` E203, or E202 for any other statement."""
    try:
        statements = [s for s in sqlglot.parse(text, dialect="duckdb") if s is not None]
        nodes = sum(1 for statement in statements for _ in statement.walk())
    except SqlglotError as problem:
        raise unreadable(text, problem) from None
    except RecursionError:
        raise refused("the statement is nested too deeply") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise refused("only one SELECT is answered", fix="select * from domain.product limit 5")
    if nodes > MOST_NODES:
        raise refused(f"the statement has more than {MOST_NODES:,} parts")
    return statements[0]


def generated(tree: exp.Query) -> str:
    """The tree as SQL, every name quoted, without comments. Raises `UsageError` E202 for what cannot be written."""
    try:
        return tree.sql(dialect="duckdb", identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as problem:
        raise refused("the statement uses something that is not supported", why=str(problem)) from None
    except RecursionError:
        raise refused("the statement is nested too deeply") from None


def strip_domains(tree: exp.Query) -> None:
    """Makes `weather.hourly.origin` to `hourly.origin`: the table bears its product's name alone."""
    for column in tree.find_all(exp.Column):
        if column.args.get("db") is not None:
            column.set("db", None)
            column.set("catalog", None)


def written(identifier: exp.Expr | None) -> str:
    """A name as it was meant: SQL folds the case of what is not quoted."""
    if not isinstance(identifier, exp.Identifier):
        raise refused("a table is named by domain.product", why=not_a_product(""))
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def not_a_product(name: str) -> str:
    """What a reader should know whose table is no product."""
    said = f"{name} is the name of no product here. " if name else ""
    return f'{said}In SQL a product is written domain.product, or domain."product:port@1".'


def _common_names(tree: exp.Query) -> set[str]:
    names = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    taken = next((name for name in names if name.startswith("_t")), None)
    if taken:
        raise refused(f"WITH may not name a table {taken}: such names stand for products")
    return names


def _address(table: exp.Table) -> PortAddress:
    if table.args.get("version") or table.args.get("when"):
        raise refused("a moment is asked for with FOR SYSTEM_TIME AS OF '...'", why=not_a_product(""))
    if table.catalog or not table.db:
        raise refused(f'"{table.name[:60]}" is no product', why=not_a_product(table.name[:60]), fix="tulle search WORD")
    short = f"{written(table.args['db'])}/{written(table.this)}"
    try:
        return parse_port(short)
    except UsageError:
        raise refused(f'"{short[:80]}" is no product', why=not_a_product(""), fix="tulle search WORD") from None


def _times(table: exp.Table, marked: Marked) -> Times:
    return marked.times.get(table.this.meta.get("end", -1), Times())


def _rename(table: exp.Table, local: str) -> None:
    if not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
    table.set("this", exp.to_identifier(local, quoted=True))
    table.set("db", None)
