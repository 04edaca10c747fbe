"""Who is calling: from what a door knows to a principal, from memory alone."""

from __future__ import annotations

from salver.access.base import AccessSettings, Caller
from salver.access.keys import KeyRing, parse
from salver.access.permit import ANYONE, Principal, local_admin
from salver.errors import Code, RequestError


class Authenticator:
    """Turns callers into principals. `keys` is replaced whole when a key is made or revoked."""

    def __init__(self, settings: AccessSettings, *, server_uid: int, keys: KeyRing) -> None:
        self._anonymous = settings.anonymous
        self._server_uid = server_uid
        self.keys = keys

    def identify(self, caller: Caller, now: float) -> Principal:
        """The caller's principal; `now` is wall-clock time. Raises RequestError(UNAUTHENTICATED).

        A key that was sent must be right, wherever the caller sits: a wrong one never counts as none.
        """
        token = caller.token
        if token is not None:
            principal = self.keys.find(token, now)
            if principal is None:
                raise self._wrong_key(token)
            return principal
        if caller.local_uid is not None and caller.local_uid in (self._server_uid, 0):
            return local_admin(caller.local_uid)
        if self._anonymous == "all" or (self._anonymous == "loopback" and caller.is_loopback):
            return ANYONE
        raise RequestError(Code.UNAUTHENTICATED, self._why_a_key_is_needed())

    def _wrong_key(self, token: str) -> RequestError:
        id = parse(token)
        return RequestError(
            Code.UNAUTHENTICATED,
            self.keys.refusal(token),
            fix="Send the key as it was shown, or ask for a new one: `salver keys create` makes it.",
            log_detail="" if id is None else f"claimed key {id}",
        )

    def _why_a_key_is_needed(self) -> str:
        if self._anonymous == "loopback":
            return "Callers on other machines need a key, and this request has none."
        return "This server needs a key, and this request has none."
