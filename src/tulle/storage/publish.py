"""The steps by which a resolved commit becomes durable: files, then the ledger's entry, then the Delta logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tulle.errors import Conflict
from tulle.storage import ledger, tables
from tulle.storage.delta import DeltaLog
from tulle.storage.digest import Digest
from tulle.storage.shapes import Entry, FileFacts, Story, TableShape, Tally
from tulle.storage.tables import Resolved, Stamped
from tulle.times import Moment

Steps = Callable[[str], None]


def no_steps(_: str) -> None:
    """What production traces of a commit: nothing."""


class Publisher:
    """Writes commits of one product. Only the holder of the writer's lock has one."""

    def __init__(
        self, folder: Path, shapes: Mapping[str, TableShape], deltas: Mapping[str, DeltaLog], steps: Steps
    ) -> None:
        self._folder, self._shapes, self._deltas, self._steps = folder, shapes, deltas, steps

    def publish(self, resolved: Mapping[str, Resolved], story: Story, moment: Moment, head: Entry | None) -> Entry:
        """Writes the files and then the entry. If it fails, what it wrote is removed: nothing was published."""
        seq, previous = (head.seq + 1, head.hash) if head else (1, ledger.ROOT)
        written: list[tuple[Path, FileFacts]] = []
        published = False
        try:
            tallies = self._write(resolved, seq, moment, written)
            self._steps("files synced")
            entry = ledger.entry_of(seq, moment, story, tallies, previous)
            published = ledger.write(self._folder / "ledger", entry)
            self._steps("entry published")
        finally:
            if not published:
                for folder, facts in written:
                    tables.discard(folder, [facts])
        if not published:
            raise Conflict("E002", f"another writer published entry {seq}", where=str(self._folder))
        return entry

    def project(self, entries: Sequence[Entry]) -> None:
        """Brings the Delta logs up to the ledger. What the disk refuses now is made up for by the next commit."""
        for name, delta in self._deltas.items():
            try:
                delta.bring_up(entries[delta.seq :])
            except OSError:
                continue
            self._steps(f"delta {name}")

    def _write(
        self, resolved: Mapping[str, Resolved], seq: int, moment: Moment, written: list[tuple[Path, FileFacts]]
    ) -> dict[str, Tally]:
        tallies: dict[str, Tally] = {}
        with ThreadPoolExecutor(1) as beside:
            for name, each in resolved.items():
                stamped = tables.stamp(self._shapes[name], each, seq, moment)
                digest = beside.submit(_digest, stamped)
                files = self._files(self._folder / "tables" / name, stamped, seq, written)
                tallies[name] = _tally(each, files, digest)
        return tallies

    def _files(
        self, folder: Path, stamped: Sequence[Stamped], seq: int, written: list[tuple[Path, FileFacts]]
    ) -> tuple[FileFacts, ...]:
        files = []
        for each in stamped:
            facts = tables.write(folder, each, seq)
            written.append((folder, facts))
            files.append(facts)
            self._steps(f"file {folder.name} {each.layer}")
        tables.sync(folder, tuple(files))
        return tuple(files)


def _digest(stamped: Sequence[Stamped]) -> str:
    """Over all that a row says but when it was superseded, which only compaction fills in."""
    found = Digest()
    for each in stamped:
        found.add(each.rows.drop_columns(["_superseded_at"]))
    return str(found)


def _tally(each: Resolved, files: tuple[FileFacts, ...], digest: Future[str]) -> Tally:
    return Tally(files, each.inserted, each.corrected, each.retracted, each.unchanged, digest.result())
