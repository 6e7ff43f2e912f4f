"""The ranges of user columns that Parquet footers tell: they say which files cannot meet a scope."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tulle.storage.shapes import FileFacts


@dataclass(frozen=True)
class Range:
    """The least and greatest value of a column, and whether nulls are among them. No edges: only nulls, or unknown."""

    name: str
    low: Any
    high: Any
    nulls: bool

    @staticmethod
    def of(table: pa.Table, name: str) -> Range:
        column = table[name]
        try:
            edges = pc.min_max(column)
        except pa.ArrowNotImplementedError:
            return Range(name, None, None, True)
        return Range(name, _plain(edges["min"]), _plain(edges["max"]), column.null_count > 0)

    def meets(self, other: Range | None) -> bool:
        """Whether a value may be in both; when in doubt, it may."""
        if other is None or (self.nulls and other.nulls):
            return True
        if self.low is None or other.low is None:
            return self.low is not None or other.low is not None or self.nulls or other.nulls
        try:
            return bool(self.low <= other.high and other.low <= self.high)
        except TypeError:
            return True


class Footers:
    """Ranges per file, read when first asked for."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Range]] = {}

    def meets(self, path: Path, facts: FileFacts, part: list[Range]) -> bool:
        """Whether a row of the file may match a row of a scope's part, whose columns have these ranges."""
        held = self._known.get(facts.path)
        if held is None:
            held = self._known[facts.path] = _ranges(path)
        return all(wanted.meets(held.get(wanted.name)) for wanted in part)


def _ranges(path: Path) -> dict[str, Range]:
    metadata = pq.read_metadata(path)
    found: dict[str, Range] = {}
    for place in range(metadata.num_columns):
        chunks = [metadata.row_group(group).column(place) for group in range(metadata.num_row_groups)]
        each = _merged(chunks)
        if each is not None:
            found[each.name] = each
    return found


def _merged(chunks: list[Any]) -> Range | None:
    """One range of a column over its row groups, or None where a group does not tell. Those of floats hide NaN."""
    if chunks[0].physical_type in ("FLOAT", "DOUBLE"):
        return None
    lows, highs, nulls = [], [], False
    for chunk in chunks:
        stats = chunk.statistics
        if stats is None or not stats.has_null_count:
            return None
        nulls = nulls or stats.null_count > 0
        if stats.null_count == chunk.num_values:
            continue
        if not stats.has_min_max:
            return None
        lows.append(stats.min)
        highs.append(stats.max)
    name = chunks[0].path_in_schema
    return Range(name, min(lows, default=None), max(highs, default=None), nulls)


def _plain(value: pa.Scalar) -> Any:
    return value.as_py()
