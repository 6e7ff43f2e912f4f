from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tulle.formats.events import STILL_HERE, Event, EventReader, change_events, event, moved
from tulle.times import Moment

CHANGES = pa.table(
    {
        "_change": ["insert", "correct", "retract"],
        "origin": ["EWR", "JFK", "LGA"],
        "wind": [1.0, 2.0, None],
        "processing_time": pa.array([1, 1, 1], pa.timestamp("us", "UTC")),
        "actual_time": pa.array([0, 0, 0], pa.timestamp("us", "UTC")),
        "before": [None, {"origin": "JFK", "wind": 9.0}, {"origin": "LGA", "wind": 3.0}],
    }
)


def test_only_the_last_change_of_a_publication_moves_the_cursor():
    text = "".join(change_events(CHANGES, Moment(7)))
    events = list(EventReader("start").feed(text.encode()))
    assert [e.name for e in events] == ["insert", "correct", "retract"]
    assert [e.id for e in events] == ["start", "start", str(Moment(7))]
    assert events[0].document()["after"] == {"origin": "EWR", "wind": 1.0}
    assert events[0].document()["before"] is None
    assert events[1].document()["before"] == {"origin": "JFK", "wind": 9.0}
    assert events[2].document()["after"] is None
    assert events[0].document()["actual_time"] == "1970-01-01T00:00:00Z"


def test_a_publication_without_changes_moves_the_cursor_silently():
    reader = EventReader()
    assert list(reader.feed("".join(change_events(CHANGES.slice(0, 0), Moment(7))).encode())) == []
    assert reader.last_id == str(Moment(7))


def test_line_ends_comments_and_unknown_fields():
    reader = EventReader()
    text = "\ufeffid: 1\r\nretry: 5\r\n: hello\r\ndata: a\r\ndata:b\r\n\r\nevent: x\rdata\r\rdata: unfinished"
    assert [(e.name, e.data, e.id) for e in reader.feed(text.encode())] == [("message", "a\nb", "1"), ("x", "", "1")]


@given(st.lists(st.integers(1, 300), max_size=40), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_are_the_same_however_the_bytes_are_cut(cuts, end):
    text = event("insert", {"ü": "\u2028 line\nend"}, "1") + STILL_HERE + moved("2") + event("retract", {"b": 1})
    data = (text + event("last", {})).replace("\n", end).encode()
    whole = EventReader()
    expected = list(whole.feed(data + b"\n"))
    reader, start = EventReader(), 0
    got: list[Event] = []
    for cut in cuts:
        got += reader.feed(data[start : start + cut])
        start += cut
    got += reader.feed(data[start:] + b"\n")
    assert got == expected
    assert [e.id for e in got[:2]] == ["1", "2"]
    assert got[0].document() == {"ü": "\u2028 line\nend"}
