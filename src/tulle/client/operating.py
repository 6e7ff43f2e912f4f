"""Small steps of the verbs: what is sent, and what is read from the documents that come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tulle.client.answer import Answer
from tulle.client.calls import Call, Calls
from tulle.client.changes import Change, Changes, change_of
from tulle.client.where import scalar
from tulle.errors import NotThere, TulleError, Unavailable, nearest
from tulle.formats.events import change_documents
from tulle.uris import PortAddress, ProductName, parse_port

_MARGIN = 10.0
LONGEST_WAIT = 60.0
"""A wait is asked for in stretches, so that a door may restart meanwhile."""


def asked(
    port: PortAddress,
    where: Mapping[str, Any] | str,
    reason: str,
    expect: int | None,
    preview: bool,  # noqa: FBT001  # as the verb has it
) -> dict[str, Any]:
    """The body of a retraction, or of the lifting of one."""
    facts = where if isinstance(where, str) else {name: scalar(value) for name, value in where.items()}
    table = f"{port.port}@{port.major}" if port.port and port.major else port.port
    body = {"port": table, "where": facts, "reason": reason, "expect": expect, "preview": preview or None}
    return {name: said for name, said in body.items() if said is not None}


def waited(calls: Calls, product: ProductName, seen: str, seconds: float) -> dict[str, Any]:
    """The provenance of `product` once it covers `seen`. Raises `Unavailable` E074 after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        left = max(0.0, deadline - time.monotonic())
        stretch = min(left, LONGEST_WAIT)
        pairs = (("seen", seen), ("wait", f"{stretch:.3f}"))
        try:
            path = f"/{product}/observability/provenance"
            document: dict[str, Any] = calls.document(Call(path, product, pairs, seconds=stretch + _MARGIN))
            return document
        except Unavailable as problem:
            if problem.code != "E074" or left <= LONGEST_WAIT:
                raise


def listed(answer: Answer) -> Changes:
    """Changes that came as a table, one by one. Only after the last is the cursor past them."""
    documents = change_documents(answer.arrow())
    cursor = [""]

    def each() -> Iterator[Change]:
        for number, document in enumerate(documents, 1):
            cursor[0] = str(answer.moment) if number == len(documents) else cursor[0]
            yield change_of(document, cursor[0])
        cursor[0] = str(answer.moment)

    return Changes(each(), lambda: cursor[0], lambda: None)


def output_of(document: Mapping[str, Any], address: PortAddress) -> Mapping[str, Any]:
    """The output port that an address means in a description. Raises `NotThere` E404."""
    outputs = document["outputs"]
    name = address.port or default_port(document)
    chosen = [o for o in outputs if o["name"] == name and address.major in (None, _major(o))]
    if not chosen:
        known = [o["port"] for o in outputs]
        hint = nearest(name, known) or f"Its ports: {', '.join(known)}"
        raise NotThere("E404", f"no output port {address}", why=hint, fix=f"tulle describe {address.product}")
    found: Mapping[str, Any] = max(chosen, key=_major)
    return found


def columns_of(document: Mapping[str, Any], address: PortAddress) -> dict[str, str]:
    """The columns of a port and their types, its times included, from the product's description."""
    output = output_of(document, address)
    columns = {column["name"]: column["type"] for column in output["columns"]}
    times = ["actual_time", "processing_time"]
    if output.get("actual_time", {}).get("until"):
        times.insert(1, "actual_until")
    return columns | {name: "timestamp" for name in times if name not in columns}


def default_port(document: Mapping[str, Any]) -> str:
    """The port that is read where none is named: the first that the product declares."""
    return str(document["outputs"][0]["name"])


def made_from(
    product: ProductName, names: Iterable[ProductName], describe: Callable[[ProductName], Mapping[str, Any]]
) -> list[ProductName]:
    """Every product that is made from `product`, directly or through others, by their own descriptions."""
    sources = {name: _sources(name, describe) for name in names}
    found, grown = {product}, True
    while grown:
        more = {name for name, read in sources.items() if read & found} - found
        found, grown = found | more, bool(more)
    return sorted(found - {product})


def source_of(port: Mapping[str, Any]) -> ProductName:
    """The product that an input port of a description reads."""
    return parse_port(str(port["from"])).product


def status_of(calls: Calls, product: ProductName) -> dict[str, Any]:
    """The status of one product; one that cannot be asked is told as such."""
    try:
        document: dict[str, Any] = calls.document(Call(f"/{product}/observability/status", product))
        return document
    except TulleError as error:
        state = "Away" if isinstance(error, Unavailable) else "Unknown"
        reason = error.why.splitlines()[0] if error.why else error.what
        return {"product": str(product), "state": state, "reason": reason, "error": error.as_document()}


def _sources(name: ProductName, describe: Callable[[ProductName], Mapping[str, Any]]) -> set[ProductName]:
    try:
        inputs = describe(name).get("inputs", ())
    except TulleError:  # who cannot be asked now cannot be waited for either
        return set()
    return {source_of(port) for port in inputs if port.get("kind") == "product"}


def _major(output: Mapping[str, Any]) -> int:
    return int(str(output["version"]).split(".", 1)[0])
