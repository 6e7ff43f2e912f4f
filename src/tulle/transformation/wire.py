"""Arrow tables through memory that two processes share: written once, read without a copy."""

from __future__ import annotations

import contextlib
import mmap
import os

import pyarrow as pa

from tulle.errors import CheckFailed


def memory(opened: contextlib.ExitStack, table: pa.Table | None = None) -> int:
    """The descriptor of a piece of memory, holding `table` if there is one; closed with `opened`."""
    fd = os.memfd_create("rows")
    opened.callback(os.close, fd)
    if table is not None:
        write(fd, table)
    return fd


def write(fd: int, table: pa.Table) -> None:
    """Writes the table to the empty `fd`. Raises `CheckFailed` E034 where it is more than the process may write."""
    try:
        with os.fdopen(fd, "wb", closefd=False) as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    except OSError as error:
        raise CheckFailed("E034", "the result is larger than the memory it may use", why=type(error).__name__) from None


def read(fd: int) -> pa.Table | None:
    """The table that was written to `fd`; None if nothing was. Raises `CheckFailed` E034 for what is no table."""
    size = os.fstat(fd).st_size
    if size == 0:
        return None
    try:
        with pa.ipc.open_stream(pa.py_buffer(mmap.mmap(fd, size, access=mmap.ACCESS_READ))) as stream:
            table = stream.read_all()
        table.validate(full=True)  # it comes from a process that ran code which is not ours
    except (pa.ArrowInvalid, OSError) as error:
        raise CheckFailed("E034", "what the transformation left is no table", why=type(error).__name__) from None
    return table
