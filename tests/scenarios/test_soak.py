"""A mesh that works for a while does not grow: descriptors stay as they were, memory stays within bounds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.demo import Commands, start_demo
from tests.processes import resources

SPARES = 7
"""Each product may keep a warm child for a while after its last job."""
READING = "origin = 'EWR' and time_hour = '2013-02-12T08:00Z'"
WIND = "select wind_mean from punctuality.daily where origin = 'EWR' and day = '2013-02-12'"


def there_and_back(commands: Commands) -> None:
    """A reading is taken back and given again; its dependants follow both times."""
    commands.run("retract", "weather/hourly", "--where", READING, "--reason", "soak", "--wait")
    assert commands.rows(WIND)[0]["wind_mean"] == pytest.approx(13.26)
    commands.run("lift", "weather/hourly", "--where", READING, "--reason", "soak", "--wait")
    assert commands.rows(WIND)[0]["wind_mean"] == pytest.approx(56.39)


@pytest.mark.soak
def test_a_mesh_at_work_does_not_grow(short_folder: Path, soak_seconds: float) -> None:
    demo = start_demo(short_folder)
    try:
        for _ in range(2):
            there_and_back(demo.commands)
        before = resources()
        deadline = time.monotonic() + soak_seconds
        while time.monotonic() < deadline:
            there_and_back(demo.commands)
        after = resources()
    finally:
        code = demo.served.stop()
    assert code == 0, demo.served.said()
    assert after.processes <= before.processes + SPARES
    assert after.descriptors <= before.descriptors + 2 * before.processes
    assert after.megabytes <= before.megabytes * 1.25 + 30
