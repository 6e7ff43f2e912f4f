"""Which columns and rows a query needs of the tables that it reads, from its syntax tree and their columns.

Both answers may be too much, never too little: the query itself runs afterwards over what was delivered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from sqlglot import exp

from tulle.errors import NotThere, lost_column, nearest
from tulle.formats.sql_text import caret
from tulle.product.reading import Operator, Predicate, Scalar
from tulle.times import Moment

Tables = Mapping[str, Mapping[str, str]]
"""Local name of a table to its columns and their types."""

_COMPARES: dict[type[exp.Expr], Operator] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_TURNED: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PLAIN = re.compile(r"[^\W\d]\w*")
_OPAQUE = (exp.Unnest, exp.Values, exp.Lateral, exp.Pivot, exp.Columns)
_INTEGERS = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}


def check(tree: exp.Query, tables: Tables, addresses: Mapping[str, str], text: str) -> None:
    """Raises `NotThere` E201 for a column that cannot come from anywhere; what is unsure is left to the engine."""
    aliased = _aliases_of(tree, tables)
    made = {name.lower() for name in _made_names(tree, tables)}
    everything = [column for columns in tables.values() for column in columns]
    anywhere = " or ".join(dict.fromkeys(addresses[local] for local in tables))
    may_be = made | {column.lower() for column in everything}
    whole = _all_known(tree, tables)
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Star) or column.find_ancestor(exp.Lambda, exp.PropertyEQ, exp.Kwarg):
            continue
        name, qualifier = column.name, column.table.lower()
        owners = () if qualifier in made else aliased.get(qualifier, ())
        known = [c for local in owners for c in tables[local]]
        if owners and name.lower() not in {c.lower() for c in known}:
            raise _lost(column, known, " and ".join(addresses[local] for local in owners), text)
        if whole and not qualifier and _PLAIN.fullmatch(name) and name.lower() not in may_be:
            raise _lost(column, everything, anywhere, text)


def needs(tree: exp.Query, tables: Tables) -> dict[str, tuple[str, ...]]:
    """Per table the columns that the query may use, in the table's order; none of them empty."""
    wanted: dict[str, set[str]] = {local: set() for local in tables}
    for table in tree.find_all(exp.Table):
        if table.name in wanted:
            wanted[table.name] |= _used(tree, table, tables[table.name])
    first = {local: next(iter(columns), "") for local, columns in tables.items()}
    # a query that only counts rows needs one column to count
    return {local: tuple(c for c in tables[local] if c in used) or (first[local],) for local, used in wanted.items()}


def pushable(tree: exp.Query, tables: Tables) -> dict[str, tuple[Predicate, ...]]:
    """Per table the conditions that every use of it makes, which its port may as well apply."""
    uses: dict[str, list[tuple[Predicate, ...]]] = {}
    counted = [table.name for table in tree.find_all(exp.Table) if table.name in tables]
    for select in tree.find_all(exp.Select):
        for table in _direct(select):
            if table.name in tables:
                uses.setdefault(table.name, []).append(_conditions(select, table, tables))
    return {
        local: found[0]
        for local, found in uses.items()
        if len(found) == counted.count(local) and all(use == found[0] for use in found)
    }


def _aliases_of(tree: exp.Query, tables: Tables) -> dict[str, tuple[str, ...]]:
    """The names by which columns may be qualified, and the tables each stands for."""
    found: dict[str, tuple[str, ...]] = {}
    for table in tree.find_all(exp.Table):
        if table.name in tables:
            name = table.alias_or_name.lower()
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), table.name)))
    return found


def _all_known(tree: exp.Query, tables: Tables) -> bool:
    """Whether every column that there can be is one of `tables` or made by the query under a name that it gives."""
    common = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found = all(t.name in tables or t.name.lower() in common for t in tree.find_all(exp.Table))
    return found and tree.find(*_OPAQUE) is None


def _made_names(tree: exp.Query, tables: Tables) -> Iterator[str]:
    """Names that the query itself makes: aliases, common tables and their columns, subqueries, whole rows."""
    yield from (named.alias for named in tree.find_all(exp.Alias))
    for alias in tree.find_all(exp.TableAlias):
        yield from (column.name for column in alias.args.get("columns") or ())
        if not (isinstance(alias.parent, exp.Table) and alias.parent.name in tables):
            yield alias.name
    rows = {table.alias_or_name.lower() for table in tree.find_all(exp.Table)}
    for column in tree.find_all(exp.Column):
        if not column.table and column.name.lower() in rows:
            yield column.name


def _used(tree: exp.Query, table: exp.Table, columns: Mapping[str, str]) -> set[str]:
    alias = table.alias_or_name.lower()
    select = table.find_ancestor(exp.Select)
    if select is None or _takes_all(tree, select, alias) or table.args["alias"].args.get("columns"):
        return set(columns)
    named = {c.name.lower() for c in tree.find_all(exp.Column) if not c.table or c.table.lower() == alias}
    for join in tree.find_all(exp.Join):
        named |= {part.name.lower() for part in join.args.get("using") or ()}
    return {column for column in columns if column.lower() in named}


def _takes_all(tree: exp.Query, select: exp.Select, alias: str) -> bool:
    """Whether the whole row of the table is asked for: by a star, by its own name, or by a natural join."""
    if any(join.method == "NATURAL" for join in tree.find_all(exp.Join)) or tree.find(exp.Columns, exp.Pivot):
        return True
    for projection in select.expressions:
        bare = projection.unalias()
        if isinstance(bare, exp.Star):
            return True
    for column in tree.find_all(exp.Column):
        starred = isinstance(column.this, exp.Star) and column.table.lower() in ("", alias)
        if starred or (not column.table and column.name.lower() == alias):
            return True
    return False


