"""SQL as text, before it is parsed: what the parser would misread is caught here, and the two times are taken out.

The parser takes an unquoted `@` or `:` after a table for an alias or a parameter and says nothing, and it knows no
`FOR VALID_TIME`. So the tokens are walked first. Whatever this walk does not consume is the parser's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from tulle.errors import TulleError, UsageError
from tulle.formats.expressions import without_colour
from tulle.times import LATEST, AsOf, At, Latest, Moment, Period, parse_as_of, parse_moment

LONGEST = 20_000
"""How many bytes a statement may have: a longer one can hang the parser."""
DEEPEST = 100
"""How many parentheses may be open at once."""

_GLUED = re.compile(r"[\w@:-]+")
_NAME = (TokenType.VAR, TokenType.IDENTIFIER)
_OPENS = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE)
_CLOSES = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)
_STARTS = {TokenType.SELECT, TokenType.WITH, TokenType.FROM, TokenType.L_PAREN}
_SETS = {TokenType.UNION, TokenType.INTERSECT, TokenType.EXCEPT, TokenType.ALL, TokenType.DISTINCT}
_ENDS_FROM = {
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.ORDER_BY,
    TokenType.LIMIT,
    TokenType.OFFSET,
    TokenType.QUALIFY,
    TokenType.WINDOW,
    TokenType.ON,
    TokenType.USING,
}
_TIMES = ("system_time", "valid_time")
_LITERAL_TYPES = ("timestamp", "timestamptz", "date", "datetime")


@dataclass(frozen=True)
class Times:
    """The two times that a table's clauses ask for."""

    as_of: AsOf = LATEST
    at: At = None


@dataclass
class Marked:
    """A statement without its clauses of time, and what they said: by where in the text the table's name ends."""

    text: str
    times: dict[int, Times] = field(default_factory=dict)


def mark(text: str) -> Marked:
    """The statement, ready for the parser. Raises `UsageError` E202 for what is refused, E203 for what is no SQL."""
    if len(text.encode()) > LONGEST:
        raise refused(f"the statement is longer than {LONGEST:,} bytes")
    tokens = _tokens(text)
    _only_a_query(tokens)
    marked = Marked(text)
    consumed: list[tuple[int, int]] = []
    for place in _table_places(tokens):
        after = _name_end(tokens, place)
        _plainly_named(tokens, place, after)
        times, end = _clauses(tokens, after)
        if end > after:
            marked.times[tokens[after - 1].end] = times
            consumed.append((tokens[after].start, tokens[end - 1].end))
    _nothing_left(tokens, consumed)
    for start, stop in consumed:
        # blanks instead of nothing, so that positions in messages stay true
        blank = "".join(c if c == "\n" else " " for c in text[start : stop + 1])
        marked.text = marked.text[:start] + blank + marked.text[stop + 1 :]
    return marked


def refused(what: str, *, why: str = "", fix: str = "") -> UsageError:
    """The error for a statement that a door does not answer."""
    return UsageError("E202", what, why=why, fix=fix)


def unreadable(text: str, problem: SqlglotError) -> UsageError:
    """The error for a statement that does not parse, with a caret where."""
    if isinstance(problem, ParseError) and problem.errors:
        first = problem.errors[0]
        line, column = int(first.get("line") or 1), int(first.get("col") or 1)
        wide = len(str(first.get("highlight") or " "))
        said = str(first.get("description") or "it does not parse").rstrip(".")
        return UsageError("E203", "the statement cannot be read", where=f"line {line}, column {column}",
                          why=f"{caret(text, line, column - wide, wide)}\n{said}")  # fmt: skip
    said = without_colour(str(problem)).splitlines()[0] if str(problem) else ""
    return UsageError("E203", "the statement cannot be read", why=said)


def caret(text: str, line: int, column: int, wide: int = 1) -> str:
    """A line of the statement, and below it a caret under what is wrong. `column` counts from 0."""
    lines = text.splitlines() or [""]
    shown = lines[min(line, len(lines)) - 1]
    start = max(0, column - 60)
    return f"{shown[start : start + 100]}\n{' ' * (column - start)}{'^' * max(1, min(wide, 40))}"


def _tokens(text: str) -> list[Token]:
    try:
        tokens = DuckDB().tokenize(text)
    except TokenError as problem:
        raise unreadable(text, problem) from None
    depth = 0
    for token in tokens:
        depth += (token.token_type in _OPENS) - (token.token_type in _CLOSES)
        if depth > DEEPEST:
            raise refused(f"more than {DEEPEST} parentheses are open at once")
    return tokens


def _only_a_query(tokens: Sequence[Token]) -> None:
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if not tokens:
        raise refused("there is no statement", fix="select * from domain.product limit 5")
    if any(token.token_type is TokenType.SEMICOLON for token in tokens):
        raise refused("one statement at a time")
    if tokens[0].token_type not in _STARTS:
        raise refused(f"only a SELECT is answered, not {tokens[0].text.upper()[:40]}")


def _table_places(tokens: Sequence[Token]) -> Iterator[int]:
    """Where in the tokens the name of a table may begin: after FROM, JOIN, and commas between tables."""
    clauses: list[str] = ["start"]
    for number, token in enumerate(tokens):
        kind = token.token_type
        if kind in _OPENS:
            nested = clauses[-1] == "from" and tokens[number - 1].token_type in (TokenType.FROM, TokenType.JOIN, kind)
            clauses.append("from" if nested and _next_is_name(tokens, number) else "start")
            if clauses[-1] == "from":
                yield number + 1
        elif kind in _CLOSES and len(clauses) > 1:
            clauses.pop()
        elif _begins_tables(tokens, number, clauses[-1]):
            clauses[-1] = "from"
            yield number + 1
        else:
            clauses[-1] = _clause_after(kind, clauses[-1])


