from __future__ import annotations

import datetime as dt
import threading

import pytest

from tests.client.conftest import APRIL, FEBRUARY, MARCH, weather
from tests.waiting import eventually
from tulle.errors import NotThere, TulleError, Unavailable, UsageError
from tulle.times import Moment, parse_moment


def test_load_reads_rows_with_their_stamp(mesh):
    answer = mesh.load("weather/hourly", where={"wind__gt": 1.5}, columns=["origin", "wind"], limit=5)
    assert answer.rows() == [{"origin": "JFK", "wind": 2.0}, {"origin": "LGA", "wind": 9.0}]
    assert (answer.moment, len(answer), answer.digest) == (MARCH, 2, "2:sealed")
    assert answer.moments == {"weather/hourly:rows@1": MARCH}


def test_load_as_of_a_moment_and_where_in_many_ways(mesh):
    before = mesh.load("weather/hourly", as_of="2013-02-15", where={"origin": ["LGA", "x"]})
    assert [row["wind"] for row in before] == [3.0]
    assert len(mesh.load("weather/hourly", where={"day": dt.date(2013, 1, 2)})) == 1
    assert len(mesh.load("weather/hourly", where={"actual_time__lt": parse_moment("2013-01-03")})) == 2
    assert len(mesh.load("weather/hourly", where={"origin": None})) == 0
    with pytest.raises(UsageError) as refusal:
        mesh.load("weather/hourly", where="origin = 'EWR'")
    assert refusal.value.code == "E011"


def test_a_moment_without_a_zone_never_leaves(mesh, doors):
    with pytest.raises(UsageError) as refusal:
        mesh.load("weather/hourly", as_of=dt.datetime(2013, 1, 1))  # noqa: DTZ001  # on purpose
    assert refusal.value.code == "E072"
    assert doors["weather/hourly"].product.asked == []


def test_a_refusal_of_the_door_is_the_same_error_here(mesh):
    with pytest.raises(UsageError) as refusal:
        mesh.load("weather/hourly", where={"wnd": 1})
    assert refusal.value.code == "E011"
    with pytest.raises(NotThere) as lost:
        mesh.load("wether/hourly")
    assert lost.value.code == "E404"
    assert "weather/hourly" in lost.value.why


def test_a_product_whose_port_is_not_called_rows_is_read_all_the_same(mesh, doors):
    assert len(mesh.load("network/airports")) == 3
    assert len(mesh.load("network/airports")) == 3
    asked = [path for _, path in doors["network/airports"].product.asked]
    assert asked == ["network/airports/rows", "network/airports", "network/airports/spots", "network/airports/spots"]
    with pytest.raises(NotThere):
        mesh.load("network/airports:rows")


def test_sql_over_one_product_is_answered_at_its_door(mesh, doors):
    answer = mesh.sql("select max(wind) as w from weather.hourly")
    assert answer.rows() == [{"w": 9.0}]
    assert doors["weather/hourly"].product.asked == [("POST", "weather/hourly/sql")]
    assert mesh.sql("select max(wind) as w from weather.hourly", as_of="2013-02-15").rows() == [{"w": 3.0}]


def test_sql_that_the_door_does_not_take_runs_here(mesh):
    answer = mesh.sql("select list_transform(list(wind order by wind), x -> x + 1) as w from weather.hourly")
    assert answer.rows() == [{"w": [2.0, 3.0, 10.0]}]


def test_sql_over_products_pins_one_moment_and_fetches_what_it_needs(mesh, doors):
    text = (
        'select a.origin, wind, alt from weather.hourly w join network."airports:spots" a using (origin)'
        " where wind > 1.5 and alt < 20 order by 1"
    )
    answer = mesh.sql(text)
    assert answer.rows() == [{"origin": "JFK", "wind": 2.0, "alt": 13}]
    assert answer.moment == MARCH
    assert answer.moments == {"weather/hourly:rows@1": MARCH, "network/airports:spots@1": MARCH}
    assert [name for name, _, _ in answer.provenance] == ["network/airports", "weather/hourly"]
    read = next(path for _, path in doors["weather/hourly"].product.asked if path.startswith("weather/hourly/rows"))
    assert "wind__gt=1.5" in read
    assert "_columns=origin%2Cwind" in read
    assert mesh.sql(text).digest == answer.digest


def test_sql_as_of_a_moment_asks_no_clock(mesh, doors):
    text = 'select sum(wind) s from weather.hourly, network."airports:spots" a where a.origin = hourly.origin'
    assert mesh.sql(text, as_of="2013-02-15").rows() == [{"s": 6.0}]
    assert not any("clock" in path for served in doors.values() for _, path in served.product.asked)


def test_each_table_may_have_its_own_moment(mesh):
    text = (
        "select old.wind as was, new.wind as is_now from weather.hourly for system_time as of '2013-02-15' old"
        " join weather.hourly new using (origin) where old.wind <> new.wind"
    )
    assert mesh.sql(text).rows() == [{"was": 3.0, "is_now": 9.0}]


def test_an_answer_is_never_older_than_one_seen_before(mesh, doors):
    spots = doors["network/airports"].product
    spots.safe = FEBRUARY
    text = 'select count(*) n from weather.hourly, network."airports:spots"'
    assert mesh.sql(text).moment == FEBRUARY
    mesh.load("weather/hourly")
    assert mesh.sql(text).moment == MARCH


def test_misspelt_columns_and_what_the_engine_cannot_do_are_told(mesh):
    with pytest.raises(NotThere) as lost:
        mesh.sql('select wnd from weather.hourly, network."airports:spots"')
    assert "Did you mean wind?" in lost.value.why
    with pytest.raises(UsageError) as refusal:
        mesh.sql('select origin || wind + 1 from weather.hourly w, network."airports:spots" a where w.origin = 1 + day')
    assert refusal.value.code == "E202"
    with pytest.raises(UsageError):
        mesh.sql("select 1")
    with pytest.raises(UsageError):
        mesh.sql("select read_text('/etc/hostname') from weather.hourly, punctuality.daily")


