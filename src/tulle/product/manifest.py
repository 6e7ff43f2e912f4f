"""A product's declared target state, as immutable values. `formats.manifest` reads it from product.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tulle.times import Moment
from tulle.uris import PortAddress, ProductName

Archetype = Literal["source-aligned", "aggregate", "consumer-aligned"]
OnFailure = Literal["warn", "set_aside", "stop"]
Facts = Literal["events", "state"]
Delivery = Literal["append", "snapshot"]

TYPES: dict[str, str] = {
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "decimal": "DECIMAL(38,9)",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMPTZ",
    "binary": "BLOB",
}
"""Column types of a manifest and what each is in SQL. `timestamp` is an instant in UTC, microseconds."""


@dataclass(frozen=True)
class Column:
    """One column of an output port; `source` is its name in the source file where that differs."""

    name: str
    type: str
    meaning: str = ""
    unit: str = ""
    required: bool = False
    tags: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Expectation:
    """A rule in SQL that every row should meet (null counts as met), and what happens where it does not."""

    rule: str
    on_failure: OnFailure = "warn"
    name: str = ""


@dataclass(frozen=True)
class Objective:
    """A promise of the port: which measure (`timeliness`, `completeness`, ...) and the promised range as text."""

    measure: str
    promise: str


@dataclass(frozen=True)
class ActualTime:
    """Where a row's actual time comes from: a column, a constant, or the arrival of the row's file."""

    column: str | None = None
    until: str | None = None
    constant: Moment | None = None
    arrival: bool = False


@dataclass(frozen=True)
class Output:
    """One output port: a data set with one contract and one table."""

    name: str
    version: str
    facts: Facts
    key: tuple[str, ...]
    actual_time: ActualTime
    columns: tuple[Column, ...]
    expectations: tuple[Expectation, ...] = ()
    objectives: tuple[Objective, ...] = ()
    meaning: str = ""

    @property
    def major(self) -> int:
        return int(self.version.split(".", 1)[0])

    @property
    def table(self) -> str:
        """The port's name with its major version, as in `rows@1`: the name of its table and of its contract."""
        return f"{self.name}@{self.major}"


@dataclass(frozen=True)
class FileFormat:
    """How the files of an input port are written. Column names on the left are the file's, types the declared ones."""

    kind: Literal["csv", "parquet"] = "csv"
    columns: tuple[tuple[str, str], ...] = ()
    null: str = ""
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    timestamp_format: str = ""
    date_format: str = ""
    timezone: str = "UTC"


@dataclass(frozen=True)
class FileInput:
    """An input port that takes files from a drop folder, relative to the product's folder or absolute."""

    name: str
    folder: str
    format: FileFormat
    delivery: Delivery = "append"
    pattern: str = "*"


@dataclass(frozen=True)
class ProductInput:
    """An input port that follows the output port of another product. `wait_for` names inputs to catch up with first."""

    name: str
    source: PortAddress
    wait_for: tuple[str, ...] = ()


Input = FileInput | ProductInput


@dataclass(frozen=True)
class Transform:
    """The product's own code: one SQL file, or `file.py:function`; neither means rows pass as they came."""

    sql: str | None = None
    python: str | None = None


Scope = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Per input name: pairs of output column and the SQL expression over a row of that input that gives its value."""


@dataclass(frozen=True)
class Limits:
    """What a run of the product's code may use."""

    memory_mb: int = 2048
    seconds: int = 300


@dataclass(frozen=True)
class Manifest:
    """The whole declaration. `digest` is the sha256 of the revision: the manifest and every file of its folder."""

    product: ProductName
    archetype: Archetype
    team: str
    purpose: str
    inputs: tuple[Input, ...]
    transform: Transform
    outputs: tuple[Output, ...]
    scope: Scope = ()
    readers: tuple[str, ...] = ()
    owner: str = ""
    domain_system: str = ""
    limits: Limits = field(default_factory=Limits)
    tags: tuple[str, ...] = ()

    @property
    def product_inputs(self) -> tuple[ProductInput, ...]:
        return tuple(i for i in self.inputs if isinstance(i, ProductInput))

    @property
    def file_inputs(self) -> tuple[FileInput, ...]:
        return tuple(i for i in self.inputs if isinstance(i, FileInput))
