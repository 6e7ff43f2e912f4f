"""The SQL text of what changed between two moments, and of the whole history of facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tulle.storage import columns, scan
from tulle.storage.columns import quoted, same, text
from tulle.storage.index import Files, Placed, with_fixes
from tulle.storage.scan import Condition, Source
from tulle.storage.shapes import TableShape
from tulle.storage.tables import SHIFT
from tulle.times import Moment, Period


def changes(
    shape: TableShape, folder: Path, placed: Sequence[Placed], span: tuple[Moment, Moment], *, every: bool
) -> str:
    """Rows that changed after the first moment of `span` up to the second; `every` gives each version on the way.

    Columns: `_change`, user columns and actual time as they are after it (a retraction has the key only),
    `processing_time`, and `before`, a struct of the user columns before it (null for an insert).
    """
    since, until = span
    window = [each for each in placed if since < each.moment <= until]
    earlier = [each for each in placed if each.moment <= (until if every else since)]
    text_of = _Changes(shape, folder, window, earlier)
    facts = text_of.every() if every else text_of.net()
    names = [*scan.shown_columns(shape)]
    shown = ", ".join(columns.presented(shape, name) for name in names)
    return f"SELECT _change, {shown}, before FROM (\n{facts}\n) ORDER BY processing_time, _row_id"


class _Changes:
    def __init__(self, shape: TableShape, folder: Path, window: Sequence[Placed], earlier: Sequence[Placed]) -> None:
        self._shape = shape
        self._new = Source(shape, folder, with_fixes([each for each in window if not each.fixes], window))
        fixes = tuple(each for each in window if each.fixes)
        self._fix = Source(shape, folder, Files(fixes, fixes))
        touched = {seq for each in fixes for seq in each.facts.touches}
        self._prior = Source(shape, folder, Files(tuple(each for each in earlier if each.seq in touched), ()))
        self._boundary = min((each.seq for each in window), default=0) << SHIFT

    def every(self) -> str:
        """A new row is an insert; what a fix is depends on it and on the row that it supersedes."""
        new = self._inserts(Source(self._shape, self._new.folder, replace(self._new.files, fixes=())))
        word = "CASE WHEN t._op = 1 THEN 'retract' WHEN b._op = 1 THEN 'insert' ELSE 'correct' END"
        joined = f"{self._fixes()} t JOIN {self._before()} b ON b._row_id = t._supersedes"
        return f"{new}\nUNION ALL\n{self._select(word)} FROM {joined}"

    def net(self) -> str:
        """Compares the last belief in the window with the belief that the first row in it superseded."""
        values = [name for name, _ in self._shape.columns]
        tails = "SELECT * FROM w WHERE _row_id NOT IN (SELECT _supersedes FROM w)"
        heads = f"SELECT * FROM w WHERE _supersedes < {self._boundary}"
        joined = (
            f"tails t LEFT JOIN heads h ON {same(self._shape.identity, 't', 'h')}"
            f" LEFT JOIN {self._before()} b ON b._row_id = h._supersedes"
        )
        was, now = "coalesce(b._op = 0, FALSE)", "t._op = 0"
        word = (
            f"CASE WHEN {now} AND NOT {was} THEN 'insert' WHEN {was} AND NOT {now} THEN 'retract'"
            f" WHEN {now} AND NOT ({same(values, 't', 'b')}) THEN 'correct' END"
        )
        fixes = f"SELECT * FROM ({self._select(word)} FROM {joined}) WHERE _change IS NOT NULL"
        common = f"WITH w AS (SELECT * FROM {self._fixes()}), tails AS ({tails}), heads AS ({heads})"
        return f"{common}\n{self._inserts(self._new)}\nUNION ALL\n{fixes}"

    def _inserts(self, source: Source) -> str:
        names = (*scan.shown_columns(self._shape), "_row_id")
        listed = ", ".join(quoted(name) for name in names)
        fields = ", ".join(f"{quoted(name)} {type_}" for name, type_ in self._shape.columns)
        nothing = f"CAST(NULL AS STRUCT({fields})) AS before"
        return f"SELECT 'insert' AS _change, {listed}, {nothing} FROM ({scan.live(source, names)})"

    def _select(self, word: str) -> str:
        listed = ", ".join(f"t.{quoted(name)}" for name in (*scan.shown_columns(self._shape), "_row_id"))
        fields = (f"{text(name)}: {self._declared(name, type_)}" for name, type_ in self._shape.columns)
        return f"SELECT {word} AS _change, {listed}, CASE WHEN b._op = 0 THEN {{{', '.join(fields)}}} END AS before"

    def _declared(self, name: str, type_: str) -> str:
        return f"CAST(b.{quoted(name)} AS {type_})"

    def _fixes(self) -> str:
        return self._fix.paths(self._fix.files.rows)

    def _before(self) -> str:
        return self._prior.paths(self._prior.files.rows)


def history(source: Source, period: Period, where: Sequence[Condition]) -> str:
    """All versions of the facts of which some version meets the conditions, retractions included.

    Columns: user columns, actual time, `processing_time`, `_op`, and `superseded_at`: when the next version came.
    """
    shape = source.shape
    names = [*scan.shown_columns(shape), "_op"]
    shown = ", ".join(columns.presented(shape, name) for name in names)
    conditions = [scan.condition(shape, each) for each in where]
    inside = scan.in_period(source, period)
    versions = f"SELECT * FROM {source.paths(source.files.rows)}" + (f" WHERE {inside}" if inside else "")
    fixes = f"SELECT _supersedes AS replaced, processing_time AS superseded_at FROM {source.paths(source.files.fixes)}"
    order = ", ".join(f"v.{quoted(name)}" for name in (*columns.times(shape), *shape.key, "processing_time"))
    direct = all(name in shape.identity for name, _, _ in where)
    chosen = scan.both(*conditions) or "TRUE"
    if not direct:
        mine = f"SELECT DISTINCT {', '.join(quoted(name) for name in shape.identity)} FROM versions WHERE {chosen}"
        chosen = f"EXISTS (SELECT 1 FROM ({mine}) m WHERE {same(shape.identity, 'm', 'v')})"
    return (
        f"WITH versions AS ({versions}), fixes AS ({fixes})\n"
        f"SELECT {shown}, superseded_at FROM versions v LEFT JOIN fixes ON replaced = v._row_id\n"
        f"WHERE {chosen} ORDER BY {order}, v._row_id"
    )
