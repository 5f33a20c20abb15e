"""The names of a file's installments, apart from its chunks: all that checking needs, in a tenth of the objects."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from predue.imports.import_state import Import, ImportServices

Named = tuple[str, int]


def name_of(loan_id: str, installment_no: int) -> bytes:
    """An installment as one line, since an id holds neither `#` nor a control character."""
    return f"{loan_id}#{installment_no}".encode()


def named(name: bytes) -> Named:
    """The installment that a line names."""
    loan_id, _, number = name.decode().rpartition("#")
    return loan_id, int(number)


@dataclass(frozen=True, slots=True)
class NameIndex:
    """The installments of a stretch of a file, those of rows that make them due soon apart from the others.

    A million of them are looked through more than once: so each is a line of bytes, and nothing is parsed of those that
    nobody asks for.
    """

    soon: list[bytes] = field(default_factory=list)
    later: list[bytes] = field(default_factory=list)

    def put(self, state: Import, services: ImportServices) -> Import:
        """Put it as the next one of an import, unless it is empty."""
        if not self.soon and not self.later:
            return state
        content = b"\n\n".join(b"\n".join(dict.fromkeys(names)) for names in (self.soon, self.later))
        services.files.put(_object_key(state, state.leaves), content)
        return replace(state, leaves=state.leaves + 1)

    @classmethod
    def get(cls, state: Import, services: ImportServices, number: int) -> "NameIndex":
        """One that was put."""
        soon, _, later = services.files.get(_object_key(state, number)).partition(b"\n\n")
        return cls(soon.splitlines(), later.splitlines())

    @property
    def names(self) -> Sequence[bytes]:
        """All of them."""
        return self.soon + self.later


def _object_key(state: Import, number: int) -> str:
    return state.work(f"names-{number:06}")
