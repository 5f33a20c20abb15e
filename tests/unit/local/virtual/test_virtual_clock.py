from datetime import UTC, datetime, timedelta

import pytest

from infrastructure.local.virtual.virtual_clock import LiveClock, VirtualClock, machine_time

START = datetime(2026, 12, 10, tzinfo=UTC)


class Machine:
    """A machine's clock that a test sets."""

    def __init__(self) -> None:
        self.now = START + timedelta(hours=3)

    def __call__(self) -> datetime:
        return self.now


def test_a_virtual_clock_does_not_run_back() -> None:
    clock = VirtualClock(START)
    clock.move_to(START + timedelta(hours=1))
    with pytest.raises(ValueError, match="cannot go back"):
        clock.move_to(START)


def test_a_live_clock_is_virtual_until_it_goes_live() -> None:
    machine = Machine()
    clock = LiveClock(START, machine)
    assert clock() == START
    clock.move_to(START + timedelta(hours=1))
    assert clock() == START + timedelta(hours=1)
    clock.go_live()
    assert clock() == machine.now


def test_a_live_clock_jumps_forward_with_a_machine_that_slept() -> None:
    machine = Machine()
    clock = LiveClock(START, machine)
    clock.go_live()
    machine.now += timedelta(days=2)
    assert clock() == machine.now


def test_a_live_clock_stands_still_while_the_machines_is_set_back() -> None:
    machine = Machine()
    clock = LiveClock(START, machine)
    clock.go_live()
    before = clock()
    machine.now -= timedelta(hours=1)
    assert clock() == before
    machine.now += timedelta(hours=1, seconds=1)
    assert clock() == before + timedelta(seconds=1)


def test_the_machines_time_is_in_utc_and_whole_milliseconds() -> None:
    assert machine_time().tzinfo is UTC
    assert machine_time().microsecond % 1000 == 0
