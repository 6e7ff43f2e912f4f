"""The example's work without a mesh, as one would write it in a script: what the benchmarks compare the mesh with.

Files are parsed with their declared types, the two transformations are the example's own files, and every result is
written as Parquet and made durable. `python -m bench.one_process FOLDER DROPS` does all of it from a cold start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bench.example import DAILY, EXAMPLE, FLIGHTS, ONTIME, WEATHER, python_file
from tulle.formats.manifest import load_manifest
from tulle.product.manifest import TYPES

AIRCRAFT, AIRPORTS, CARRIERS = "fleet/aircraft", "network/airports", "network/carriers"


class OneProcess:
    """A script's worth of state: a connection, the products' declared types, and their code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._con = duckdb.connect()
        self._con.execute("SET TimeZone = 'UTC'")
        self._sql = (EXAMPLE / "products" / ONTIME / "ontime.sql").read_text()
        self._daily: Callable[[pa.Table, pa.Table], pa.Table] = python_file(
            EXAMPLE / "products" / DAILY / "daily.py"
        ).daily
        self._types = {name: _types(name) for name in (FLIGHTS, WEATHER, AIRCRAFT, AIRPORTS, CARRIERS)}

    def parse(self, product: str, file: Path) -> pa.Table:
        columns = self._types[product]
        relation = self._con.read_csv(str(file), columns=columns, header=True, na_values="NA")
        return relation.to_arrow_table()

    def ontime(self, flights: pa.Table, weather: pa.Table, aircraft: pa.Table) -> pa.Table:
        for name, table in (("flights", flights), ("weather", weather), ("aircraft", aircraft)):
            self._con.register(name, table)
        return self._con.sql(self._sql).to_arrow_table()

    def daily(self, ontime: pa.Table, weather: pa.Table) -> pa.Table:
        return self._daily(ontime, weather)

    def keep(self, name: str, table: pa.Table) -> None:
        """Writes the table as Parquet; when this comes back a power cut may come."""
        path = self._folder / f"{name.replace('/', '.')}.parquet"
        pq.write_table(table, path, compression="zstd")
        for each in (path, self._folder):
            handle = os.open(each, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def month(self, file: Path, weather: pa.Table, aircraft: pa.Table) -> None:
        """One month of flights, from its file to its days."""
        flights = self.parse(FLIGHTS, file)
        ontime = self.ontime(flights, weather, aircraft)
        self.keep(f"{FLIGHTS}-{file.stem}", flights)
        self.keep(f"{ONTIME}-{file.stem}", ontime)
        self.keep(f"{DAILY}-{file.stem}", self.daily(ontime, weather))

    def everything(self, drops: Path) -> int:
        """All files, then both transformations; how many flights there were."""
        whole = {name: self._load(name, sorted(drops.glob(f"{name}/*/*.csv"))) for name in self._types}
        ontime = self.ontime(whole[FLIGHTS], whole[WEATHER], whole[AIRCRAFT])
        self.keep(ONTIME, ontime)
        self.keep(DAILY, self.daily(ontime, whole[WEATHER]))
        return int(ontime.num_rows)

    def _load(self, product: str, files: Iterable[Path]) -> pa.Table:
        tables = []
        for file in files:
            tables.append(self.parse(product, file))
            self.keep(f"{product}-{file.stem}", tables[-1])
        return pa.concat_tables(tables)


def _types(product: str) -> dict[str, str]:
    """Column and SQL type in the order of the file, as the product declares them."""
    manifest = load_manifest(EXAMPLE / "products" / product)
    return {column.name: TYPES[column.type] for column in manifest.outputs[0].columns}


if __name__ == "__main__":
    print(OneProcess(Path(sys.argv[1])).everything(Path(sys.argv[2])))
