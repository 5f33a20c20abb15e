"""Who owns what: on each group of aspects the word of one source counts, and what protects counts from all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from predue.events.tenant import split_tenant

Group = Literal["schedule", "payments", "profile", "consent"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True, slots=True)
class Owners:
    """`named` is by tenant and group the source that its settings say owns it; any other group of a loan or borrower is
    owned by the source that created it. `several` if more than one source may speak at all.
    """

    several: bool = False
    named: Mapping[tuple[str, Group], str] = field(default_factory=dict)

    def owner(self, group: Group, kept_id: str, creator: str) -> str:
        """The source that owns a group of the loan or borrower of an id as it is kept; "" if any may speak of it, since
        nobody knows who created it.
        """
        return self.named.get((split_tenant(kept_id)[0], group), creator)

    def owns(self, source: str, group: Group, kept_id: str, creator: str) -> bool:
        """Whether a source's word counts on a group."""
        return self.owner(group, kept_id, creator) in ("", source)


CREATORS = Owners()
"""Where nothing is set: whoever created a loan or borrower owns it."""


def newer(word: tuple[int, int], known: tuple[int, int]) -> bool:
    """Whether a word of an owner replaces the known one, each by its sequence and first arrival: of equal sequences the
    later counts; but of rows of files, whose sequence is 0, the first.
    """
    return word > known if word[0] else word[0] > known[0]
