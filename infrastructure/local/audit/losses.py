"""What got lost in a run: a stage that no run came to, a dead letter, an error, a good row that was set aside.

Faults, outages and a limit of the day's volume may each cost a reminder. Where there was none of them, nobody must lose
one, though each stage has its outcome. Rejected input excuses dead letters and errors, which may be its traces, but no
stage of another row.
"""

from collections.abc import Iterator
from functools import partial

from infrastructure.local.audit.evidence import Check, Evidence, line_text


def losses(evidence: Evidence) -> Iterator[Check]:
    """List what must not be there; nothing for a run in which something may get lost."""
    for row in evidence.inputs.wronged:
        yield Check(row, "it was rejected, and nothing is odd in it")
    if not evidence.undisturbed:
        return
    for key in evidence.planned.required:
        for line in evidence.lines_of_key.get(key, ()):
            unserved = (line.outcome, line.reason) == ("expired", "no_run")
            yield Check(
                partial(line_text, line, key), "no run came to it, and nothing stood in the way" if unserved else None
            )
    if evidence.inputs.rejected:
        return
    for queue, count in evidence.dead_letters.items():
        yield Check(f"queue {queue}", f"{count} of its messages were given up, and nothing stood in the way")
    for number in evidence.errors:
        yield Check(f"logs.jsonl line {number}", "an error, and nothing stood in the way")
