"""`tulle explain`: what a code means."""

from __future__ import annotations

import argparse
import textwrap

from tulle.errors import CODES, NotThere, nearest
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.showing import as_json, show


def _declare_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", help="a code as in error[E201]; every code without one")


def _explain(words: Words) -> None:
    if words.code is None:
        show(({"code": code, "means": known.title} for code, known in CODES.items()), words.output)
        return
    code = words.code.upper()
    if code not in CODES:
        why = nearest(code, CODES) or "Codes are an E and three digits."
        raise NotThere("E404", f'no error code "{words.code}"', why=why, fix="tulle explain")
    known = CODES[code]
    if words.output == "table":
        print(f"{code}: {known.title}\n\n{textwrap.fill(known.text, 100)}")
    elif words.output == "json":
        print(as_json({"code": code, "title": known.title, "text": known.text}))
    else:
        show([{"code": code, "title": known.title, "text": known.text}], "csv")


VERBS: dict[str, Verb] = {"explain": (_declare_explain, _explain)}
