import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue import wiring
from predue.aws import clients
from predue.errors import BadPolicy, PredueError, Unreachable
from tests.aws.line import Line, Storage

ROOT_KEY = "k" * 64


@pytest.fixture(autouse=True)
def environment(storage: Storage, virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert virtual_clock
    for name, value in storage.environment.items():
        monkeypatch.setenv(name, value)
    wiring.forget()
    yield
    wiring.forget()


def put(name: str, value: str) -> None:
    clients.client("ssm").put_parameter(Name=name, Value=value, Overwrite=True)


def set_secret(storage: Storage, value: str) -> None:
    clients.client("secretsmanager").put_secret_value(SecretId=storage.environment["KEYS_SECRET"], SecretString=value)


def test_what_the_template_writes_at_first_is_the_default_policy_and_nothing_stopped() -> None:
    controls = wiring.controls()
    assert controls.rulebook.policy.version == "default"
    assert controls.switches.paused == frozenset()


def test_policy_and_switch_are_read_together_in_one_request(line: Line) -> None:
    wiring.controls()
    assert line.counts() == {"ssm.GetParameters": 1}


def test_a_read_setting_serves_fifteen_seconds_of_the_injected_clock_and_no_longer(
    virtual_clock: VirtualClock, line: Line
) -> None:
    put("/predue/switch", '{"paused": []}')
    wiring.controls()
    put("/predue/switch", '{"paused": ["sms"]}')
    virtual_clock.move_to(virtual_clock() + timedelta(seconds=14.999))
    assert wiring.controls().switches.paused == frozenset()
    virtual_clock.move_to(virtual_clock() + timedelta(milliseconds=1))
    assert wiring.controls().switches.paused == {"sms"}
    assert line.counts()["ssm.GetParameters"] == 2


@pytest.mark.parametrize(
    ("switch", "production"), [('{"paused": ["all"]}', "production"), ('{"paused": []}', "sandbox")]
)
def test_whether_this_is_production_comes_from_the_environment(
    switch: str, production: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", production)
    put("/predue/switch", switch)
    switches = wiring.controls().switches
    assert switches.production is (production == "production")
    assert switches.pauses("sms") is ("all" in switch)


NONSENSE = [
    ("/predue/policy", "{"),
    ("/predue/policy", "hours = nine"),
    ("/predue/policy", '{"hourz": {}}'),
    ("/predue/policy", '{"hours": {"start": "20:00", "end": "09:00"}}'),
    ("/predue/policy", '{"caps": [{"count": -1, "per": "day"}]}'),
    ("/predue/policy", "[]"),
    ("/predue/switch", "off"),
    ("/predue/switch", "[]"),
    ("/predue/switch", "{}"),
    ("/predue/switch", "null"),
    ("/predue/switch", '{"paused": null}'),
    ("/predue/switch", '{"paused": "sms"}'),
    ("/predue/switch", '{"paused": "all"}'),
    ("/predue/switch", '{"paused": ["smss"]}'),
    ("/predue/switch", '{"paused": [1]}'),
    ("/predue/switch", '{"paused": [["sms"]]}'),
    ("/predue/switch", '{"paused": ""}'),
    ("/predue/switch", '{"paused": {}}'),
    ("/predue/switch", '{"paused": {"sms": false}}'),
]


@pytest.mark.parametrize(("name", "value"), NONSENSE)
def test_a_setting_that_makes_no_sense_stops_the_work(name: str, value: str) -> None:
    put(name, value)
    with pytest.raises(BadPolicy):
        wiring.controls()


@pytest.mark.parametrize("name", ["/predue/policy", "/predue/switch"])
def test_a_setting_that_is_missing_stops_the_work(name: str) -> None:
    clients.client("ssm").delete_parameter(Name=name)
    with pytest.raises(BadPolicy, match=name):
        wiring.controls()


def test_settings_that_cannot_be_read_stop_the_work_and_nothing_stale_serves(
    virtual_clock: VirtualClock, line: Line
) -> None:
    wiring.controls()
    virtual_clock.move_to(virtual_clock() + timedelta(seconds=15))
    line.no_answer("ssm.GetParameters", times=8)
    for _ in range(2):
        with pytest.raises(Unreachable):
            wiring.controls()
    assert wiring.controls().switches.paused == frozenset()


def test_settings_that_may_not_be_read_stop_the_work(line: Line) -> None:
    line.say("ssm.GetParameters", "AccessDeniedException", times=8)
    with pytest.raises(PredueError, match="AccessDeniedException"):
        wiring.controls()


def test_a_setting_turned_to_nonsense_does_not_leave_the_old_one_in_force(virtual_clock: VirtualClock) -> None:
    wiring.controls()
    put("/predue/switch", "off")
    virtual_clock.move_to(virtual_clock() + timedelta(seconds=15))
    for _ in range(2):
        with pytest.raises(BadPolicy):
            wiring.controls()


@pytest.mark.parametrize("name", ["POLICY_PARAMETER", "SWITCH_PARAMETER", "ENVIRONMENT"])
def test_a_variable_that_the_template_forgot_stops_the_work_by_its_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(BadPolicy, match=name):
        wiring.controls()


# Keys


def test_keys_come_from_the_secret_with_older_roots_behind_the_newest(storage: Storage) -> None:
    set_secret(storage, json.dumps({"version": 1, "root": ROOT_KEY}))
    old = wiring.keys()
    token, ref = old.stop_token("refrefrefrefrefr", "email"), old.borrower_ref("b-1")
    set_secret(storage, json.dumps({"root": "n" * 64, "older": [ROOT_KEY]}))
    wiring.forget()
    new = wiring.keys()
    assert new.read_stop_token(token) == ("refrefrefrefrefr", "email")
    assert new.borrower_ref("b-1") == ref
    assert new.stop_token("refrefrefrefrefr", "email") != token
    set_secret(storage, json.dumps({"root": "n" * 64}))
    wiring.forget()
    assert wiring.keys().read_stop_token(token) is None


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "{}",
        "[]",
        "null",
        "words",
        '{"root": ""}',
        '{"root": "short"}',
        '{"root": null}',
        '{"root": 12345678901234567890}',
        json.dumps({"root": ROOT_KEY, "older": ["short"]}),
        json.dumps({"root": ROOT_KEY, "older": 7}),
    ],
)
def test_keys_that_make_no_sense_stop_the_work(secret: str, storage: Storage) -> None:
    set_secret(storage, secret or " ")
    with pytest.raises(BadPolicy):
        wiring.keys()


def test_keys_that_cannot_be_read_stop_the_work_and_nothing_stale_serves(
    virtual_clock: VirtualClock, line: Line
) -> None:
    wiring.keys()
    virtual_clock.move_to(virtual_clock() + timedelta(minutes=5))
    line.no_answer("secrets-manager.GetSecretValue", times=4)
    with pytest.raises(Unreachable):
        wiring.keys()


def test_an_error_about_keys_never_repeats_them(storage: Storage) -> None:
    set_secret(storage, json.dumps({"root": "hunter2"}))
    with pytest.raises(BadPolicy) as caught:
        wiring.keys()
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
