"""The one tree of errors. Each says what, where, why and how to mend it.

```
TulleError                exit  http
├── UsageError               2   400   the words of a call are off
│   └── InvalidManifest      1   422   a manifest says something it may not
├── CheckFailed              1   422   data or code broke a declared rule
├── Denied                   3   403   policy said no
│   └── Unidentified         3   401   nobody is asking: a token is missing or bad
├── NotThere                 4   404   no such product, port, column, moment
├── Conflict                 5   409   somebody else is there already
├── Gone                     4   410   it was there; the history kept no longer reaches it
└── Unavailable              5   503   try again: something is starting, full or away
```

A code (`E201`) belongs to one situation, listed in `CODES`; `tulle explain E201` prints its text. Constructors are
called with what, and keep `where`, `why` and `fix` apart so that every face can lay them out in its own way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class TulleError(Exception):
    """Something a user should read. `what` is one line, lower case, without a full stop."""

    exit_code = 1
    http_status = 500
    retryable = False

    def __init__(self, code: str, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.code, self.what, self.where, self.why, self.fix = code, what, where, why, fix

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The error as a person reads it: up to five lines, the last of them `see: tulle explain CODE`."""
        lines = [f"error[{self.code}]: {self.what}"]
        lines += [f"  --> {self.where}"] if self.where else []
        lines += [f"   |  {line}" for line in self.why.splitlines()]
        lines += [f"  fix: {self.fix}"] if self.fix else []
        lines += [f"  see: tulle explain {self.code}"] if self.code in CODES else []
        return "\n".join(lines)

    def as_document(self) -> dict[str, str]:
        """The error as it travels in JSON; `from_document` makes the same error of it at the other end."""
        parts = {"code": self.code, "kind": type(self).__name__, "what": self.what}
        parts |= {"where": self.where, "why": self.why, "fix": self.fix}
        return {name: text for name, text in parts.items() if text}

    def __reduce__(self) -> tuple[object, tuple[dict[str, str]]]:
        return from_document, (self.as_document(),)


class UsageError(TulleError):
    exit_code, http_status = 2, 400


class InvalidManifest(UsageError):
    exit_code, http_status = 1, 422


class CheckFailed(TulleError):
    exit_code, http_status = 1, 422


class Denied(TulleError):
    exit_code, http_status = 3, 403


class Unidentified(Denied):
    http_status = 401


class NotThere(TulleError):
    exit_code, http_status = 4, 404


class Conflict(TulleError):
    exit_code, http_status = 5, 409


class Gone(TulleError):
    exit_code, http_status = 4, 410


class Unavailable(TulleError):
    exit_code, http_status, retryable = 5, 503, True


KINDS: dict[str, type[TulleError]] = {
    kind.__name__: kind
    for kind in (
        UsageError,
        InvalidManifest,
        CheckFailed,
        Denied,
        Unidentified,
        NotThere,
        Conflict,
        Gone,
        Unavailable,
        TulleError,
    )
}


def from_document(document: dict[str, str]) -> TulleError:
    """The error that `as_document` wrote, of the same kind. An unknown kind becomes a plain `TulleError`."""
    kind = KINDS.get(document.get("kind", ""), TulleError)
    parts = {name: document.get(name, "") for name in ("where", "why", "fix")}
    return kind(document.get("code", "E000"), document.get("what", "unknown error"), **parts)


