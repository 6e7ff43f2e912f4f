"""`tulle status`, `search`, `describe`, `lineage`: what there is, how it is, what it is made from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tulle.faces.cli.asking import declare_address, mesh
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.showing import as_json, patience, remark, show, show_facts, table
from tulle.uris import parse_port

_STATUS = ("product", "state", "published", "reason")


def _declare_status(parser: argparse.ArgumentParser) -> None:
    declare_address(parser, optional=True)
    parser.add_argument("--door", action="store_true", help="only the address of the front door")


def _status(words: Words) -> None:
    asked = mesh()
    if words.door:
        print(asked.front_door)
        return
    with patience("asking every product"):
        document = asked.status(words.address)
    if words.address:
        _one_status(document, words.output)
        return
    rows = [_status_row(product) for product in document["products"]]
    if words.output == "json":
        print(as_json({"mesh": asked.name, "front_door": asked.front_door, **document}))
        return
    show(rows, words.output, _STATUS)
    remark(f"({asked.name} on {asked.front_door})")
    _broken(document["products"])


def _one_status(document: Mapping[str, Any], form: str) -> None:
    if form == "table":
        error = document.get("error")
        show_facts({name: value for name, value in document.items() if name != "error"}, form)
        _broken([document] if error else [])
    else:
        show_facts(document, form)


def _status_row(document: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: document.get(name) for name in _STATUS}
    if not row["reason"] and document.get("warnings"):
        first, *more = document["warnings"]
        row["reason"] = f"warning: {first}" + (f" (and {len(more)} more)" if more else "")
    return row


def _broken(documents: Sequence[Mapping[str, Any]]) -> None:
    """What keeps products from serving, in full."""
    from tulle.errors import from_document

    for document in documents:
        if document.get("error"):
            remark(f"\n{document['product']}:\n{from_document(document['error']).text()}")


def _declare_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", help="words of names, purposes, columns; nothing finds all")


def _search(words: Words) -> None:
    asked = " ".join(words.words)
    document = mesh().search(asked)
    found = document.get("found", [])
    if words.output == "json":
        print(as_json(document))
        return
    if found or words.output == "csv":
        show(found, words.output, ("product", "purpose", "team", "why"))
    if not found:
        hint = document.get("hint") or ""
        remark(f'0 products match "{asked}". {hint}'.rstrip())


def _declare_describe(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)


def _describe(words: Words) -> None:
    document = mesh().describe(words.address)
    if words.output == "json":
        print(as_json(document))
        return
    port = parse_port(words.address)
    outputs = [output for output in document["outputs"] if port.port in (None, output["name"])]
    if words.output == "csv":
        show(({"port": o["port"], **column} for o in outputs for column in o["columns"]), "csv")
        return
    print("\n".join(_described(document, outputs)))


def _described(document: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{document['product']}: {document['purpose']}"
    yield ""
    facts = {"team": document["team"], "owner": document["owner"], "kind": document["archetype"]}
    facts |= {"readers": ", ".join(document["readers"]), "address": document["uri"]}
    facts["made from"] = ", ".join(str(port.get("from") or f"files ({port['name']})") for port in document["inputs"])
    for name, value in facts.items():
        if value:
            yield f"{name:<10} {value}"
    for output in outputs:
        yield from _described_port(output)
        yield from _how(document.get("how", {}).get(output["port"], {}))


def _described_port(output: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"port {output['port']}, version {output['version']}, {output['facts']}"
    if output["meaning"]:
        yield f"  {output['meaning']}"
    yield f"  a fact is identified by {', '.join((*output['key'], 'actual_time'))}"
    yield ""
    for line in table(output["columns"], ("name", "type", "unit", "meaning")):
        yield f"  {line}"
    for rule in output["expectations"]:
        yield f"  expects {rule['rule']}, else {rule['on_failure']}"
    for objective in output["objectives"]:
        yield f"  promises {objective['measure']} {objective['promise']}"


def _how(ways: Mapping[str, str]) -> Iterator[str]:
    if ways:
        yield ""
        yield "  read it:"
    for way in ways.values():
        yield f"    {way}"


def _declare_lineage(parser: argparse.ArgumentParser) -> None:
    declare_address(parser, optional=True)


def _lineage(words: Words) -> None:
    document = mesh().lineage(words.address)
    if words.output == "json":
        print(as_json(document))
        return
    if words.output == "csv":
        show(document.get("edges", []), "csv", ("from", "to"))
        return
    print(document.get("text", ""))


VERBS: dict[str, Verb] = {
    "status": (_declare_status, _status),
    "search": (_declare_search, _search),
    "describe": (_declare_describe, _describe),
    "lineage": (_declare_lineage, _lineage),
}
