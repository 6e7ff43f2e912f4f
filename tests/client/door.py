"""A small mesh that speaks the contract: real sockets, real rows, answers made with a real engine."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.waiting import eventually
from tulle.errors import Denied, NotThere, TulleError, Unavailable, Unidentified
from tulle.formats.answers import MEDIA, accepted, answer_chunks, stamp_headers
from tulle.formats.events import change_events
from tulle.formats.guard import guard
from tulle.formats.questions import change_question, read_question, split_format
from tulle.product.reading import Predicate, Stamp
from tulle.times import Moment, parse_moment
from tulle.uris import parse_port

TIMES = {"actual_time": "timestamp", "processing_time": "timestamp"}


@dataclass
class Product:
    """One product of the small mesh: its rows per moment, the oldest first."""

    name: str
    columns: Mapping[str, str]
    states: list[tuple[Moment, pa.Table]]
    port: str = "rows"
    inputs: tuple[str, ...] = ()
    safe: Moment | None = None
    ancestors: tuple[tuple[str, Moment, Moment], ...] = ()
    asked: list[tuple[str, str]] = field(default_factory=list)
    retracted: list[Mapping[str, Any]] = field(default_factory=list)
    refuse_token: set[str] = field(default_factory=set)
    stumble: int = 0
    hang_up_after: int | None = None
    leaving: bool = False
    deny: bool = False

    @property
    def published(self) -> Moment:
        return self.states[-1][0]

    def at(self, moment: Moment) -> pa.Table:
        known = [rows for when, rows in self.states if when <= moment]
        return known[-1] if known else self.states[0][1].slice(0, 0)

    def stamp(self, moment: Moment, rows: int) -> Stamp:
        return Stamp(f"{self.name}:{self.port}@1", moment, self.ancestors, f"{rows}:sealed", rows, "1.0.0")


class Door:
    """The HTTP of one product, as a container has it."""

    def __init__(self, product: Product) -> None:
        self.product = product

    def routes(self) -> list[Route]:
        handlers: dict[str, Callable[[Request], Any]] = {
            "": self.describe,
            "/clock": self.clock,
            "/observability/status": self.status,
            "/observability/provenance": self.provenance,
            "/observability/ledger": self.ledger,
            "/{port}/changes": self.changes,
            "/{port}/history": self.rows,
            "/{port}": self.rows,
        }
        head = f"/{self.product.name}"
        made = [Route(head + "/sql", self.told(self.sql), methods=["POST"])]
        made += [Route(head + "/control/retract", self.told(self.retract), methods=["POST"])]
        return made + [Route(head + path, self.told(handler)) for path, handler in handlers.items()]

    def told(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            self.product.asked.append((request.method, str(request.url).split("/", 3)[3]))
            try:
                self._identified(request)
                made: Response = await handler(request)
                return made
            except TulleError as error:
                return JSONResponse({"error": error.as_document()}, error.http_status)

        return answer

    def _identified(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or token in self.product.refuse_token:
            raise Unidentified("E311", "the token is not accepted")
        if self.product.deny:
            raise Denied("E301", "no access")
        if self.product.stumble:
            self.product.stumble -= 1
            raise Unavailable("E006", "starting")

    async def describe(self, _: Request) -> Response:
        columns = [{"name": name, "type": kind} for name, kind in self.product.columns.items()]
        output = {"name": self.product.port, "port": f"{self.product.port}@1", "version": "1.0.0", "columns": columns}
        inputs = [{"name": name, "kind": "product", "from": f"{name}:rows@1"} for name in self.product.inputs]
        document = {
            "product": self.product.name,
            "purpose": f"about {self.product.name}",
            "team": "t",
            "inputs": inputs,
        }
        return JSONResponse(document | {"outputs": [output]})

    async def clock(self, _: Request) -> Response:
        safe = self.product.safe or self.product.published
        return JSONResponse({"published": str(self.product.published), "safe": str(safe)})

    async def status(self, _: Request) -> Response:
        return JSONResponse({"product": self.product.name, "state": "Fresh", "reason": ""})

    async def ledger(self, _: Request) -> Response:
        return JSONResponse({"entries": [{"seq": 1, "moment": str(self.product.published)}]})

    async def provenance(self, request: Request) -> Response:
        seen = request.query_params.get("seen")
        if seen and parse_moment(seen.partition("@")[2]) > self.product.published:
            await asyncio.sleep(float(request.query_params["wait"]))
            raise Unavailable("E074", f"{self.product.name} has not seen {seen}")
        reached = {name: [str(old), str(new)] for name, old, new in self.product.ancestors}
        return JSONResponse(
            {"product": self.product.name, "moment": str(self.product.published), "provenance": reached}
        )

    async def rows(self, request: Request) -> Response:
        port, form = split_format(request.path_params["port"])
        if port.partition("@")[0] != self.product.port:
            raise NotThere("E404", f"no port {port}")
        read = read_question(parse_port(self.product.name), request.query_params.multi_items(), self._columns())
        moment = read.as_of if isinstance(read.as_of, Moment) else self.product.published
        table = chosen(self.product.at(moment), read.columns or tuple(self._columns()), read.where, read.limit)
        return self._answer(request, form, table, moment)

    async def changes(self, request: Request) -> Response:
        asked = change_question(request.query_params.multi_items())
        if asked.follow:
            since = request.headers.get("last-event-id")
            return StreamingResponse(
                self._stream(parse_moment(since) if since else asked.since), media_type="text/event-stream"
            )
        return self._answer(request, None, self._changed(asked.since, self.product.published), self.product.published)

    async def _stream(self, since: Moment) -> AsyncIterator[bytes]:
        sent, last = 0, self.product.hang_up_after
        yield b": here\n\n"
        while not self.product.leaving:
            for when, _ in list(self.product.states):
                if when <= since:
                    continue
                for text in change_events(self._changed(since, when), when):
                    yield text.encode()
                    sent += 1
                    if sent == last:
                        return
                since = when
            await asyncio.sleep(0.01)

    def _changed(self, since: Moment, until: Moment) -> pa.Table:
        with duckdb.connect(":memory:") as engine:
            engine.execute("SET TimeZone = 'UTC'")
            engine.register("old", self.product.at(since))
            engine.register("new", self.product.at(until))
            return engine.sql(
                f"select 'insert' _change, *, null::struct(origin varchar) as before from"
                f" (select * exclude (processing_time), make_timestamptz({until.micros}) processing_time from"
                " (select * exclude (processing_time) , null processing_time from new except"
                "  select * exclude (processing_time), null processing_time from old) x) y"
            ).to_arrow_table()

    async def sql(self, request: Request) -> Response:
        body = await request.json()
        moment = parse_moment(body["as_of"]) if "as_of" in body else self.product.published
        name = self.product.name.replace("/", ".")
        names = {name: self._columns(), self.product.port: self._columns()}
        statement = guard(body["sql"], names)
        with duckdb.connect(":memory:") as engine:
            engine.execute("SET TimeZone = 'UTC'")
            for view in statement.tables:
                engine.register(view, self.product.at(moment))
            return self._answer(request, None, engine.sql(statement.sql).to_arrow_table(), moment)

    async def retract(self, request: Request) -> Response:
        body = await request.json()
        self.product.retracted.append(body)
        return JSONResponse({"retracted": 1, "moment": str(self.product.published), "seq": 2})

    def _columns(self) -> dict[str, str]:
        return {**self.product.columns, **TIMES}

    def _answer(self, request: Request, form: str | None, table: pa.Table, moment: Moment) -> Response:
        stamp = self.product.stamp(moment, table.num_rows)
        form = form or accepted(request.headers.get("accept", ""))
        return StreamingResponse(
            answer_chunks(form, table, stamp), media_type=MEDIA[form], headers=stamp_headers(stamp)
        )


def chosen(rows: pa.Table, columns: tuple[str, ...], where: tuple[Predicate, ...], limit: int | None) -> pa.Table:
    """The rows that meet the conditions."""
    values: list[Any] = []
    tests = ["true"]
    for part in where:
        many = part.value if isinstance(part.value, tuple) else () if part.value is None else (part.value,)
        marks = f"({', '.join('?' * len(many))})" if part.operator == "in" else "?" * len(many)
        tests.append(f'"{part.column}" {part.operator} {marks}')
        values += many
    text = f"select {', '.join(columns)} from rows where {' and '.join(tests)}"
    with duckdb.connect(":memory:") as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.register("rows", rows)
        return engine.sql(text + (f" limit {limit}" if limit is not None else ""), params=values).to_arrow_table()


class Served:
    """A product that is being served, and can be stopped and started again elsewhere."""

    def __init__(self, product: Product, names: Path) -> None:
        self.product, self._names = product, names
        self._app = Starlette(routes=Door(product).routes())
        self.start()

    def start(self) -> None:
        self.product.leaving = False
        listening = socket.create_server(("127.0.0.1", 0))
        self.door = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(self._app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        eventually(lambda: self._server.started, 5)
        self._register()

    def _register(self) -> None:
        path = self._names / f"{self.product.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"uri": "x", "door": self.door, "stage": "serving", "pid": 1, "folder": ""}))

    def fresh(self, product: Product, names: Path) -> None:
        """Makes it `product` as it is, for the next test."""
        self.product.leaving = True  # whoever still follows is let go
        self.product.__dict__.update(product.__dict__)
        self._names = names
        if self._thread.is_alive():
            self._register()
        else:
            self.start()

    def stop(self) -> None:
        self.product.leaving = True
        self._server.should_exit = True
        self._thread.join(5)


class Issuer:
    """Mints tokens over a Unix socket by the line protocol. They are not signed: nobody here checks."""

    def __init__(self, path: Path) -> None:
        self.path, self.asked = path, []  # type: tuple[Path, list[dict[str, Any]]]
        self.life = 3_600
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line, line.makefile("rb") as lines:
                request = json.loads(lines.readline())
                self.asked.append(request)
                line.sendall(json.dumps(self._answer(request)).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("op") == "code":
            return {"code": "c0de"}
        if request.get("sub") == "nobody":
            return {"error": Unidentified("E310", "not you").as_document()}
        claims = {"sub": request["sub"], "exp": time.time() + min(self.life, request["ttl"]), "n": len(self.asked)}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return {"token": f"h.{body}.s"}


@contextmanager
def serving(products: list[Product], names: Path) -> Iterator[dict[str, Served]]:
    """The products, served, by name."""
    doors = {product.name: Served(product, names) for product in products}
    try:
        yield doors
    finally:
        for served in doors.values():
            served.stop()