def test_changes_and_their_cursor(mesh):
    found = mesh.changes("weather/hourly", since="2013-02-15")
    change = list(found)
    assert [(c.op, c.after["wind"], c.moment) for c in change] == [("insert", 9.0, MARCH)]
    assert found.cursor == change[0].cursor == str(MARCH)
    assert list(mesh.changes("weather/hourly", since=found.cursor)) == []


def test_following_changes_survives_a_cut_and_a_restart(mesh, doors):
    served = doors["weather/hourly"]
    served.product.hang_up_after = 2
    found = mesh.changes("weather/hourly", follow=True)
    first = [next(found) for _ in range(2)]
    served.product.hang_up_after = None
    # cut off inside the first publication: it comes again, whole
    again = [next(found) for _ in range(4)]
    assert [c.after["wind"] for c in first + again] == [1.0, 2.0, 1.0, 2.0, 3.0, 9.0]
    assert [c.cursor for c in again] == ["", "", str(FEBRUARY), str(MARCH)]
    served.stop()
    served.product.states.append((APRIL, weather(1, 2, 8, told=APRIL)))
    served.start()
    assert next(found).after["wind"] == 8.0
    found.close()


def test_following_ends_when_it_is_closed_from_another_thread(mesh):
    found, got = mesh.changes("weather/hourly", follow=True), []
    thread = threading.Thread(target=lambda: got.extend(found))
    thread.start()
    eventually(lambda: len(got) >= 4)
    found.close()
    thread.join(5)
    assert not thread.is_alive()


def test_a_door_that_restarts_elsewhere_is_found_again(mesh, doors):
    served = doors["weather/hourly"]
    served.stop()
    threading.Timer(0.3, served.start).start()
    assert len(mesh.load("weather/hourly")) == 3


def test_a_door_that_is_starting_is_asked_again(mesh, doors):
    doors["weather/hourly"].product.stumble = 2
    assert len(mesh.load("weather/hourly")) == 3


def test_a_door_that_stays_away_is_told_after_a_while(mesh, doors):
    mesh.calls.patience = 0.3
    doors["weather/hourly"].stop()
    with pytest.raises(Unavailable) as away:
        mesh.load("weather/hourly")
    assert away.value.code == "E006"
    assert away.value.fix == "tulle status weather/hourly"


def test_a_product_that_cannot_begin_says_why_at_once(mesh, doors, tmp_path):
    path = tmp_path / "names" / "weather" / "hourly.json"
    path.write_text('{"door": "", "error": {"code": "E021", "what": "the manifest is off", "where": "product.yaml:3"}}')
    with pytest.raises(Unavailable) as away:
        mesh.load("weather/hourly")
    assert "[E021] the manifest is off" in away.value.why
    status = {each["product"]: each for each in mesh.status()["products"]}
    assert status["weather/hourly"]["state"] == "Away"
    assert "E021" in status["weather/hourly"]["reason"]
    assert status["punctuality/daily"]["state"] == "Fresh"


def test_a_change_is_sent_once(mesh, doors):
    product = doors["weather/hourly"].product
    assert (
        mesh.retract("weather/hourly", {"origin": "EWR", "day": dt.date(2013, 1, 1)}, "sensor fault")["retracted"] == 1
    )
    assert product.retracted == [{"where": {"origin": "EWR", "day": "2013-01-01"}, "reason": "sensor fault"}]
    product.stumble = 1
    with pytest.raises(Unavailable):
        mesh.retract("weather/hourly", "origin = 'EWR'", "sensor fault", expect=1)
    assert len(product.retracted) == 1


def test_retracting_with_wait_returns_when_all_that_is_made_of_it_has_it(mesh):
    done = mesh.retract("weather/hourly", {"origin": "EWR"}, "sensor fault", wait=True)
    assert done["reached"] == {"punctuality/daily": str(MARCH)}


def test_wait(mesh):
    assert mesh.wait("punctuality/daily", ("weather/hourly", MARCH))["moment"] == str(MARCH)
    assert mesh.wait("punctuality/daily", f"weather/hourly@{MARCH}")["product"] == "punctuality/daily"
    with pytest.raises(Unavailable) as late:
        mesh.wait("punctuality/daily", ("weather/hourly", APRIL), seconds=0.05)
    assert late.value.code == "E074"


def test_a_token_that_is_not_accepted_is_renewed_once(mesh, doors, issuer):
    mesh.load("weather/hourly")
    doors["weather/hourly"].product.refuse_token.add(mesh.calls.token())
    assert len(mesh.load("weather/hourly")) == 3
    assert len(issuer.asked) == 2


def test_documents(mesh):
    assert mesh.products() == ("network/airports", "punctuality/daily", "weather/hourly")
    assert mesh.describe("weather/hourly")["purpose"] == "about weather/hourly"
    assert mesh.log("weather/hourly")[0]["seq"] == 1
    assert mesh.status("weather/hourly")["state"] == "Fresh"
    assert mesh.link() == "http://127.0.0.1:1/in/c0de"
    assert mesh.observe("weather/hourly", "provenance")["product"] == "weather/hourly"


def test_the_front_door_away_is_an_error_of_its_own(mesh):
    mesh.calls.patience = 0.05
    with pytest.raises(TulleError) as away:
        mesh.search("weather")
    assert "front door" in away.value.what


def test_moments_are_ordered():
    assert Moment(0) < FEBRUARY < MARCH < APRIL
