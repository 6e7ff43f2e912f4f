"""A mesh, to work with: every verb of the command line, as a method."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tulle.client import operating
from tulle.client.answer import Answer
from tulle.client.calls import PATIENCE, Call, Calls
from tulle.client.changes import Change, Changes, change_of_event
from tulle.client.doors import Doors, FolderNames, Place, find_mesh
from tulle.client.follow import Follow
from tulle.client.remote import FrontNames
from tulle.client.sign_in import LIFE, SignIn
from tulle.client.together import Seen, side_by_side
from tulle.client.where import Where, predicates
from tulle.errors import NotThere, TulleError
from tulle.formats.questions import ChangeQuestion, as_at, change_pairs, port_path, read_pairs
from tulle.product.reading import Read, Stamp
from tulle.times import LATEST, AsOf, Latest, Moment, Period, parse_as_of, parse_at, parse_moment
from tulle.uris import PortAddress, ProductName, parse_port, parse_product

When = str | date | datetime | Moment
_NO_DIGEST = {"Tulle-Digest": "off"}


class Mesh:
    """One mesh, asked as one subject. Answers of one `Mesh` never go back in time."""

    def __init__(self, calls: Calls, sign_in: SignIn | None = None, name: str = "") -> None:
        self.calls, self.sign_in, self.name = calls, sign_in, name
        self._seen = Seen()
        self._default_ports: dict[ProductName, str] = {}

    @classmethod
    def at(
        cls,
        place: Place,
        subject: str = "",
        teams: Sequence[str] | None = None,
        token: str = "",
        patience: float = PATIENCE,
    ) -> Mesh:
        """The mesh at `place`, asked as `subject`: by default whoever TULLE_TOKEN speaks of, or the person here."""
        given = token or ("" if subject else os.environ.get("TULLE_TOKEN", ""))
        sign_in = SignIn(place.issuer_socket, subject, teams, given)
        if place.state is not None:
            doors = Doors(FolderNames(place.state / "names"), place.front_door)
            return cls(Calls(doors, sign_in, patience), sign_in, place.mesh)
        front = FrontNames(place.front_door, sign_in, patience)
        return cls(Calls(Doors(front, place.front_door), sign_in, patience), sign_in, place.mesh)

    @property
    def front_door(self) -> str:
        """The address of the mesh's front door."""
        return self.calls.doors.front_door

    def __repr__(self) -> str:
        return f"<Mesh {self.name} at {self.front_door}>"

    # -- find

    def products(self) -> tuple[str, ...]:
        """The name of every product, in order."""
        return tuple(str(product) for product in self.calls.doors.all())

    def search(self, words: str = "") -> dict[str, Any]:
        """Products that match words: `found`, each with why it did, and `hint` when nothing does."""
        return self._front("/search", ("q", words))

    def describe(self, address: str) -> dict[str, Any]:
        """The product's description: purpose, ports with their columns, how to read it."""
        return self._product_document(parse_port(address).product, "")

    def lineage(self, address: str | None = None) -> dict[str, Any]:
        """What is made from what: over the whole mesh, or around one product."""
        return self._front(f"/lineage/{parse_port(address).product}" if address else "/lineage")

    def status(self, address: str | None = None) -> dict[str, Any]:
        """How a product is, or every product, and in a line why nothing happens. It needs no mesh plane."""
        if address:
            return self._product_document(parse_port(address).product, "/observability/status")
        impatient = Calls(self.calls.doors, self.calls.token, min(1.0, self.calls.patience))
        return {"products": side_by_side(partial(operating.status_of, impatient), self.calls.doors.all())}

    # -- read

    def load(
        self,
        address: str,
        as_of: When | Latest | None = None,
        at: When | Period | None = None,
        columns: Sequence[str] | None = None,
        where: Where = None,
        order: Sequence[str] | str | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Rows of a port. `as_of`: as the mesh knew it then. `at`: as it was in the world then."""
        ordered = tuple(order.split(",")) if isinstance(order, str) else tuple(order or ())
        chosen = (columns,) if isinstance(columns, str) else tuple(columns or ())
        question = Read(
            parse_port(address), parse_as_of(as_of), parse_at(at), chosen, predicates(where), ordered, limit
        )
        return self.read(question)

    def read(self, question: Read) -> Answer:
        """The answer to one question."""
        return self._answer(*self._rows(question))

    def sql(self, text: str, as_of: When | Latest | None = None, at: When | Period | None = None) -> Answer:
        """One SELECT over any products: `select ... from domain.product join domain."product:port@1" using (...)`."""
        from tulle.client.crossing import Reader, cross
        from tulle.formats.sql import parse

        query, known, then = parse(text), parse_as_of(as_of), parse_at(at)
        products = tuple(dict.fromkeys(source.address.product for source in query.sources))
        if len(products) == 1 and not query.timed:
            answer = self._at_its_door(products[0], text, known, at)
            if answer is not None:
                return answer
        reader = Reader(self.columns, self._safe, self._part)
        rows, stamp, parts = cross(query, known, then, self._seen.newest(products), reader)
        return self._answer(rows, stamp, parts)

    def history(self, address: str, where: Where = None, limit: int | None = None) -> Answer:
        """Every version of the facts that `where` matches, retractions included."""
        question = Read(parse_port(address), where=predicates(where), limit=limit)
        return self._answer(*self._ported(question, "/history"))

    def changes(
        self,
        address: str,
        since: When | None = None,
        until: When | None = None,
        follow: bool = False,  # noqa: FBT001  # a word of the SDK
        every: bool = False,  # noqa: FBT001  # same
    ) -> Changes:
        """What changed after `since`, change by change; with `follow` it stays and tells what comes."""
        start = parse_moment(since) if since is not None else Moment(0)
        question = ChangeQuestion(start, parse_as_of(until), every, follow)
        if follow:
            return self._followed(parse_port(address), question)
        return operating.listed(self.changed(address, start, until, every=every))

    def changed(self, address: str, since: When, until: When | Latest | None = None, *, every: bool = False) -> Answer:
        """The changes of one stretch of processing time as a table: `_change`, the row after, `before`."""
        question = ChangeQuestion(parse_moment(since), parse_as_of(until), every)
        read = Read(parse_port(address))
        return self._answer(*self._ported(read, "/changes", change_pairs(question)))

    def columns(self, address: PortAddress) -> dict[str, str]:
        """The columns of a port and their types, its times included."""
        document = self._product_document(address.product, "")
        return operating.columns_of(document, address)

    # -- change and watch

    def retract(
        self,
        address: str,
        where: Mapping[str, Any] | str,
        reason: str,
        wait: bool = False,  # noqa: FBT001  # a word of the SDK
        expect: int | None = None,
        preview: bool = False,  # noqa: FBT001  # same
    ) -> dict[str, Any]:
        """Takes facts back where they entered the mesh. With `wait` it returns when all that is made of them has it."""
        port = parse_port(address)
        done = self._control(port, "retract", operating.asked(port, where, reason, expect, preview))
        return done if preview or not wait else done | {"reached": self._everywhere(port.product, done["moment"])}

    def lift(self, address: str, where: Mapping[str, Any] | str, reason: str, preview: bool = False) -> dict[str, Any]:  # noqa: FBT001  # a word of the SDK
        """Lifts a retraction: the facts stand again with the values they had."""
        port = parse_port(address)
        return self._control(port, "lift", operating.asked(port, where, reason, None, preview))

    def run(
        self,
        address: str,
        full: bool = False,  # noqa: FBT001  # a word of the SDK
        parked: bool = False,  # noqa: FBT001  # same
        since: When | None = None,
    ) -> dict[str, Any]:
        """Runs a product again: over everything, over parked batches, or from the inputs consumed since a moment."""
        body: dict[str, Any] = {"full": full, "parked": parked}
        if since is not None:
            body["since"] = str(parse_moment(since))
        return self._control(parse_port(address), "run", body)

    def wait(self, address: str, seen: tuple[str, When] | str, seconds: float = 60.0) -> dict[str, Any]:
        """Returns the provenance of a product once it covers `seen`: a product and a moment of it.

        Raises `Unavailable` E074 when that takes longer than `seconds`.
        """
        other, _, text = seen.partition("@") if isinstance(seen, str) else (seen[0], "@", seen[1])
        moment = parse_moment(text)
        return operating.waited(self.calls, parse_port(address).product, f"{parse_product(other)}@{moment}", seconds)

    def log(self, address: str, limit: int = 20) -> list[dict[str, Any]]:
        """What a product published, newest first."""
        pairs = (("limit", str(limit)),)
        return list(self._product_document(parse_port(address).product, "/observability/ledger", pairs)["entries"])

    def logs(self, address: str, limit: int = 50) -> list[Any]:
        """What a product's process and code said, oldest first."""
        pairs = (("limit", str(limit)),)
        return list(self._product_document(parse_port(address).product, "/observability/logs", pairs)["lines"])

    def runs(self, address: str, limit: int = 20) -> list[dict[str, Any]]:
        """A product's runs, newest first."""
        pairs = (("limit", str(limit)),)
        return list(self._product_document(parse_port(address).product, "/observability/runs", pairs)["runs"])

    def observe(self, address: str, what: str) -> Any:
        """A document of the observability port by its name: metrics, provenance, decisions, ..."""
        return self._product_document(parse_port(address).product, f"/observability/{what}")

    def token(self, subject: str = "", teams: Sequence[str] | None = None, seconds: int = LIFE) -> str:
        """A token to ask with, from anywhere that reaches this mesh."""
        if self.sign_in is None or not (subject or teams is not None or seconds != LIFE):
            return self.calls.token()
        return self.sign_in.mint(subject, teams, seconds)

    def link(self) -> str:
        """An address that signs a browser in, once."""
        if self.sign_in is None:
            raise NotThere("E003", "no issuer is known here", fix="tulle token")
        return f"{self.front_door}/in/{self.sign_in.code()}"

    # -- how

    def _answer(self, rows: pa.Table, stamp: Stamp, parts: Iterable[Stamp] = ()) -> Answer:
        answer = Answer(rows, stamp, tuple(parts))
        for part in answer.parts or (stamp,):
            self._seen.note(part)
        return answer

    def _rows(self, question: Read, headers: Mapping[str, str] | None = None) -> tuple[pa.Table, Stamp]:
        return self._ported(question, "", headers=headers)

    def _part(self, question: Read) -> tuple[pa.Table, Stamp]:
        return self._rows(question, _NO_DIGEST)

    def _ported(
        self,
        question: Read,
        tail: str,
        pairs: Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[pa.Table, Stamp]:
        """Rows from a port; the one that a product has in place of `rows` is found out when it is needed."""
        port, asked = question.port, read_pairs(question) if pairs is None else pairs
        known = replace(port, port=port.port or self._default_ports.get(port.product))
        try:
            return self.calls.rows(Call(port_path(known) + tail, port.product, asked, headers=headers or {}))
        except NotThere as lost:
            if lost.code != "E404" or known.port:
                raise
            name = operating.default_port(self._product_document(port.product, ""))
            if name == "rows":
                raise
            self._default_ports[port.product] = name
            return self.calls.rows(
                Call(port_path(replace(port, port=name)) + tail, port.product, asked, headers=headers or {})
            )

    def _at_its_door(self, product: ProductName, text: str, as_of: AsOf, at: When | Period | None) -> Answer | None:
        """The answer of the one product asked; None if its door does not take the statement, but the reader may."""
        body = {"sql": text, "as_of": None if as_of is LATEST else str(as_of), "at": as_at(parse_at(at))}
        body = {name: said for name, said in body.items() if said is not None}
        try:
            return self._answer(*self.calls.rows(Call(f"/{product}/sql", product, body=body)))
        except TulleError as refusal:
            if refusal.code != "E202":
                raise
            return None

    def _safe(self, product: ProductName) -> Moment:
        document = self._product_document(product, "/clock")
        return parse_moment(document["safe"])

    def _followed(self, port: PortAddress, question: ChangeQuestion) -> Changes:
        if port.port is None and port.product not in self._default_ports:
            self._default_ports[port.product] = operating.default_port(self._product_document(port.product, ""))
        known = replace(port, port=port.port or self._default_ports[port.product])
        stream = Follow(self.calls, Call(f"{port_path(known)}/changes", port.product, change_pairs(question)))
        return Changes(_told(stream), lambda: stream.cursor or str(question.since), stream.close)

    def _control(self, port: PortAddress, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = self.calls.document(
            Call(f"/{port.product}/control/{verb}", port.product, body=body, safe=False)
        )
        return done

    def _everywhere(self, product: ProductName, moment: str, seconds: float = 60.0) -> dict[str, Any]:
        """The moments at which every product made from `product` has seen `moment`."""
        below = operating.made_from(product, self.calls.doors.all(), lambda name: self._product_document(name, ""))
        waiting = partial(operating.waited, self.calls, seen=f"{product}@{moment}", seconds=seconds)
        reached = side_by_side(waiting, below)
        return {str(name): document["moment"] for name, document in zip(below, reached, strict=True)}

    def _product_document(
        self, product: ProductName, tail: str, pairs: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        document: dict[str, Any] = self.calls.document(Call(f"/{product}{tail}", product, pairs))
        return document

    def _front(self, path: str, *pairs: tuple[str, str]) -> dict[str, Any]:
        document: dict[str, Any] = self.calls.document(Call(path, None, pairs))
        return document


def connect(
    mesh: str | Path | None = None, token: str = "", subject: str = "", teams: Sequence[str] | None = None
) -> Mesh:
    """The mesh that is meant: a state folder or an address; else that of the nearest tulle.yaml, of TULLE_MESH, or the
    one that is running.
    """
    return Mesh.at(find_mesh(mesh), subject, teams, token)


def _told(stream: Follow) -> Iterator[Change]:
    for event in stream:
        yield change_of_event(event)
