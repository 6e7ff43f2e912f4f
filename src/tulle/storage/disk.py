"""Durable writes: what is on the disk after a crash is what was promised before it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tulle.errors import Unavailable

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
TEMPORARY = ".tmp"


@contextmanager
def room_needed(what: str) -> Iterator[None]:
    """Turns a full disk or quota into `Unavailable` E004."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        why = f"{os.strerror(error.errno or 0)}. Nothing was published; the last good state is still served."
        fix = "free some space; the batch is tried again"
        raise Unavailable("E004", f"the disk is full: {what}", why=why, fix=fix) from None


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Writes a new file and its content durably; its name is durable once the folder is synced."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def put_if_absent(path: Path, content: bytes) -> bool:
    """Writes `path` durably and whole, or not at all. False if it was there already."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        write_synced(temporary, content)
        os.link(temporary, path)
        _sync_or_undo(path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _sync_or_undo(path: Path) -> None:
    """A name that could not be made durable was not put."""
    try:
        sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, content: bytes) -> None:
    """Replaces `path` durably: a reader sees the old content or the new."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        write_synced(temporary, content)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def clear_temporary(folder: Path) -> None:
    """Removes what a crash left half-written."""
    for path in folder.glob(f"*{TEMPORARY}"):
        path.unlink(missing_ok=True)
