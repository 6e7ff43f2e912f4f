"""`tulle token`: a token to ask with, or a link that signs a browser in."""

from __future__ import annotations

import argparse

from tulle.faces.cli.asking import mesh
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.showing import as_json, remark

LIFE = 3_600


def _declare_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="subject", default="", help="for whom: person:ann, service:board (yourself)")
    parser.add_argument("--team", action="append", help="a team the subject is in; may be given several times")
    parser.add_argument("--seconds", type=int, default=LIFE, help=f"how long it is good for, at most a day ({LIFE})")
    parser.add_argument("--link", action="store_true", help="a link that signs a browser in, once, instead")


def _token(words: Words) -> None:
    if words.link:
        from tulle.client.doors import find_mesh
        from tulle.client.mesh import Mesh

        printed = Mesh.at(find_mesh(), words.subject, words.team).link()
        remark("(good for one use within 15 minutes)")
    else:
        printed = mesh().token(words.subject, words.team, words.seconds)
    print(as_json({"link" if words.link else "token": printed}) if words.output == "json" else printed)


VERBS: dict[str, Verb] = {"token": (_declare_token, _token)}
