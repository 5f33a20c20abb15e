"""News in the interleavings: one event at a time is told, cut short, and told again."""

from typing import Any

from predue.domain.case import Hold
from predue.events import applying
from tests.flow.chances import WHO
from tests.flow.scene import KEYS, Scene
from tests.flow.steps import Task


class Newsroom(Scene):
    """What the loan system tells; `telling` is the event that is under way."""

    telling: Task | None

    def news_desk(self) -> applying.NewsDesk:
        return applying.NewsDesk(self.store, self.store, self.store, self.controls.rulebook, lambda: KEYS)

    def tell(self, kind: str, **fields: Any) -> None:
        """Tell one event from beginning to end."""
        self.start_telling(kind, **fields)
        self.finish_telling()

    def start_telling(self, kind: str, **fields: Any) -> None:
        self.finish_telling()
        number = len(self.told) + 1
        frame = {"type": kind, "event_id": f"e-{number}", "source": "core", "sequence": number, "borrower_id": WHO}
        self.untold = {**frame, **fields}
        self.note()
        self.repeat_telling()

    def repeat_telling(self) -> None:
        body, at, desk = self.untold, self.now, self.news_desk()
        assert body is not None
        self.telling = Task(lambda: applying.apply(body, at, desk))

    def step_telling(self) -> None:
        assert self.telling is not None
        self.telling.step()
        self.look(None)
        if self.telling.at is None:
            if self.telling.error:
                raise self.telling.error
            assert self.telling.result in ("applied", "repeat")
            assert self.untold is not None
            if self.telling.result == "repeat":
                self.reach("news repeated after its mark")
            self.told.append(self.untold)
            self.look_at_cases()
            self.telling = self.untold = None
            self.note()

    def look_at_cases(self) -> None:
        """Once news is acknowledged, a hold by which the borrower asked for help has its case, and no other has."""
        sequence = self.ledger(WHO).hold("hardship")
        asked = [] if sequence is None else [Hold("hardship", sequence)]
        assert [case.about for case in self.store.open_cases() if case.kind == "help"] == asked, "a case of each hold"
        if asked:
            self.reach("a borrower asked for help")

    def finish_telling(self) -> None:
        """Tell the event to its end, from the start if it was cut short."""
        if self.untold is not None and self.telling is None:
            self.reach("news cut short and told again")
            self.repeat_telling()
        while self.telling is not None:
            self.step_telling()

    def tell_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.telling is not None:
                self.step_telling()

    def news_dies(self) -> None:
        if self.telling is not None:
            self.telling.kill()
            self.telling = None
