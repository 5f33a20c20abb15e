"""The planner and the closing run in the interleavings: whole, or stepped, met half-way and killed."""

from predue.reminders import closing, planner
from tests.flow.event_room import EventRoom
from tests.flow.scene import Work
from tests.flow.steps import BEGIN, Task


class Scheduled(EventRoom):
    """What the schedules start; `closed_at` is up to when a closing run came to its end."""

    def set_up(self) -> None:
        super().set_up()
        self.closed_at = self.now
        self.emitted = 0

    def start_planner(self) -> Work:
        at, controls = self.now, self.controls
        services = planner.PlannerServices(
            self.store, self.store, self.queues, controls.rulebook, controls.switches, lambda: 600
        )
        return self.begin(Work(Task(lambda: str(planner.plan(0, at, services))), controls, notes={"run": planner.RUN}))

    def start_closing(self) -> Work:
        at = self.now
        services = closing.ClosingServices(self.store, self.event_services(), self.bus, lambda: 600)
        work = Work(Task(lambda: str(closing.close(0, at, services))), self.controls, notes={"run": closing.RUN})

        def ended() -> None:
            if work.task.error is None:
                self.closed_at = at

        work.ended = ended
        return self.begin(work)

    def planner_runs(self) -> None:
        self.finish(self.start_planner())

    def closing_runs(self) -> None:
        self.finish(self.start_closing())

    def dies_in_run(self, work: Work) -> None:
        """Take note of where a run dies."""
        run, call = work.notes["run"], work.task.at
        self.reach(f"{run}: died ahead of its first call" if call == BEGIN else f"{run}: died in the middle")
        if call == "write_due":
            self.reach("close: died between the event and the hand-over")
        if call == "save_checkpoint":
            self.reach(f"{run}: died ahead of its checkpoint")

    def look(self, work: Work | None) -> None:
        super().look(work)
        for _, due, _ in self.bus.events[self.emitted :]:
            assert any(truth.open_at(due.loan_id, due.due_date) for truth in self.truths()), (
                "promise 7: nothing is owed"
            )
            self.reach("handed over")
        self.emitted = len(self.bus.events)
