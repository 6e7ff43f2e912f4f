"""Runs of a product that takes files: a file in, checked rows out, published; or parked whole, with the reason."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from tulle.container.intake import Arrival, DropFolder
from tulle.container.journal import Run
from tulle.container.parts import Bell, Condition, Parts, shape_of
from tulle.container.standing import look_again
from tulle.container.worker import ATTEMPTS, OF_THE_DATA, published, stopwatch, summary
from tulle.errors import CheckFailed, NotThere, TulleError
from tulle.storage.shapes import EVERYTHING, Entry, Story, Write
from tulle.times import Moment


class Ingest:
    """The task of a source-aligned product: every file that counts becomes one publication."""

    def __init__(self, parts: Parts, condition: Condition, bell: Bell, drop: DropFolder) -> None:
        self._parts, self._condition, self._bell, self._drop = parts, condition, bell, drop
        self._consumed = list(parts.log.consumed(drop.port.name))
        self._waiting: deque[Arrival] = deque(drop.recover(c["sha256"] for c in self._consumed))
        self._again: float | None = None
        self._attempts = 0

    def step(self) -> bool:
        if not self._waiting:
            arrived, self._again = self._drop.ready()
            self._waiting.extend(arrived)
        if not self._waiting:
            return False
        self._take(self._waiting[0])
        self._waiting.popleft()
        return True

    def look_again(self) -> float | None:
        return self._again

    def standing(self) -> tuple[str, str]:
        if self._again is not None:
            return "Waiting", f"a file in {self._drop.folder} is still being written"
        if not self._consumed:
            return "Waiting", f"no file has come yet; put one into {self._drop.folder}"
        return "Fresh", ""

    def replay(self, since: Moment | None) -> dict[str, Any]:
        """Takes the kept files again, those consumed after `since` if given, as one batch: the last word counts."""
        chosen = self._taken_after(since or Moment(0))
        if not chosen:
            raise NotThere("E022", "no file has been consumed" + (f" after {since}" if since else ""))
        if self._drop.port.delivery == "snapshot":
            chosen = chosen[-1:]
        arrivals = [self._drop.kept(n["sha256"], n) for n in chosen]
        whole = since is None or self._drop.port.delivery == "snapshot"
        return self._again_published(arrivals, whole=whole)

    def replay_parked(self) -> dict[str, Any]:
        """Tries every parked file again; each that passes now is published and no longer parked.

        What later files have said of the same facts stands: a parked file is old news when it comes at last.
        """
        done, still = [], []
        for batch in self._parts.log.parked():
            arrival = self._drop.kept(batch["sha256"], batch)
            run = self._started("parked", arrival)
            try:
                entry = self._publish(run, arrival, batch["id"])
                done.append({"file": arrival.name, "moment": str(entry.processing_time)})
            except CheckFailed as broken:
                self._parts.runs.end(run, "failed", error=broken.as_document())
                still.append({"file": arrival.name, "error": broken.as_document()})
        return {"published": done, "still_parked": still}

    def _take(self, arrival: Arrival) -> None:
        if self._known(arrival):
            self._parts.journal.say("the same bytes again", file=arrival.name, sha256=arrival.sha256)
            return
        run = self._started("file", arrival)
        try:
            self._publish(run, arrival)
        except TulleError as broken:
            self._failed(run, arrival, broken)
        self._attempts = 0
        self._consumed.append(arrival.cursor())

    def _failed(self, run: Run, arrival: Arrival, broken: TulleError) -> None:
        """Parks a batch that is broken. What may pass at another attempt is raised again, and the file stays first."""
        if broken.retryable:
            self._parts.runs.end(run, "failed", error=broken.as_document())
            raise broken
        self._attempts += 1
        if broken.code not in OF_THE_DATA and self._attempts < ATTEMPTS:
            self._parts.runs.end(run, "failed", error=broken.as_document())
            raise broken
        self._park(run, arrival, broken)

    def _known(self, arrival: Arrival) -> bool:
        """Whether there is nothing new in it. An earlier snapshot may come back, but not because we look again."""
        same = [c for c in self._consumed if c["sha256"] == arrival.sha256]
        if self._drop.port.delivery == "snapshot":
            return self._consumed[-1:] == same[-1:] != [] or any(arrival.same_file(c) for c in same)
        return bool(same)

    def _started(self, trigger: str, arrival: Arrival) -> Run:
        self._condition.running = f"taking in {arrival.name}"
        return self._parts.runs.start(trigger, {arrival.input: arrival.name})

    def _publish(self, run: Run, arrival: Arrival, parked: str = "") -> Entry:
        lap = stopwatch()
        made = self._made(run, arrival)
        took = {"transform": lap()}
        writes = self._writes(made.outputs, whole=self._drop.port.delivery == "snapshot")
        writes = self._still_news(writes, parked) if parked else writes
        cursors = {} if parked else {arrival.input: arrival.cursor()}
        unparked = (parked,) if parked else self._mended_by(arrival)
        story = Story("run", run=run.id, revision=self._parts.revision, cursors=cursors, unparked=unparked)
        entry = self._parts.log.commit(writes, story)
        self._told(run, entry, took | {"publish": lap()}, made.warnings)
        return entry

    def _mended_by(self, arrival: Arrival) -> tuple[str, ...]:
        """The parked batches that this file takes the place of: it came under the same name."""
        return tuple(batch["id"] for batch in self._parts.log.parked() if batch["name"] == arrival.name)

    def _made(self, run: Run, arrival: Arrival) -> Any:
        log = self._parts.runs.log_file(run.id)
        return self._parts.workshop.ingest(
            self._parts.manifest, arrival.input, arrival.file, arrival.name, arrival.arrived, log
        )

    def _writes(self, outputs: Mapping[str, Any], *, whole: bool) -> dict[str, Write]:
        scope = EVERYTHING if whole else ()
        return {table: Write(made.rows, scope=scope, kept=made.kept) for table, made in outputs.items()}

    def _still_news(self, writes: dict[str, Write], parked: str) -> dict[str, Write]:
        """What a parked batch has to say that nothing published since has said otherwise."""
        entries = self._parts.log.entries()
        since = next(e.processing_time for e in entries if any(b["id"] == parked for b in e.story.parked))
        if self._drop.port.delivery == "snapshot" and self._taken_after(since):
            return {}
        return {table: self._without_later(table, write, since) for table, write in writes.items()}

    def _without_later(self, table: str, write: Write, since: Moment) -> Write:
        log = self._parts.log
        identity = list(log.shapes[table].identity)
        later = log.changes(table, since, log.published()).select(identity)
        if not later.num_rows:
            return write
        names = write.puts.column_names
        return replace(write, puts=write.puts.join(later, identity, join_type="left anti").select(names))

    def _told(self, run: Run, entry: Entry, took: Mapping[str, int], warnings: Iterable[str]) -> None:
        self._bell.ring()
        published(self._parts, run, entry, took, tuple(warnings))
        if warnings or self._condition.warnings:
            look_again(self._parts, self._condition)

    def _park(self, run: Run, arrival: Arrival, broken: TulleError) -> None:
        """The cursor moves on, so that later files are taken; the batch and the reason stay in the ledger."""
        batch = {"id": run.id, **arrival.cursor(), "input": arrival.input, "error": broken.as_document()}
        cursors = {arrival.input: arrival.cursor()}
        story = Story("park", run=run.id, revision=self._parts.revision, cursors=cursors, parked=(batch,))
        entry = self._parts.log.commit({}, story)
        self._parts.runs.end(run, "parked", moment=entry.processing_time, error=broken.as_document())
        self._parts.journal.say("parked", "error", run=run.id, file=arrival.name, **broken.as_document())
        self._condition.count("parked")
        self._bell.ring()

    def _taken_after(self, since: Moment) -> list[Mapping[str, Any]]:
        """The files of good publications after `since`, in the order they were taken."""
        parked = {batch["sha256"] for batch in self._parts.log.parked()}
        port, entries = self._drop.port.name, self._parts.log.entries()
        taken = (entry.story.cursors.get(port) for entry in entries if entry.processing_time > since)
        return [cursor for cursor in taken if cursor and cursor["sha256"] not in parked]

    def _again_published(self, arrivals: list[Arrival], *, whole: bool) -> dict[str, Any]:
        lap = stopwatch()
        run = self._parts.runs.start("replay", {a.input: a.name for a in arrivals[-1:]})
        made = [self._made(run, arrival).outputs for arrival in arrivals]
        writes = {}
        for output in self._parts.manifest.outputs:
            rows = last_word([m[output.table].rows for m in made], shape_of(output).identity)
            kept = [m[output.table].kept for m in made if m[output.table].kept is not None]
            joined = pa.concat_tables(kept) if kept else None
            writes[output.table] = Write(rows, scope=EVERYTHING if whole else (), kept=joined)
        entry = self._parts.log.commit(writes, Story("run", run=run.id, revision=self._parts.revision))
        self._told(run, entry, {"replay": lap()}, ())
        return {"moment": str(entry.processing_time), "files": len(arrivals), "tables": summary(entry.tables)}


def last_word(batches: list[pa.Table], identity: tuple[str, ...]) -> pa.Table:
    """All batches as one, in which of several rows for one fact the last stands."""
    whole = pa.concat_tables(batches)
    numbered = whole.select(list(identity)).append_column("_place", pa.array(range(whole.num_rows), pa.int64()))
    newest = numbered.group_by(list(identity)).aggregate([("_place", "max")])
    return whole.take(newest["_place_max"])
