"""Runs of a product that is made from other products: the scope that a change touches is recomputed, and diffed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tulle.container.journal import Run
from tulle.container.parts import Bell, Condition, Parts
from tulle.container.plan import Consume, Heard, Reached, Wait, merged, next_step
from tulle.container.standing import look_again
from tulle.container.upstream import Fetched, Upstream
from tulle.container.worker import ATTEMPTS, OF_THE_DATA, published, stopwatch, summary
from tulle.errors import CheckFailed, TulleError
from tulle.storage.shapes import EVERYTHING, Entry, Story, Write
from tulle.times import Moment, parse_moment, wall_clock
from tulle.transformation.scope import pushdown

Scope = tuple[pa.Table, ...] | object
"""The parts of the outputs to recompute; anything that is no tuple means everything."""


@dataclass(frozen=True)
class _Read:
    """The inputs of one run as they were read, and the scope they are restricted to."""

    tables: Mapping[str, pa.Table]
    scope: Scope
    reached: tuple[Reached, ...]


class Derive:
    """The task of an aggregate or consumer-aligned product: follows its upstreams and keeps its output in step."""

    def __init__(self, parts: Parts, condition: Condition, bell: Bell, upstreams: Mapping[str, Upstream]) -> None:
        self._parts, self._condition, self._bell, self._upstreams = parts, condition, bell, upstreams
        self._failed_at: Mapping[str, Moment] | None = None
        self._failure: TulleError | None = None
        self._last: Consume | Wait = Wait()
        self._attempts = 0
        self._askers = ThreadPoolExecutor(max(1, len(upstreams)), "ask")

    def step(self) -> bool:
        heard = self._heard()
        self._condition.upstream = {name: str(moment) for name, moment in heard.at.items()}
        self._last = next_step(self._parts.manifest, self._consumed(), heard, wall_clock())
        if isinstance(self._last, Wait) or self._last.at == self._failed_at:
            return False
        self._run(self._last, "change", full=False)
        return True

    def look_again(self) -> float | None:
        return 1.0 if isinstance(self._last, Wait) and self._last.look_again else None

    def standing(self) -> tuple[str, str]:
        if self._failed_at and self._failure:
            return "Failing", self._failure.what
        away = [trouble.what for upstream in self._upstreams.values() if (trouble := upstream.trouble())]
        if away:
            return "Waiting", "; ".join(dict.fromkeys(away))
        if isinstance(self._last, Wait) and self._last.reason:
            return "Waiting", self._last.reason
        return "Fresh", ""

    def replay(self, since: Moment | None) -> dict[str, Any]:  # noqa: ARG002 - the worker gives it to every task
        """Runs over everything now, whatever has changed: recomputing is diffed, so that `since` narrows nothing."""
        step = next_step(self._parts.manifest, {}, self._heard(), wall_clock())
        if isinstance(step, Wait):
            raise CheckFailed("E022", f"{self._parts.address} cannot run yet: {step.reason}")
        entry = self._run(step, "asked", full=True)
        if entry is None or entry.story.kind == "park":
            assert self._failure is not None
            raise self._failure
        return {"moment": str(entry.processing_time), "tables": summary(entry.tables)}

    def replay_parked(self) -> dict[str, Any]:
        """Everything is recomputed: what was parked is part of it."""
        return self.replay(None) if self._parts.log.parked() else {"published": [], "still_parked": []}

    def _heard(self) -> Heard:
        ups = self._upstreams.items()
        at = {name: moment for name, up in ups if (moment := up.heard()) is not None}
        return Heard(at, {name: moment for name, up in ups if (moment := up.actual()) is not None})

    def _consumed(self) -> dict[str, Moment]:
        return {name: parse_moment(cursor) for name, cursor in self._parts.log.cursors().items()}

    def _run(self, step: Consume, trigger: str, *, full: bool) -> Entry | None:
        """One run; None when the product's own code or data failed, which waits for a change or for somebody."""
        self._condition.running = f"recomputing after {', '.join(step.moved)}"
        run = self._parts.runs.start(trigger, {name: str(moment) for name, moment in step.at.items()})
        try:
            entry = self._publish(run, step, full=full)
        except TulleError as broken:
            if broken.code in OF_THE_DATA:
                return self._park(run, step, broken)
            self._broken(run, step, broken)
            return None
        self._failed_at = self._failure = None
        self._attempts = 0
        return entry

    def _publish(self, run: Run, step: Consume, *, full: bool) -> Entry:
        lap = stopwatch()
        read = self._read(step, full=full)
        took = {"read": lap()}
        made = self._made(run, step, read)
        took["transform"] = lap()
        story = self._story(run, step, read, full=full)
        entry = self._parts.log.commit(self._writes(made, read.scope), story)
        took["publish"] = lap()
        self._told(run, entry, took, made.warnings if made else ())
        return entry

    def _read(self, step: Consume, *, full: bool) -> _Read:
        """The changes since the cursors give the scope; then every input is read at its moment, as far as needed."""
        consumed = self._consumed()
        fresh = [name for name in step.moved if name not in consumed]
        if full or fresh:
            fetched = self._fetched(lambda name, up: up.rows(step.at[name], ()), self._upstreams)
            return self._as_read(fetched, EVERYTHING, step)
        changes = self._fetched(lambda name, up: up.changes(consumed[name], step.at[name]), step.moved)
        changed = {name: change.rows for name, change in changes.items() if change.rows.num_rows}
        scope = self._parts.workshop.scope(self._parts.manifest, changed) if changed else ()
        if isinstance(scope, tuple) and not any(part.num_rows for part in scope):
            return self._nothing_touched(step, changes)
        manifest = self._parts.manifest
        fetched = self._fetched(lambda n, up: up.rows(step.at[n], pushdown(manifest, n, scope)), self._upstreams)
        return self._as_read(fetched, scope, step)

    def _fetched(self, fetch: Callable[[str, Upstream], Fetched], names: Iterable[str]) -> dict[str, Fetched]:
        """What each of the inputs answers, all asked at once."""
        asked = {name: self._askers.submit(fetch, name, self._upstreams[name]) for name in names}
        return {name: answer.result() for name, answer in asked.items()}

    def _nothing_touched(self, step: Consume, known: Mapping[str, Fetched]) -> _Read:
        fetched = {n: known.get(n) or up.changes(step.at[n], step.at[n]) for n, up in self._upstreams.items()}
        return _Read({}, (), self._reached(fetched, step))

    def _as_read(self, fetched: Mapping[str, Fetched], scope: Scope, step: Consume) -> _Read:
        return _Read({name: f.rows for name, f in fetched.items()}, scope, self._reached(fetched, step))

    def _reached(self, fetched: Mapping[str, Fetched], step: Consume) -> tuple[Reached, ...]:
        product = {i.name: str(i.source.product) for i in self._parts.manifest.product_inputs}
        return tuple(Reached(product[name], step.at[name], f.ancestors) for name, f in fetched.items())

    def _made(self, run: Run, step: Consume, read: _Read) -> Any:
        merged(self._parts.address, read.reached)
        if not read.tables:
            return None
        log = self._parts.runs.log_file(run.id)
        return self._parts.workshop.transform(self._parts.manifest, read.tables, read.scope, step.at, log)

    def _writes(self, made: Any, scope: Scope) -> dict[str, Write]:
        if made is None:
            return {}
        replaced = scope if isinstance(scope, tuple) else EVERYTHING
        return {table: Write(m.rows, scope=replaced, kept=m.kept) for table, m in made.outputs.items()}

    def _story(self, run: Run, step: Consume, read: _Read, *, full: bool) -> Story:
        return Story(
            "run",
            above=max(step.at.values()),
            run=run.id,
            revision=self._parts.revision,
            cursors={name: str(moment) for name, moment in step.at.items()},
            provenance=merged(self._parts.address, read.reached),
            unparked=tuple(batch["id"] for batch in self._parts.log.parked()) if full else (),
        )

    def _park(self, run: Run, step: Consume, broken: TulleError) -> Entry:
        """The cursors move on, so that later changes are taken; what is served, and what it was made from, stays."""
        since = {name: str(moment) for name, moment in self._consumed().items()}
        until = {name: str(moment) for name, moment in step.at.items()}
        batch = {"id": run.id, "since": since, "until": until, "error": broken.as_document()}
        head = self._parts.log.head()
        story = Story(
            "park",
            above=max(step.at.values()),
            run=run.id,
            revision=self._parts.revision,
            cursors=until,
            provenance=head.story.provenance if head else {},
            parked=(batch,),
        )
        entry = self._parts.log.commit(self._writes(None, ()), story)
        self._failed_at, self._failure = None, broken
        self._parts.runs.end(run, "parked", moment=entry.processing_time, error=broken.as_document())
        self._parts.journal.say("parked", "error", run=run.id, **broken.as_document())
        self._condition.count("parked")
        self._bell.ring()
        return entry

    def _told(self, run: Run, entry: Entry, took: Mapping[str, int], warnings: tuple[str, ...]) -> None:
        self._bell.ring()
        published(self._parts, run, entry, took, warnings)
        if warnings or self._condition.warnings:
            look_again(self._parts, self._condition)

    def _broken(self, run: Run, step: Consume, broken: TulleError) -> None:
        """Nothing is published, the last good state is served.

        What may pass at another attempt is raised again. After a few, an input's next change, or somebody, tries again.
        """
        self._attempts += 1
        if broken.retryable or (self._attempts < ATTEMPTS and broken.code != "E024"):
            self._parts.runs.end(run, "failed", error=broken.as_document())
            raise broken
        self._attempts = 0
        self._failed_at, self._failure = dict(step.at), broken
        self._parts.runs.end(run, "failed", error=broken.as_document())
        self._parts.journal.say("run failed", "error", run=run.id, **broken.as_document())
        self._condition.count("failed")