def _direct(select: exp.Select) -> list[exp.Table]:
    """The tables that stand in the FROM of this very SELECT."""
    start = select.args.get("from_")
    heads = [start.this] if start is not None else []
    heads += [join.this for join in select.args.get("joins") or ()]
    return [head for head in heads if isinstance(head, exp.Table)]


def _conditions(select: exp.Select, table: exp.Table, tables: Tables) -> tuple[Predicate, ...]:
    """The conditions on this table alone. Each drops nulls, so that it may come before an outer join, too.

    Before an ASOF or positional join, or a sample, it may not: what is left out changes which rows meet.
    """
    where, joins = select.args.get("where"), select.args.get("joins") or ()
    apart = any(join.method or not isinstance(join.this, exp.Table | exp.Subquery) for join in joins)
    sampled = select.args.get("sample") is not None or any(t.args.get("sample") for t in _direct(select))
    if where is None or apart or sampled:
        return ()
    found = (_condition(part, select, table, tables) for part in _conjuncts(where.this))
    return tuple(predicate for predicates in found for predicate in predicates)


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    pending = [condition]
    while pending:
        part = pending.pop()
        if isinstance(part, exp.And):
            pending += [part.expression, part.this]
        elif isinstance(part, exp.Paren):
            pending.append(part.this)
        else:
            yield part


def _condition(part: exp.Expr, select: exp.Select, table: exp.Table, tables: Tables) -> tuple[Predicate, ...]:
    if isinstance(part, exp.Between):
        low = exp.GTE(this=part.this.copy(), expression=part.args["low"].copy())
        high = exp.LTE(this=part.this.copy(), expression=part.args["high"].copy())
        both = (_comparison(low, select, table, tables), _comparison(high, select, table, tables))
        return () if part.args.get("symmetric") else tuple(p for p in both if p)
    if isinstance(part, exp.In):
        return _membership(part, select, table, tables)
    found = _comparison(part, select, table, tables)
    return (found,) if found else ()


def _comparison(part: exp.Expr, select: exp.Select, table: exp.Table, tables: Tables) -> Predicate | None:
    operator = _COMPARES.get(type(part))
    if operator is None:
        return None
    left, right = part.this, part.expression
    if isinstance(right, exp.Column):
        left, right, operator = right, left, _TURNED.get(operator, operator)
    column = _own_column(left, select, table, tables)
    if column is None:
        return None
    value = _constant(right, tables[table.name][column])
    return None if value is None else Predicate(column, operator, value)


def _membership(part: exp.In, select: exp.Select, table: exp.Table, tables: Tables) -> tuple[Predicate, ...]:
    column = _own_column(part.this, select, table, tables)
    members = part.expressions
    if column is None or not members or part.args.get("query"):
        return ()
    values = tuple(_constant(member, tables[table.name][column]) for member in members)
    return () if any(value is None for value in values) else (Predicate(column, "in", values),)


def _own_column(left: exp.Expr, select: exp.Select, table: exp.Table, tables: Tables) -> str | None:
    """The column's name if it is surely one of this table."""
    if not isinstance(left, exp.Column):
        return None
    known = {name.lower(): name for name in tables[table.name]}
    name = left.name.lower()
    if left.table:
        return known.get(name) if left.table.lower() == table.alias_or_name.lower() else None
    direct, joins = _direct(select), select.args.get("joins") or ()
    if len(direct) != 1 + len(joins) or any(t.name not in tables for t in direct):
        return None
    owners = [t for t in direct if name in {c.lower() for c in tables[t.name]}]
    aliased = any(p.alias.lower() == name for p in select.expressions if isinstance(p, exp.Alias))
    return known.get(name) if owners == [table] and not aliased else None


def _constant(value: exp.Expr, kind: str) -> Scalar:
    """The value of a literal that means the same to the port as to the query; None for any other."""
    negative = isinstance(value, exp.Neg)
    bare = value.this if negative else value
    if isinstance(bare, exp.Cast) and not negative and kind in ("timestamp", "date"):
        bare = bare.this if bare.to.this in (exp.DType.DATE, exp.DType.TIMESTAMP) else bare
        zoned = isinstance(bare, exp.Literal) and re.search(r"[+]|-\d\d:", bare.name)
        bare = exp.null() if zoned else bare
    if isinstance(bare, exp.Boolean):
        return bool(bare.this) if kind == "bool" else None
    if not isinstance(bare, exp.Literal):
        return None
    return _number(bare.name, kind, negative=negative) if not bare.is_string else _text(bare.name, kind)


def _number(text: str, kind: str, *, negative: bool) -> Scalar:
    if kind in _INTEGERS and text.isdigit():
        number = -int(text) if negative else int(text)
        return number if abs(number) < 2 ** _INTEGERS[kind] else None
    if kind == "double":
        return -float(text) if negative else float(text)
    return None


def _text(text: str, kind: str) -> Scalar:
    if kind == "string":
        return text
    if kind == "date":
        return text if _DATE.fullmatch(text) else None
    if kind != "timestamp" or not _INSTANT.fullmatch(text):
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    # the session of the query is in UTC, so a text without a zone means UTC there
    return str(Moment.of(when if when.tzinfo else when.replace(tzinfo=UTC)))


def _lost(column: exp.Column, known: list[str], where: str, text: str) -> NotThere:
    error = lost_column(column.name, dict.fromkeys(known), where)
    place = column.this.meta
    if "line" in place:
        wide = place["end"] - place["start"] + 1
        error.why = f"{caret(text, place['line'], place['col'] - wide, wide)}\n{error.why}"
    if isinstance(column.this, exp.Identifier) and column.this.args.get("quoted") and not nearest(column.name, known):
        error.fix = f"a text stands in single quotes: '{column.name}'"
    return error
