"""The door of one product: HTTP in, answers out, for all five ports, from the one table of routes."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tulle.container import control, discover, observe
from tulle.container.parts import Bell, Condition, Parts
from tulle.container.requests import bearer, body_of, most, number, refusal, unknown_address, written
from tulle.container.serve import Serve
from tulle.container.sidecar import Sidecar
from tulle.container.standing import look_again
from tulle.container.streams import Streams, streamed
from tulle.container.worker import Worker
from tulle.errors import NotThere, TulleError
from tulle.formats.answers import accepted, as_rows
from tulle.formats.questions import change_question, read_question, readable_columns, split_format
from tulle.formats.routes import PRODUCT_ROUTES
from tulle.policy.decide import Action, Principal
from tulle.product.reading import Read
from tulle.times import parse_as_of, parse_at, parse_moment
from tulle.uris import PortAddress, parse_port, parse_product

Handler = Callable[[Request], Awaitable[Response]]

LONGEST_WAIT = 300.0
SAMPLE_ROWS = 5


class Door:
    """Reads requests, has them admitted, hands them to the part that answers, writes what comes back."""

    def __init__(self, parts: Parts, condition: Condition, bell: Bell, worker: Worker, sidecar: Sidecar) -> None:
        self._parts, self._condition, self._bell, self._worker = parts, condition, bell, worker
        self._sidecar = sidecar
        self._serve = Serve(parts, condition)
        self._streams = Streams(parts, bell, self._serve)

    def application(self) -> Starlette:
        """The ASGI application: one route per row of the table that belongs to a product."""
        handlers = self._handlers()
        routes = [
            Route(row.path, self._guarded(handlers[row.name]), methods=[row.method], name=row.name)
            for row in PRODUCT_ROUTES
        ]
        return Starlette(routes=routes, exception_handlers={404: unknown_address, 405: unknown_address})

    def _handlers(self) -> dict[str, Handler]:
        parts, condition = self._parts, self._condition
        say = self._document
        return {
            "describe": say("discover", lambda _: discover.description(parts)),
            "schema": say("discover", lambda _: discover.schema(parts)),
            "time": say("discover", lambda _: discover.temporal_shape(parts)),
            "how": say("discover", lambda _: discover.how(parts)),
            "sample": say("read", lambda _: self._sample()),
            "status": say("discover", lambda _: observe.status(parts, condition)),
            "runs": say("observe", lambda r: {"runs": list(parts.runs.newest(most(r)))}),
            "run_record": say("observe", lambda r: self._run_record(r.path_params["id"])),
            "logs": self._logs,
            "metrics": say("observe", lambda _: observe.metrics(parts, condition)),
            "provenance": self._provenance,
            "decisions": say("control", lambda r: {"decisions": list(parts.decisions.newest(most(r)))}),
            "ledger": say("observe", lambda r: {"entries": observe.ledger(parts, most(r))}),
            "retract": self._control(control.retract),
            "lift": self._control(control.lift),
            "run": self._run,
            "inputs": say("observe", lambda _: self._inputs()),
            "parked": say("observe", lambda _: {"parked": [dict(batch) for batch in parts.log.parked()]}),
            "clock": say("discover", lambda _: self._clock()),
            "announcements": self._announcements,
            "sql": self._sql,
            "changes": self._changes,
            "history": self._history,
            "read": self._read,
        }

    def _guarded(self, handler: Handler) -> Handler:
        """Every error leaves as the same document; one that nobody foresaw leaves as E008, its story in the log."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except TulleError as error:
                return refusal(error)
            except Exception as fault:  # noqa: BLE001 - the edge of the process
                self._parts.journal.say("fault", "error", path=request.url.path, traceback=traceback.format_exc())
                return refusal(TulleError("E008", f"an internal error: {type(fault).__name__}"))

        return answer

    async def _admit(self, request: Request, action: Action, detail: str = "") -> Principal:
        return await asyncio.to_thread(self._sidecar.admit, bearer(request), action, detail or request.url.path)

    def _document(self, action: Action, make: Callable[[Request], Any]) -> Handler:
        async def answer(request: Request) -> Response:
            await self._admit(request, action)
            return JSONResponse(await asyncio.to_thread(make, request))

        return answer

    async def _read(self, request: Request) -> Response:
        await self._admit(request, "read")
        asked, form = split_format(request.path_params["port"])
        read = self._question(request, asked)
        sealed = request.headers.get("tulle-digest") != "off"
        served = await asyncio.to_thread(self._serve.rows, read, digest=sealed)
        return written(served.rows, served.stamp, form or _form(request))

    async def _history(self, request: Request) -> Response:
        await self._admit(request, "read")
        read = self._question(request, request.path_params["port"])
        served = await asyncio.to_thread(self._serve.history, read)
        return written(served.rows, served.stamp, _form(request))

    async def _changes(self, request: Request) -> Response:
        port = self._address(request.path_params["port"])
        asked = change_question(request.query_params.multi_items())
        if asked.follow or "text/event-stream" in request.headers.get("accept", ""):
            await self._admit(request, "subscribe")
            since = request.headers.get("last-event-id")
            start = parse_moment(since) if since else asked.since
            return streamed(self._streams.changes(port, start, every=asked.every))
        await self._admit(request, "read")
        made = await asyncio.to_thread(self._serve.changes, port, asked.since, asked.until, every=asked.every)
        return written(made.rows, made.stamp, _form(request))

    async def _sql(self, request: Request) -> Response:
        await self._admit(request, "read")
        body = await body_of(request, {"sql", "as_of", "at"})
        sql, as_of, at = str(body.get("sql", "")), parse_as_of(body.get("as_of")), parse_at(body.get("at"))
        served = await asyncio.to_thread(self._serve.query, sql, as_of, at)
        return written(served.rows, served.stamp, _form(request))

    def _control(self, act: Callable[[Parts, Principal, control.Retraction], dict[str, Any]]) -> Handler:
        async def answer(request: Request) -> Response:
            principal = await self._admit(request, "control")
            body = await body_of(request, {"port", "where", "reason", "expect", "preview"})
            asked = control.asked(body)
            done = await asyncio.wrap_future(self._worker.ask(lambda: act(self._parts, principal, asked)))
            self._bell.ring()
            self._worker.ask(lambda: look_again(self._parts, self._condition))
            return JSONResponse(done)

        return answer

    async def _run(self, request: Request) -> Response:
        await self._admit(request, "control")
        body = await body_of(request, {"full", "parked", "since"})
        return JSONResponse(await asyncio.wrap_future(self._worker.ask(lambda: self._worker.again(body))))

    async def _provenance(self, request: Request) -> Response:
        await self._admit(request, "observe")
        wanted = request.query_params.get("seen")
        if not wanted:
            return JSONResponse(await asyncio.to_thread(observe.provenance, self._parts))
        product, _, moment = wanted.partition("@")
        seconds = min(number(request, "wait", 0.0), LONGEST_WAIT)
        return JSONResponse(
            await observe.seen(self._parts, self._bell, str(parse_product(product)), parse_moment(moment), seconds)
        )

    async def _logs(self, request: Request) -> Response:
        await self._admit(request, "observe")
        lines = await asyncio.to_thread(self._parts.journal.tail, most(request))
        return JSONResponse({"lines": lines})

    async def _announcements(self, request: Request) -> Response:
        await self._admit(request, "subscribe")
        since = request.headers.get("last-event-id") or request.query_params.get("since")
        return streamed(self._streams.announcements(parse_moment(since) if since else None))

    def _question(self, request: Request, port: str) -> Read:
        address = self._address(port)
        output = self._parts.output(address.port, address.major)
        return read_question(address, request.query_params.multi_items(), readable_columns(output))

    def _address(self, port: str) -> PortAddress:
        return parse_port(f"{self._parts.address}:{port}")

    def _sample(self) -> dict[str, Any]:
        samples = {}
        for output in self._parts.manifest.outputs:
            address = PortAddress(self._parts.manifest.product, output.name, output.major)
            served = self._serve.rows(Read(address, limit=SAMPLE_ROWS), digest=False)
            samples[output.table] = as_rows(served.rows)
        return samples

    def _clock(self) -> dict[str, str]:
        return {"published": str(self._parts.log.published()), "safe": str(self._parts.log.safe())}

    def _inputs(self) -> dict[str, Any]:
        cursors, heard = self._parts.log.cursors(), self._condition.upstream
        return {
            "inputs": {
                i.name: {"kind": type(i).__name__, "cursor": cursors.get(i.name), "heard": heard.get(i.name)}
                for i in self._parts.manifest.inputs
            }
        }

    def _run_record(self, run_id: str) -> dict[str, Any]:
        record = self._parts.runs.find(run_id)
        if record is None:
            raise NotThere("E404", f"{self._parts.address} has no run {run_id}", fix=f"tulle log {self._parts.address}")
        return record


def _form(request: Request) -> str:
    return accepted(request.headers.get("accept", ""))
