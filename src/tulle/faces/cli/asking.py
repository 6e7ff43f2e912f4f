"""Which mesh is asked, and words that several verbs share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tulle.client.mesh import Mesh

ADDRESS = "a product or port: domain/product[:port][@version]"
AS_OF = "processing time: as the mesh had been told by then (2026-01-31T12:00Z, yesterday)"
AT = "actual time: an instant or a period it was true in (2013-02-12, 2013-06, A..B)"


def mesh() -> Mesh:
    """The mesh that is meant here, asked as the person at this machine."""
    from tulle.client.mesh import connect

    return connect()


def declare_address(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The word that says which product or port."""
    if optional:
        parser.add_argument("address", nargs="?", help=f"{ADDRESS}; nothing means all")
    else:
        parser.add_argument("address", help=ADDRESS)


def declare_where(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """`--where`, several times or with several words."""
    text = "only facts with column=value; several are joined by and"
    parser.add_argument("--where", nargs="+", action="extend", default=[], required=required, help=text, metavar="C=V")
