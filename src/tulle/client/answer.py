"""What comes back from a read: rows, and the stamp that says what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tulle.errors import UsageError
from tulle.formats.answers import as_rows, csv_chunks, stamp_document
from tulle.product.reading import Provenance, Stamp
from tulle.times import Moment

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

SHOWN_ROWS, SHOWN_WIDTH = 10, 28
_QUICKLY_SEALED = 10_000


class Answer:
    """Rows as of one moment. `parts` holds the stamps of the ports that it was made from, if those are several."""

    def __init__(self, rows: pa.Table, stamp: Stamp, parts: Sequence[Stamp] = ()) -> None:
        self._rows, self.stamp, self.parts = rows, stamp, tuple(parts)
        self._digest = stamp.digest

    @property
    def moment(self) -> Moment:
        """The processing time that it was read at."""
        return self.stamp.moment

    @property
    def moments(self) -> Mapping[str, Moment]:
        """The processing time at which each port was read."""
        return {part.port: part.moment for part in self.parts or (self.stamp,)}

    @property
    def provenance(self) -> Provenance:
        """What it was made from, transitively: per product the oldest and newest moment by which it was reached."""
        return self.stamp.provenance

    @property
    def digest(self) -> str:
        """A digest of the rows that does not depend on their order: the same rows, the same digest."""
        self._digest = self._digest or digest_of(self._rows)
        return self._digest

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.stamp.warnings

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._rows.column_names)

    def arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self._rows

    def pandas(self) -> pd.DataFrame:
        """The rows as a pandas data frame; the stamp is in its `attrs["tulle"]`."""
        try:
            frame = self._rows.to_pandas()
        except ImportError:
            raise _missing("pandas") from None
        frame.attrs["tulle"] = self.document()
        return frame

    def polars(self) -> pl.DataFrame:
        """The rows as a polars data frame."""
        try:
            import polars as pl
        except ImportError:
            raise _missing("polars") from None
        frame = pl.from_arrow(self._rows)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def rows(self) -> list[dict[str, Any]]:
        """The rows as Python values."""
        found: list[dict[str, Any]] = self._rows.to_pylist()
        return found

    def document(self) -> dict[str, Any]:
        """The stamp as it stands in JSON, with the moments of the parts."""
        document = stamp_document(self.stamp) | {"digest": self.digest}
        if self.parts:
            document["moments"] = {port: str(moment) for port, moment in self.moments.items()}
        return document

    def json_rows(self) -> list[dict[str, Any]]:
        """The rows as JSON values: instants as text in UTC, no NaN."""
        return as_rows(self._rows)

    def csv(self) -> str:
        """The rows as CSV."""
        return b"".join(csv_chunks(self._rows)).decode()

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())

    def __repr__(self) -> str:
        names, lines = list(self.columns), _shown(self._rows)
        widths = [max(len(cell) for cell in column) for column in zip(names, *lines, strict=True)]
        table = [
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in (names, *lines)
        ]
        more = len(self) - len(lines)
        return "\n".join([*table, *([f"… {more:,} more"] if more > 0 else []), *self._notes()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in _shown(self._rows)
        )
        notes = "<br>".join(escape(note) for note in self._notes())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><small>{notes}</small>"

    def _notes(self) -> list[str]:
        rows = f"{len(self):,} row{'' if len(self) == 1 else 's'}"
        contract = f" · contract {self.stamp.contract}" if self.stamp.contract else ""
        # where no port has sealed the rows and they are many, a look at them should not cost seconds
        digest = f" · {self.digest[:20]}" if self._digest or len(self) <= _QUICKLY_SEALED else ""
        line = f"[{rows} · {self.stamp.port}{contract} · as of {self.moment}{digest}]"
        return [line, *(f"warning: {warning}" for warning in self.warnings)]


def digest_of(rows: pa.Table) -> str:
    """The digest of rows that no port has sealed: how many, and the sums of the two halves of each row's sha256."""
    first = second = 0
    names = repr([(name, str(kind)) for name, kind in zip(rows.column_names, rows.schema.types, strict=True)]).encode()
    for batch in rows.to_batches(max_chunksize=8_192):
        for row in as_digest_texts(batch):
            sealed = hashlib.sha256(names + row).digest()
            first += int.from_bytes(sealed[:8])
            second += int.from_bytes(sealed[8:16])
    return f"{rows.num_rows}:{first % 2**64:016x}{second % 2**64:016x}"


def as_digest_texts(batch: pa.RecordBatch) -> Iterator[bytes]:
    """Each row as bytes that no other row has."""
    columns = [column.to_pylist() for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield repr(values).encode()


def _shown(rows: pa.Table) -> list[list[str]]:
    return [[_cell(value) for value in row.values()] for row in as_rows(rows.slice(0, SHOWN_ROWS))]


def _cell(value: Any) -> str:
    text = "" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= SHOWN_WIDTH else text[: SHOWN_WIDTH - 1] + "…"


def _missing(library: str) -> UsageError:
    return UsageError("E007", f"{library} is not installed", fix=f"pip install 'tulle[{library}]'")
