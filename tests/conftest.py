"""For every test: how long an example takes says nothing of the code on a machine that does other work besides."""

import gc
import os

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: to look through moto's models for garbage again and again costs a sixth of all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the tests cost, with all processes that they started; workers have ended by now."""
    told = os.times()
    spent = told.user + told.system + told.children_user + told.children_system
    terminalreporter.write_line(f"processor time: {spent:.0f} s")