def nearest(word: str, known: Iterable[str], most: int = 3) -> str:
    """`Did you mean a, b?` for the known words closest to `word`, or an empty text if none is close."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=most, cutoff=0.6)
    if not close:
        folded = {k.lower(): k for k in known}
        close = [folded[m] for m in difflib.get_close_matches(word.lower(), folded, n=most, cutoff=0.6)]
    return f"Did you mean {', '.join(close)}?" if close else ""


@dataclass(frozen=True)
class Explanation:
    """What `tulle explain CODE` prints: the situation in one line, and a paragraph on cause and mend."""

    title: str
    text: str


CODES: dict[str, Explanation] = {
    "E000": Explanation("an error without a code of its own", "Please report it: every error should have a code."),
    "E001": Explanation(
        "the address is taken",
        "Another program listens on the port that the mesh's front door wants. Stop it, or start the mesh on a free"
        " port with `--port 0`; the address is printed and `tulle status` shows it.",
    ),
    "E002": Explanation(
        "this mesh is already running",
        "A mesh keeps its state in one folder and one host runs it. Use the running one (`tulle status`) or stop it"
        " with `tulle down`.",
    ),
    "E003": Explanation(
        "no mesh is running here",
        "The command looked for `tulle.yaml` upwards from this folder, then at TULLE_MESH, then for the one mesh that"
        " is running, and found none. Start one with `tulle up`, or `tulle demo` to look around.",
    ),
    "E004": Explanation(
        "the disk is full",
        "Nothing was half-published: the last good state is still served and the batch is tried again when there is"
        " room. Free some space; the next attempt is made by itself.",
    ),
    "E005": Explanation(
        "the state was written by another version", "Use the version of Tulle that wrote it, or a newer one."
    ),
    "E006": Explanation(
        "the product does not answer",
        "Its container is starting, restarting after a crash, or stopped. `tulle status` says which, and why.",
    ),
    "E007": Explanation(
        "something the system needs is missing", "The message names it and how to get it on this system."
    ),
    "E008": Explanation(
        "an internal error",
        "A fault in Tulle or in the product's container. The log (`tulle logs`) has the whole story under the id that"
        " the message names.",
    ),
    "E009": Explanation(
        "the ledger does not hold together",
        "An entry of the product's ledger is missing, damaged, or not the one that the next entry was chained to. The"
        " product does not start, so that nothing wrong is served. Restore its folder from a backup.",
    ),
    "E010": Explanation("the words of the command are off", "`tulle COMMAND --help` lists what it takes."),
    "E011": Explanation(
        "a parameter is unknown or its value cannot be read",
        "Parameters of an address are columns of the port (`origin=EWR`) or one of as_of, at, columns, order, limit."
        " A leading underscore always means the parameter, never a column.",
    ),
    "E012": Explanation(
        "the product exists already", "Names are permanent addresses. Choose another name, or change the product."
    ),
    "E013": Explanation(
        "the mesh was asked under another name",
        "The front door answers to 127.0.0.1, localhost and [::1] with its own port only, so that a page on the web"
        " cannot reach it by pointing a name of its own at this machine.",
    ),
    "E020": Explanation(
        "the manifest cannot be read",
        "product.yaml must be one YAML mapping: no duplicate keys, no anchors or aliases. The message points at line"
        " and column.",
    ),
    "E021": Explanation(
        "the manifest says something it may not",
        "A key is unknown, missing or of the wrong type, or two parts contradict each other. docs/reference has every"
        " key.",
    ),
    "E022": Explanation(
        "a source is missing",
        "An input port names a product that no mesh knows, or a folder that is not there. Names are resolved when the"
        " product starts; it waits, and says so in `tulle status`.",
    ),
    "E023": Explanation(
        "a source outside the declared ones",
        "A product reads only what its manifest declares under inputs. The transformation ran in a process that can"
        " reach nothing else. Declare the source, then run again.",
    ),
    "E024": Explanation(
        "a cycle",
        "The input was itself made from this product, directly or through others. Flow must have a beginning: break"
        " the circle, for example by publishing the shared part as a product of its own.",
    ),
    "E030": Explanation(
        "the file's columns changed",
        "The file does not have the columns that the input port declares. The batch is parked, nothing was published,"
        " the last good state is still served. Mend the file, or the manifest, then `tulle run --parked`.",
    ),
    "E031": Explanation(
        "a value is not of its declared type",
        "The message names file, line, column and declared type; the value itself stays in quarantine. The batch is"
        " parked: mend and replay it with `tulle run --parked`.",
    ),
    "E032": Explanation(
        "the same fact twice in one batch",
        "Key plus actual time identify a fact; two rows of one batch claim to be the same one. Add what tells them"
        " apart to the key, or remove one.",
    ),
    "E033": Explanation(
        "an expectation failed",
        "A rule declared on the output port with `on_failure: stop` does not hold for this batch. It is parked.",
    ),
    "E034": Explanation(
        "the transformation failed",
        "The product's own code raised an error, used too much memory or time, or reached for something it may not."
        " Nothing was published; it is tried again when an input changes, or with `tulle run`.",
    ),
    "E035": Explanation(
        "the result does not have the declared columns",
        "What the transformation returned lacks a column of the output port, or has one of another type.",
    ),
    "E040": Explanation(
        "this cannot be retracted here",
        "A retraction belongs where the fact entered the mesh, in the source-aligned product. It then reaches every"
        " product that was made from it, by itself. The message names the upstream.",
    ),
    "E041": Explanation("a retraction needs a reason", "Consumers read it. Add --reason."),
    "E042": Explanation(
        "the retraction is wider than it looks",
        "It matches many rows. Say the number to go on, or narrow --where.",
    ),
    "E043": Explanation(
        "no fact matches",
        "Nothing was changed: look with `tulle read` at what --where means. Only a retraction that stands can be"
        " lifted: one made through the control port, and that the source has not ended by delivering other values."
        " `tulle log` lists them.",
    ),
    "E201": Explanation("no such column", "The message lists the nearest names; `tulle describe` lists all."),
    "E202": Explanation(
        "the statement is not allowed",
        "A door answers one SELECT over the ports it serves: no other statement, no file or network function, no"
        " settings. In SQL a product is written domain.product, another port or version in quotes:"
        ' domain."product:port@1".',
    ),
    "E203": Explanation("the statement cannot be read", "It does not parse as SQL; the caret shows where."),
    "E204": Explanation(
        "the statement took too much", "It ran over its limit of time or memory and was stopped. Ask for less."
    ),
    "E205": Explanation(
        "the statement failed on the data",
        "A value could not be converted or computed. The message keeps the value to itself; `try_cast(x AS type)` gives"
        " null for those that do not convert.",
    ),
    "E301": Explanation(
        "no access",
        "Policy denied it; the reasons say which rule. Who may read is the product's own list of readers.",
    ),
    "E310": Explanation(
        "nobody is signed in",
        "Every request carries an identity. On a laptop `tulle token` prints a token for you, and the command line and"
        " the SDK get one by themselves.",
    ),
    "E311": Explanation(
        "the token is not accepted", "It is expired, of another mesh, or not signed by an issuer that this mesh trusts."
    ),
    "E404": Explanation(
        "no such product or port", "Names are domain/product[:port][@version]. `tulle search` finds them."
    ),
    "E070": Explanation("the moment cannot be read", "Use ISO 8601, for example 2013-02-12T08:00Z, or a date."),
    "E071": Explanation(
        "the moment is in the future",
        "Nobody can know yet what will have been published by then. Leave --as-of out for the latest state.",
    ),
    "E072": Explanation("a moment without a time zone", "Give it one: 2013-02-12T08:00Z, or a datetime with tzinfo."),
    "E073": Explanation(
        "the clock went back",
        "The machine's clock is behind moments that were already published. Processing time never goes back: the"
        " product goes on, a little ahead of the wall clock, until the clock has caught up.",
    ),
    "E074": Explanation(
        "the wait ran out of time", "What was waited for has not come yet. `tulle status` says in a line why."
    ),
    "E075": Explanation("the cursor is too old", "The history kept no longer reaches it. Start again from a snapshot."),
}


def lost_column(column: str, known: Iterable[str], where: str) -> NotThere:
    """The error for a column that a port does not have, with the nearest names."""
    known = list(known)
    hint = nearest(column, known) or f"Its columns: {', '.join(known)}"
    return NotThere("E201", f"no column {column} in {where}", why=hint)


def lost_product(address: str, known: Iterable[str]) -> NotThere:
    """The error for an address that no product of this mesh has, with the nearest addresses."""
    hint = nearest(address, known)
    return NotThere("E404", f'no product "{address}"', why=hint, fix=f"tulle search {address.rpartition('/')[2]}")
