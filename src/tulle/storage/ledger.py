"""The ledger: one file per commit, put if absent, each chained to the one before by its hash. It *is* the commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from tulle.errors import Conflict, TulleError
from tulle.storage import disk
from tulle.storage.shapes import Entry, FileFacts, Story, Tally
from tulle.times import Moment

FORMAT = 1
ROOT = "0" * 64
"""What the first entry names as the hash before it."""


def entry_of(seq: int, moment: Moment, story: Story, tables: Mapping[str, Tally], previous: str) -> Entry:
    """The entry of a commit, with its hash."""
    draft = Entry(seq, moment, story, tables, previous, "")
    return Entry(seq, moment, story, tables, previous, _hash(_document(draft)))


def encode(entry: Entry) -> bytes:
    """The entry as its file holds it."""
    document = _document(entry) | {"hash": entry.hash}
    return json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1).encode()


def decode(content: bytes, name: str) -> Entry:
    """The entry of a file. Raises `TulleError` E009 if its hash does not fit, `Conflict` E005 for another format."""
    try:
        document = json.loads(content)
        claimed = document.pop("hash")
        form = document["format"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(name, "the file is not an entry") from None
    if form != FORMAT:
        raise Conflict("E005", f"ledger entry {name} has format {form}", why=f"This version reads format {FORMAT}.")
    if _hash(document) != claimed:
        raise _damaged(name, "its hash does not fit what it says")
    tables = {table: _tally(facts) for table, facts in document["tables"].items()}
    moment = Moment(document["processing_time"])
    return Entry(document["seq"], moment, _story(document["story"]), tables, document["previous"], claimed)


def write(folder: Path, entry: Entry) -> bool:
    """Publishes the entry. False if another entry has its place."""
    return disk.put_if_absent(folder / file_name(entry.seq), encode(entry))


def read_after(folder: Path, last: Entry | None) -> Iterator[Entry]:
    """The entries after `last`, in order, the chain proved link by link. Raises `TulleError` E009 where it breaks."""
    known = last.seq if last else 0
    found = (int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit())
    for seq in sorted(each for each in found if each > known):
        name = file_name(seq)
        entry = decode((folder / name).read_bytes(), name)
        expected, previous = (last.seq + 1, last.hash) if last else (1, ROOT)
        if seq != expected or entry.seq != seq:
            raise _damaged(name, f"entry {expected} should come here")
        if entry.previous != previous:
            raise _damaged(name, "it is chained to another entry than the one before it")
        yield entry
        last = entry


def file_name(seq: int) -> str:
    """The name of an entry's file."""
    return f"{seq:012d}.json"


def _damaged(name: str, why: str) -> TulleError:
    return TulleError("E009", "the ledger does not hold together", where=f"ledger/{name}", why=why)


def _hash(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def _document(entry: Entry) -> dict[str, Any]:
    tables = {table: _tally_document(tally) for table, tally in entry.tables.items()}
    body: dict[str, Any] = {"format": FORMAT, "seq": entry.seq, "processing_time": entry.processing_time.micros}
    body |= {"at": str(entry.processing_time), "story": _story_document(entry.story), "tables": tables}
    return body | {"previous": entry.previous}


def _story_document(story: Story) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "kind": story.kind,
        "above": story.above.micros,
        "run": story.run,
        "revision": story.revision,
    }
    provenance = {name: [old.micros, new.micros] for name, (old, new) in story.provenance.items()}
    plain |= {"cursors": dict(story.cursors), "provenance": provenance, "standing": story.standing}
    plain |= {"parked": [dict(each) for each in story.parked], "unparked": list(story.unparked)}
    return plain | {"who": story.who, "reason": story.reason, "notes": dict(story.notes)}


def _story(document: Mapping[str, Any]) -> Story:
    provenance = {name: (Moment(old), Moment(new)) for name, (old, new) in document["provenance"].items()}
    return Story(
        kind=document["kind"],
        above=Moment(document["above"]),
        run=document["run"],
        revision=document["revision"],
        cursors=document["cursors"],
        provenance=provenance,
        parked=tuple(document["parked"]),
        unparked=tuple(document["unparked"]),
        standing=document["standing"],
        who=document["who"],
        reason=document["reason"],
        notes=document["notes"],
    )


def _tally_document(tally: Tally) -> dict[str, Any]:
    counts = {"inserted": tally.inserted, "corrected": tally.corrected, "retracted": tally.retracted}
    files = [_file_document(facts) for facts in tally.files]
    return counts | {"unchanged": tally.unchanged, "digest": tally.digest, "files": files}


def _tally(document: Mapping[str, Any]) -> Tally:
    files = tuple(_file(each) for each in document["files"])
    counts = {name: document[name] for name in ("inserted", "corrected", "retracted", "unchanged", "digest")}
    return Tally(files, **counts)


def _file_document(facts: FileFacts) -> dict[str, Any]:
    actual = [facts.min_actual.micros, facts.max_actual.micros]
    plain = {"path": facts.path, "layer": facts.layer, "rows": facts.rows, "bytes": facts.bytes, "actual": actual}
    return plain | {"touches": list(facts.touches)}


def _file(document: Mapping[str, Any]) -> FileFacts:
    low, high = (Moment(micros) for micros in document["actual"])
    sizes = (document["rows"], document["bytes"])
    return FileFacts(document["path"], document["layer"], *sizes, low, high, tuple(document["touches"]))
