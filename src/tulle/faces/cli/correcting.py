"""`tulle retract`, `lift`, `wait`: taking facts back, and seeing it arrive everywhere."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from tulle.errors import UsageError
from tulle.faces.cli.asking import declare_address, declare_where, mesh
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.conditions import facts
from tulle.faces.cli.showing import as_json, patience, show_facts
from tulle.uris import parse_port, parse_product

if TYPE_CHECKING:
    from tulle.client.mesh import Mesh

FREELY = 10
"""More facts than this are taken back only by someone who says how many they are."""


def _declare_retract(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    declare_where(parser, required=True)
    parser.add_argument("--reason", default="", help="why; consumers read it")
    parser.add_argument("--yes", type=int, metavar="N", help="go on without asking if it matches N facts")
    parser.add_argument("--preview", action="store_true", help="only say what it would match")
    _declare_waiting(parser)


def _retract(words: Words) -> None:
    asked, where = mesh(), facts(words.where)
    if words.preview:
        show_facts(asked.retract(words.address, where, words.reason, preview=True), words.output)
        return
    if not words.reason.strip():
        raise UsageError("E041", "a retraction needs a reason: consumers read it", fix='--reason "sensor fault"')
    expect = words.yes if words.yes is not None else _confirmed(asked, words, where)
    with patience("retracting"):
        done = asked.retract(words.address, where, words.reason, expect=expect)
    _tell(asked, words, done, f"retracted {done['retracted']:,} at {done['moment']}")


def _confirmed(asked: Mesh, words: Words, where: dict[str, str] | str) -> int | None:
    """The number that a person typed. Nobody to ask: the product decides, and refuses what is too wide."""
    if not sys.stdin.isatty():
        return None
    found = asked.retract(words.address, where, words.reason, preview=True)
    if found["matches"] <= FREELY:
        return int(found["matches"])
    print(f"matches {found['matches']:,} of {found['of']:,} facts. Type the number to go on: ", end="", file=sys.stderr)
    sys.stderr.flush()
    typed = sys.stdin.readline().strip().replace(",", "")
    if typed != str(found["matches"]):
        raise UsageError("E042", "nothing was retracted: that is not the number", fix=f"--yes {found['matches']}")
    return int(typed)


def _declare_lift(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    declare_where(parser, required=True)
    parser.add_argument("--reason", default="", help="why; consumers read it")
    parser.add_argument("--preview", action="store_true", help="only say what it would match")
    _declare_waiting(parser)


def _lift(words: Words) -> None:
    asked = mesh()
    done = asked.lift(words.address, facts(words.where), words.reason, preview=words.preview)
    if words.preview:
        show_facts(done, words.output)
        return
    _tell(asked, words, done, f"lifted {done['lifted']:,} at {done['moment']}")


def _declare_wait(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    parser.add_argument("--seen", required=True, metavar="PRODUCT@MOMENT", help="what must have reached it")
    parser.add_argument("--seconds", type=float, default=60.0, help="give up after so long (60)")


def _wait(words: Words) -> None:
    with patience(f"waiting for {words.address}"):
        document = mesh().wait(words.address, words.seen, words.seconds)
    if words.output == "table":
        print(f"{words.address} has it, published at {document['moment']}")
    else:
        show_facts(document, words.output)


def _declare_waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="return when all that is made from it has it")
    parser.add_argument("--seconds", type=float, default=60.0, help="give up waiting after so long (60)")


def _tell(asked: Mesh, words: Words, done: dict[str, Any], line: str) -> None:
    if words.output == "table":
        print(line, flush=True)
    reached = dict(_reached(asked, words, done["moment"])) if words.wait else {}
    if words.output == "json":
        print(as_json(done | ({"reached": reached} if words.wait else {})))
    elif words.output == "csv":
        show_facts(done, "csv")


def _reached(asked: Mesh, words: Words, moment: str) -> list[tuple[str, str]]:
    """Waits for everything that is made from the product, and tells of each as it arrives."""
    from tulle.client.operating import made_from

    source, found = parse_port(words.address).product, []
    with patience("waiting for what is made from it"):
        products = [parse_product(name) for name in asked.products()]
        for product in made_from(source, products, lambda name: asked.describe(str(name))):
            document = asked.wait(str(product), (str(source), moment), words.seconds)
            found.append((str(product), str(document["moment"])))
            if words.output == "table":
                print(f"{product} has it: {_what_changed(asked, str(product), moment)}", flush=True)
    return found


def _what_changed(asked: Mesh, product: str, since: str) -> str:
    """What became of the product: the values of the one fact that changed, else how many did."""
    changes = asked.changed(product, since)
    if len(changes) != 1:
        return f"{len(changes):,} facts changed" if len(changes) else "nothing changes here"
    (row,) = changes.arrow().to_pylist()
    before = row.get("before") or {}
    told = [
        f"{name} {old} -> {row[name]}"
        for name, old in before.items()
        if row["_change"] == "correct" and row[name] != old
    ]
    return ", ".join(told) or f"1 fact: {row['_change']}"


VERBS: dict[str, Verb] = {
    "retract": (_declare_retract, _retract),
    "lift": (_declare_lift, _lift),
    "wait": (_declare_wait, _wait),
}