def _begins_tables(tokens: Sequence[Token], number: int, clause: str) -> bool:
    kind = tokens[number].token_type
    if kind is TokenType.JOIN:
        return True
    if kind is TokenType.COMMA:
        return clause == "from"
    first = number == 0 or tokens[number - 1].token_type in (*_OPENS, *_SETS)
    compares = number > 0 and tokens[number - 1].token_type is TokenType.DISTINCT
    return kind is TokenType.FROM and (clause == "select" or first) and not (compares and clause != "start")


def _clause_after(kind: TokenType, clause: str) -> str:
    if kind is TokenType.SELECT:
        return "select"
    if kind in _SETS and clause != "select":
        return "start"
    return "other" if kind in _ENDS_FROM else clause


def _next_is_name(tokens: Sequence[Token], number: int) -> bool:
    return (
        number + 2 < len(tokens) and tokens[number + 1].token_type in _NAME and _is(tokens, number + 2, TokenType.DOT)
    )


def _is(tokens: Sequence[Token], number: int, kind: TokenType) -> bool:
    return number < len(tokens) and tokens[number].token_type is kind


def _word(tokens: Sequence[Token], number: int, *words: str) -> bool:
    plain = number < len(tokens) and tokens[number].token_type is not TokenType.IDENTIFIER
    return plain and tokens[number].token_type is not TokenType.STRING and tokens[number].text.lower() in words


def _name_end(tokens: Sequence[Token], place: int) -> int:
    """The number of the token after the name that begins at `place`."""
    if place >= len(tokens) or (tokens[place].token_type not in _NAME and not _is(tokens, place + 1, TokenType.DOT)):
        return place
    after = place + 1
    while _is(tokens, after, TokenType.DOT) and after + 1 < len(tokens):
        after += 2
    return after


def _plainly_named(tokens: Sequence[Token], place: int, after: int) -> None:
    """Refuses what the parser would read as something else: an unquoted version, port or dash in a name."""
    if after == place or after >= len(tokens):
        return
    kind = tokens[after].token_type
    # `name: domain.product` is how the engine lets an alias stand before its table
    dotted = after > place + 1
    if kind in (TokenType.PARAMETER, TokenType.DASH) or (dotted and kind is TokenType.COLON):
        why = "Outside quotes SQL reads @, : and - as something else."
        raise refused("the name of the table needs quotes", why=why, fix=_pasteable(tokens, place, after))


def _pasteable(tokens: Sequence[Token], place: int, after: int) -> str:
    """The whole name as it must be written: domain."product:port@1"."""
    end = after
    while end < len(tokens) and _GLUED.fullmatch(tokens[end].text) and tokens[end].start == tokens[end - 1].end + 1:
        end += 1
    dots = [number for number in range(place, after) if tokens[number].token_type is TokenType.DOT]
    first = dots[-1] + 1 if dots else place
    head = tokens[place].text if dots else "domain"
    return f'{head}."{"".join(token.text for token in tokens[first:end])}"'


def _clauses(tokens: Sequence[Token], after: int) -> tuple[Times, int]:
    """The clauses of time that begin at `after`, and the number of the token after them."""
    said: dict[str, AsOf | At] = {}
    while _is(tokens, after, TokenType.FOR) and _word(tokens, after + 1, *_TIMES):
        which = tokens[after + 1].text.lower()
        if which in said:
            raise refused(f"FOR {which.upper()} is there twice")
        said[which], after = _clause(tokens, after + 2, which)
    as_of, at = said.get("system_time", LATEST), said.get("valid_time")
    assert isinstance(as_of, Moment | Latest)
    assert not isinstance(at, Latest)
    return Times(as_of, at), after


def _clause(tokens: Sequence[Token], start: int, which: str) -> tuple[AsOf | At, int]:
    if _word(tokens, start, "as") and _word(tokens, start + 1, "of"):
        text, after = _literal(tokens, start + 2, which)
        return (parse_as_of(text) if which == "system_time" else parse_moment(text)), after
    if which == "valid_time" and _word(tokens, start, "from"):
        begin, after = _literal(tokens, start + 1, which)
        if _word(tokens, after, "to"):
            end, after = _literal(tokens, after + 1, which)
            return Period(parse_moment(begin), parse_moment(end)), after
    raise _bad_clause(which)


def _literal(tokens: Sequence[Token], start: int, which: str) -> tuple[str, int]:
    start += _word(tokens, start, *_LITERAL_TYPES)
    if not _is(tokens, start, TokenType.STRING):
        raise _bad_clause(which)
    return tokens[start].text, start + 1


def _bad_clause(which: str) -> TulleError:
    forms = "FOR SYSTEM_TIME AS OF '...'"
    if which == "valid_time":
        forms = "FOR VALID_TIME AS OF '...' or FOR VALID_TIME FROM '...' TO '...'"
    why = f"It is written {forms}, with moments as texts, right after the name of a product."
    return refused(
        f"FOR {which.upper()} is not written like that", why=why, fix=f"FOR {which.upper()} AS OF '2013-02-12T08:00Z'"
    )


def _nothing_left(tokens: Sequence[Token], consumed: Sequence[tuple[int, int]]) -> None:
    for number, token in enumerate(tokens):
        taken = any(start <= token.start <= stop for start, stop in consumed)
        if token.token_type is TokenType.FOR and _word(tokens, number + 1, *_TIMES) and not taken:
            raise _bad_clause(tokens[number + 1].text.lower())
