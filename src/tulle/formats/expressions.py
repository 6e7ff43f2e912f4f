"""SQL expressions in a manifest: rules and scopes. They are parsed, never run, here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tulle.errors import nearest

TRUTHS = (exp.Predicate, exp.Connector, exp.Not, exp.Boolean, exp.Null)
PASSES = (exp.Func, exp.Case, exp.Cast, exp.Bracket)
"""What may be a truth: only the engine knows the type of a function's result."""
_BARE = re.compile(r"[^\W\d]\w*")


def expression_problem(text: str, columns: Iterable[str] | None) -> str:
    """What is wrong with `text` as a value made from one row, or nothing. `columns` are those it may use, if known."""
    parsed = _parsed(text)
    if isinstance(parsed, str):
        return parsed
    for part in parsed.walk():
        if isinstance(part, exp.Query | exp.DDL | exp.DML | exp.Command | exp.Table):
            return "it holds a statement of its own; only an expression over one row is allowed"
        if isinstance(part, exp.AggFunc | exp.Window):
            return f"{part.key} looks at many rows; only an expression over one row is allowed"
        if isinstance(part, exp.Placeholder | exp.Parameter | exp.Star):
            return f"{part.sql()} means nothing here"
    return _unknown_column(parsed, columns) if columns is not None else ""


def rule_problem(text: str, columns: dict[str, str]) -> str:
    """What is wrong with `text` as a rule that every row should meet, or nothing. `columns` are names and types."""
    problem = expression_problem(text, columns)
    if problem:
        return problem
    parsed = _parsed(text)
    assert not isinstance(parsed, str)
    while isinstance(parsed, exp.Paren):
        parsed = parsed.this
    if isinstance(parsed, exp.Column):
        known = {name.lower(): kind for name, kind in columns.items()}
        return "" if known.get(parsed.name.lower()) == "bool" else f"{parsed.name} is a value, not a rule about it"
    return "" if isinstance(parsed, TRUTHS + PASSES) else "it gives a value, not true or false"


def columns_of(text: str) -> frozenset[str]:
    """The columns that an expression uses; none if it does not parse."""
    parsed = _parsed(text)
    return frozenset() if isinstance(parsed, str) else frozenset(column.name for column in parsed.find_all(exp.Column))


def bare_column(text: str) -> str | None:
    """The column, if the expression is just that."""
    return text.strip() if _BARE.fullmatch(text.strip()) else None


def without_colour(text: str) -> str:
    """The parser's message without the escape codes that it underlines with."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _parsed(text: str) -> exp.Expr | str:
    try:
        statements = sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, RecursionError) as problem:
        return "it does not parse as SQL: " + _first_line(str(problem))
    if len(statements) != 1 or statements[0] is None:
        return "it must be one SQL expression"
    return statements[0]


def _first_line(said: str) -> str:
    line = without_colour(said).splitlines()[0] if said else "too deep"
    return re.sub(r"<class '[\w.]*\.(\w+)'>", r"\1", line)


def _unknown_column(parsed: exp.Expr, columns: Iterable[str]) -> str:
    known = list(columns)
    folded = {name.lower() for name in known}
    for column in _columns(parsed):
        if column.table:
            return f"{column.sql()}: a column stands alone here, without a table's name"
        if column.name.lower() not in folded:
            hint = nearest(column.name, known) or f"Known here: {', '.join(known)}"
            return f"there is no column {column.name}. {hint}"
    return ""


def _columns(parsed: exp.Expr) -> Iterator[exp.Column]:
    """The columns, without the parameters of lambdas."""
    for column in parsed.find_all(exp.Column):
        inside = column.find_ancestor(exp.Lambda)
        bound = {name.name for name in inside.expressions} if inside else set()
        if column.name not in bound:
            yield column
