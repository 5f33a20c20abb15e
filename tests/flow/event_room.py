"""Events in the interleavings: one event at a time is told, cut short, and told again."""

from datetime import timedelta
from typing import Any

from predue.domain.case import Hold
from predue.events import applying
from predue.events.event_services import EventServices
from predue.events.models import read_event
from tests.flow.chances import WHO
from tests.flow.scene import KEYS, Scene
from tests.flow.steps import Task


class EventRoom(Scene):
    """What the loan system tells; `telling` is the event that is under way."""

    publishing: Task | None

    def event_services(self) -> EventServices:
        return EventServices(self.store, self.store, self.store, self.controls.rulebook, lambda: KEYS)

    def tell(self, kind: str, **fields: Any) -> None:
        """Tell one event from beginning to end."""
        self.start_publishing(kind, **fields)
        self.finish_publishing()

    def start_publishing(self, kind: str, **fields: Any) -> None:
        self.finish_publishing()
        number = len(self.told) + 1
        frame = {"type": kind, "event_id": f"e-{number}", "source": "core", "sequence": number, "borrower_id": WHO}
        if kind == "borrower.opted_in":
            # As late as an event may say, so that it is later than a stop of its source at this very instant.
            frame["occurred_at"] = (self.now + timedelta(minutes=5)).isoformat()
        self.unpublished = {**frame, "at": self.now, **fields}
        self.note()
        self.repeat_publishing()

    def repeat_publishing(self) -> None:
        body, at, services = self.unpublished, self.now, self.event_services()
        assert body is not None
        body = {name: value for name, value in body.items() if name != "at"}
        self.publishing = Task(lambda: applying.apply(read_event(body), at, services))

    def step_publishing(self) -> None:
        assert self.publishing is not None
        self.publishing.step()
        self.look(None)
        if self.publishing.at is None:
            if self.publishing.error:
                raise self.publishing.error
            assert self.publishing.result in ("applied", "no_change", "duplicate")
            assert self.unpublished is not None
            if self.publishing.result == "duplicate":
                self.reach("news repeated after its mark")
            self.told.append(self.unpublished)
            self.look_at_cases()
            self.publishing = self.unpublished = None
            self.note()

    def look_at_cases(self) -> None:
        """Once events are acknowledged, a hold by which the borrower asked for help has its case, and no other has."""
        sequence = self.ledger(WHO).hold("hardship", "core")
        asked = [] if sequence is None else [Hold("hardship", sequence, "core")]
        assert [case.about for case in self.store.open_cases() if case.kind == "help"] == asked, "a case of each hold"
        if asked:
            self.reach("a borrower asked for help")

    def finish_publishing(self) -> None:
        """Tell the event to its end, from the start if it was cut short."""
        if self.unpublished is not None and self.publishing is None:
            self.reach("news cut short and told again")
            self.repeat_publishing()
        while self.publishing is not None:
            self.step_publishing()

    def tell_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.publishing is not None:
                self.step_publishing()

    def news_dies(self) -> None:
        if self.publishing is not None:
            self.publishing.kill()
            self.publishing = None
