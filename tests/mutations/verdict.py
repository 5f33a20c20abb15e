"""A plugin of pytest that notes how a mutant's test ended: `passed`, `asserted` or `broke`.

A mutant counts as caught only by an assertion, or by an error of predue's own that the test did not expect. An error of
import or syntax, or any other exception, would catch anything.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

import predue
from predue.errors import PredueError

_ASSERTION = (AssertionError, pytest.fail.Exception, PredueError)


def _asserted(error: BaseException) -> bool:
    """Whether an error is a test's own assertion; Hypothesis tells of several at once in a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_asserted, error.exceptions))
    return isinstance(error, _ASSERTION)


def _note(word: str) -> None:
    with Path(os.environ["MUTANT_VERDICT"]).open("a", encoding="utf-8") as file:
        file.write(f"{word}\n")


def pytest_sessionstart(session: pytest.Session) -> None:
    """The code under test must be the copy, not the project from which it was made."""
    if not Path(str(predue.__file__)).is_relative_to(session.config.rootpath):
        _note("broke: the test does not run the mutated copy")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what became of the test itself."""
    report = yield
    if call.excinfo is None:
        if call.when == "call":
            _note("passed")
    elif call.when == "call" and _asserted(call.excinfo.value):
        _note("asserted")
    else:
        _note(f"broke: {call.excinfo.typename} in {item.name}")
    return report
