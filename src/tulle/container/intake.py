"""Files in: which files of a drop folder count, and their bytes kept before anything reads them.

A file counts when it was renamed into the folder, or has been unchanged for 300 ms. Dot-files, `.tmp` and `.part`
never count. Its bytes are copied, content-addressed, into the product before parsing, so that a run can be replayed and
the same bytes again are known.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tulle.errors import Unavailable
from tulle.product.manifest import FileInput
from tulle.times import Moment, parse_moment, wall_clock

QUIET_SECONDS = 0.3
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", "~")


@dataclass(frozen=True)
class Arrival:
    """A file that counts: which input it came through, its name, its bytes by content, and when it was put there."""

    input: str
    name: str
    sha256: str
    arrived: Moment
    file: Path
    landed: str = ""

    def cursor(self) -> dict[str, str]:
        """How the ledger names it."""
        named = {"name": self.name, "sha256": self.sha256, "arrived": str(self.arrived)}
        return named | ({"landed": self.landed} if self.landed else {})

    def same_file(self, cursor: Mapping[str, Any]) -> bool:
        """Whether the ledger's `cursor` names this very file: not only the same bytes, but nobody put them anew."""
        return bool(self.landed) and self.cursor() | {"arrived": ""} == {**cursor, "arrived": ""}


@dataclass(frozen=True)
class _Look:
    """What a file looked like, to tell whether it has changed."""

    size: int
    changed: int
    inode: int


class DropFolder:
    """One input's folder and what is known of the files in it."""

    def __init__(self, port: FileInput, folder: Path, store: Path) -> None:
        self.port, self.folder, self._store = port, folder, store
        self._taken: dict[str, _Look] = {}
        self._seen: dict[str, tuple[_Look, float]] = {}
        self._renamed: set[str] = set()
        store.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)

    def renamed_in(self, name: str) -> None:
        """Says that `name` was moved into the folder as a whole."""
        self._renamed.add(name)

    def ready(self) -> tuple[list[Arrival], float | None]:
        """The files that count now, by name, their bytes kept; and after how many seconds to look again, if at all.

        Raises `Unavailable` E004 when the bytes cannot be kept; nothing is marked as taken then.
        """
        ready: list[Arrival] = []
        again: float | None = None
        unsettled: int | None = None
        for file, look in self._candidates():
            wait = self._still_to_wait(file.name, look)
            if wait > 0 or _overtakes(look, unsettled):
                again = min(again or QUIET_SECONDS, wait or QUIET_SECONDS)
                unsettled = min(unsettled or look.changed, look.changed)
                continue
            ready.append(self._take(file))
            self._taken[file.name] = look
            self._forget(file.name)
        return ready, again

    def recover(self, consumed: Iterable[str]) -> list[Arrival]:
        """Files whose bytes were kept but which no ledger entry names: a run that died before it published."""
        known = set(consumed)
        found = []
        for note in sorted(self._store.glob("*.json")):
            if note.stem in known or not (self._store / note.stem).exists():
                continue
            facts = json.loads(note.read_text(encoding="utf-8"))
            if facts["input"] == self.port.name:
                found.append(self.kept(note.stem, facts))
        return sorted(found, key=lambda arrival: (arrival.arrived, arrival.name))

    def kept(self, sha256: str, facts: Mapping[str, Any] | None = None) -> Arrival:
        """The arrival whose bytes are kept under `sha256`."""
        facts = facts or json.loads((self._store / f"{sha256}.json").read_text(encoding="utf-8"))
        file, arrived = self._store / sha256, parse_moment(facts["arrived"])
        return Arrival(self.port.name, facts["name"], sha256, arrived, file, facts.get("landed", ""))

    def _candidates(self) -> list[tuple[Path, _Look]]:
        found = []
        for file in sorted(self.folder.iterdir()):
            if _never(file.name) or not fnmatch.fnmatch(file.name, self.port.pattern):
                continue
            look = _look(file)
            if look and self._taken.get(file.name) != look:
                found.append((file, look))
        return found

    def _still_to_wait(self, name: str, look: _Look) -> float:
        if name in self._renamed:
            return 0.0
        now = time.monotonic()
        before = self._seen.get(name)
        if before is None or before[0] != look:
            self._seen[name] = (look, now - _age(look))
            before = self._seen[name]
        return before[1] + QUIET_SECONDS - now

    def _forget(self, name: str) -> None:
        self._seen.pop(name, None)
        self._renamed.discard(name)

    def _take(self, file: Path) -> Arrival:
        try:
            return _keep(file, self._store, self.port.name)
        except FileNotFoundError:
            raise Unavailable("E022", f"{file.name} went away while it was read") from None
        except OSError as full:
            raise Unavailable("E004", f"the bytes of {file.name} cannot be kept", why=str(full)) from full


def _keep(file: Path, store: Path, port: str) -> Arrival:
    """Copies `file` into `store` under the hash of its bytes, durably, with a note of its name and arrival."""
    draft = store / f".{os.getpid()}.draft"
    digest = hashlib.sha256()
    try:
        with file.open("rb") as source, draft.open("wb") as target:
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        name = digest.hexdigest()
        landed = str(Moment(file.stat().st_ctime_ns // 1_000))
        arrival = Arrival(port, file.name, name, wall_clock(), store / name, landed)
        note = store / f"{name}.json"
        if not note.exists() or not arrival.file.exists():
            note.write_text(json.dumps({"input": port, **arrival.cursor()}))
            draft.replace(arrival.file)
        return arrival
    finally:
        draft.unlink(missing_ok=True)


def clear_drafts(store: Path) -> None:
    """Removes what a killed copy left behind."""
    for draft in store.glob(".*.draft"):
        draft.unlink(missing_ok=True)


def room_left(folder: Path) -> int:
    """Free bytes where `folder` lies."""
    return shutil.disk_usage(folder).free


def _never(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


def _overtakes(look: _Look, unsettled: int | None) -> bool:
    """Whether a file came after one, before it by name, that is not known to be whole: the later has the last word.

    One that is written for long changes all the time; nothing is older than it, so that it holds nobody up.
    """
    return unsettled is not None and look.changed >= unsettled


def _look(file: Path) -> _Look | None:
    try:
        facts = file.stat()
    except FileNotFoundError:
        return None
    return _Look(facts.st_size, facts.st_mtime_ns, facts.st_ino) if file.is_file() else None


def _age(look: _Look) -> float:
    """Seconds since the file changed, never more than needed and never negative (a clock set back)."""
    return min(max(0.0, time.time() - look.changed / 1e9), QUIET_SECONDS + 1)
