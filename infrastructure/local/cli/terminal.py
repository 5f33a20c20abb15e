"""What the commands share: how they end, what they are told, and the progress bar."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from predue.domain.policy import Policy, read_policy
from predue.errors import BadPolicy

DONE, UNDONE, USAGE, REJECTED, BROKEN, HELD = 0, 1, 2, 3, 4, 5
"""Exit statuses; see cli.main."""
INTERRUPTED = 130
"""What shells say of a command that ended by Ctrl-C."""


class UsageError(Exception):
    """The command cannot start as it was called; the text says what to mend."""


def policy_of(path: Path | None) -> Policy:
    """The policy of a file, the default one without; raises UsageError for one that cannot be read."""
    if path is None:
        return Policy()
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error})") from error
    except BadPolicy as error:
        raise UsageError(f"{path}: {error}") from error


@contextmanager
def progress_bar() -> Iterator[Any]:
    """A progress bar on the terminal, or nothing where there is none."""
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(None),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(share: float, what: str) -> None:
            bar.update(task, completed=share, description=what)

        yield show
        bar.update(task, completed=1.0, description="done")
