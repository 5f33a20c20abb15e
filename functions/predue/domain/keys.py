"""Opaque names and signed links, from one root key; a purpose each, so that no key serves two ends."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from itsdangerous import BadSignature, Signer

from predue.domain.record import REF_LENGTH


@lru_cache(maxsize=32)
def _derived(root: bytes, purpose: str) -> bytes:
    return hmac.new(root, f"predue/{purpose}".encode(), hashlib.sha256).digest()


@lru_cache(maxsize=4)
def _signer(roots: tuple[bytes, ...], purpose: str) -> Signer:
    # itsdangerous signs with the last key of its list and accepts them all; its own default digest is SHA-1.
    keys = [_derived(root, purpose) for root in reversed(roots)]
    return Signer(keys, salt=f"predue/{purpose}", digest_method=hashlib.sha256, key_derivation="hmac")


@dataclass(frozen=True)
class Keys:
    """Root keys, the newest first; the first makes, all of them verify. Opaque names use the last, the oldest, which
    never changes.
    """

    roots: Sequence[bytes]

    def _opaque(self, purpose: str, text: str, length: int) -> str:
        digest = hmac.new(_derived(self.roots[-1], purpose), text.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest).decode().lower()[:length]

    def borrower_ref(self, borrower_id: str) -> str:
        """The borrower's opaque name: always the same, and telling nothing of the id."""
        return self._opaque("borrower", borrower_id, REF_LENGTH)

    def address_ref(self, channel: str, address: str) -> str:
        """The keyed hash of a contact point."""
        return self._opaque("address", f"{channel}#{address}", 32)

    def stop_token(self, ref: str, channel: str) -> str:
        """The token of a one-click link that stops a channel; it does not expire, since a stop must always be
        possible.
        """
        return _signer(tuple(self.roots), "stop").sign(f"{ref}.{channel}").decode()

    def read_stop_token(self, token: str) -> tuple[str, str] | None:
        """The borrower's ref and the channel of a token that we signed, or None."""
        try:
            ref, channel = _signer(tuple(self.roots), "stop").unsign(token).decode().split(".")
        except (BadSignature, ValueError):
            return None
        return ref, channel
