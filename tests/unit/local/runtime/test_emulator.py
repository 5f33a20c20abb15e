import pytest

from infrastructure.local.runtime.emulator import RuntimeFailure, cold_start, read_answer

LOG = """
START RequestId: 1c631ed4 Version: $LATEST
24 Nov 2026 16:31:29,367 [INFO] (rapid) INIT START(type: on-demand, phase: init)
24 Nov 2026 16:31:33,398 [INFO] (rapid) INIT RTDONE(status: success)
24 Nov 2026 16:31:33,398 [INFO] (rapid) INIT REPORT(durationMs: 231.101000)
24 Nov 2026 16:31:33,729 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 331.036000ms)
REPORT RequestId: 1c631ed4	Init Duration: 0.21 ms	Duration: 562.41 ms	Billed Duration: 563 ms	Memory Size: 512 MB
24 Nov 2026 16:31:33,753 [INFO] (rapid) INVOKE RTDONE(status: success, produced bytes: 0, duration: 12.522000ms)
REPORT RequestId: b9a37e0c	Duration: 12.75 ms	Billed Duration: 13 ms	Memory Size: 512 MB	Max Memory Used: 512 MB
"""


def test_the_cold_start_is_the_init_report_and_not_the_init_duration_of_the_last_line() -> None:
    assert cold_start(LOG) == 231.101


def test_a_log_without_a_cold_start_is_a_failure_and_no_figure() -> None:
    with pytest.raises(RuntimeFailure, match="no cold start"):
        cold_start("REPORT RequestId: 1	Init Duration: 0.21 ms	Duration: 5 ms")


@pytest.mark.parametrize(
    ("body", "answer"), [(b"null", None), (b"", None), (b'{"batchItemFailures": []}', {"batchItemFailures": []})]
)
def test_an_answer_is_its_json(body: bytes, answer: object) -> None:
    assert read_answer(body, "own") == answer


@pytest.mark.parametrize(
    "body",
    [
        b"2026-11-24T16:00:00.000Z 1c631ed4 Task timed out after 5.00 seconds",
        b'{"errorMessage": "no", "errorType": "ValueError"}',
        b'{"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}',
    ],
)
def test_an_error_or_a_time_out_with_status_200_is_a_failure(body: bytes) -> None:
    with pytest.raises(RuntimeFailure, match="own: "):
        read_answer(body, "own")
