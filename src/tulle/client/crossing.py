"""SQL over several products, run where the reader is.

The moment is pinned first: the smallest that is safe at every product asked, and never one before what this reader has
seen already. Each port then delivers the columns and rows that the query needs, as of that moment, side by side; they
are joined in an embedded engine that can reach nothing else. The same statement at the same moment gives the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from tulle.client.together import side_by_side
from tulle.errors import TulleError, UsageError
from tulle.formats.sql import Columns, Query, Source, qualify
from tulle.product.reading import Provenance, Read, Stamp
from tulle.times import LATEST, AsOf, At, Moment
from tulle.uris import PortAddress, ProductName

if TYPE_CHECKING:
    import duckdb


class Reader:
    """What crossing needs of a mesh: schemas, clocks and rows of its ports."""

    def __init__(
        self,
        columns: Callable[[PortAddress], Columns],
        clock: Callable[[ProductName], Moment],
        rows: Callable[[Read], tuple[pa.Table, Stamp]],
    ) -> None:
        self.columns, self.clock, self.rows = columns, clock, rows


def cross(query: Query, as_of: AsOf, at: At, seen: Moment, reader: Reader) -> tuple[pa.Table, Stamp, tuple[Stamp, ...]]:
    """The rows of `query`, their stamp, and those of the ports it read. `seen` is the newest moment seen before."""
    if not query.sources:
        raise UsageError("E202", "the statement reads no product", fix="select * from domain.product limit 5")
    addresses = list(dict.fromkeys(source.address for source in query.sources))
    schemas = dict(zip(addresses, side_by_side(reader.columns, addresses), strict=True))
    planned = qualify(query, schemas)
    pinned = as_of if isinstance(as_of, Moment) else _pinned(planned.sources, seen, reader)
    reads = [_read(source, pinned, at) for source in planned.sources]
    delivered = side_by_side(reader.rows, reads)
    tables = {source.local: rows for source, (rows, _) in zip(planned.sources, delivered, strict=True)}
    stamps = tuple(stamp for _, stamp in delivered)
    rows = _joined(planned, tables)
    return rows, _stamp(stamps, pinned, rows), stamps


def merged(stamps: Iterable[Stamp]) -> Provenance:
    """What the ports of these stamps, and they themselves, were made from."""
    reached: dict[str, tuple[Moment, Moment]] = {}
    for stamp in stamps:
        product = stamp.port.partition(":")[0]
        for name, oldest, newest in ((product, stamp.moment, stamp.moment), *stamp.provenance):
            known = reached.get(name, (oldest, newest))
            reached[name] = (min(known[0], oldest), max(known[1], newest))
    return tuple((name, oldest, newest) for name, (oldest, newest) in sorted(reached.items()))


def _pinned(sources: Sequence[Source], seen: Moment, reader: Reader) -> Moment:
    """The moment to read at. Tables that name their own moment have no say in it."""
    products = list(dict.fromkeys(s.address.product for s in sources if s.as_of is LATEST))
    if not products:
        return max(s.as_of for s in sources if isinstance(s.as_of, Moment))
    return max(min(side_by_side(reader.clock, products)), seen)


def _read(source: Source, pinned: Moment, at: At) -> Read:
    as_of = source.as_of if isinstance(source.as_of, Moment) else pinned
    return Read(source.address, as_of, source.at if source.at is not None else at, source.columns, source.where)


def _joined(query: Query, tables: Mapping[str, pa.Table]) -> pa.Table:
    import duckdb

    with duckdb.connect(":memory:", config={"python_enable_replacements": False}) as engine:
        _locked(engine, tables)
        try:
            return engine.sql(query.sql).to_arrow_table()
        except duckdb.Error as problem:
            raise _unanswered(query, str(problem)) from None


def _locked(engine: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> None:
    """Gives the engine its tables and takes everything else from it."""
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute("CREATE MACRO local_day(instant, zone) AS CAST(timezone(zone, instant) AS DATE)")
    for name, rows in tables.items():
        engine.register(name, rows)
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions", "enable_external_access"):
        engine.execute(f"SET {setting} = false")
    engine.execute("SET lock_configuration = true")


def _unanswered(query: Query, said: str) -> TulleError:
    """The engine's complaint in the reader's own words: the tables by the names they wrote."""
    for source in query.sources:
        said = said.replace(source.local, str(source.address))
    lines = [line for line in said.splitlines() if line.strip()]
    return UsageError("E202", "the statement cannot be answered", why="\n".join(lines[:6]))


def _stamp(stamps: Sequence[Stamp], moment: Moment, rows: pa.Table) -> Stamp:
    warnings = tuple(dict.fromkeys(f"{stamp.port}: {warning}" for stamp in stamps for warning in stamp.warnings))
    ports = ", ".join(dict.fromkeys(stamp.port for stamp in stamps))
    return Stamp(ports, moment, merged(stamps), "", rows.num_rows, "", warnings)
