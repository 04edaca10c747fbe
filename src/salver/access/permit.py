"""Who a caller is, and whether that one may do a thing. Pure: the answer depends on the arguments alone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from salver.access.actions import REACH_OF, Reach
from salver.access.roles import ADMIN, ANONYMOUS, GRANTS
from salver.errors import Code, RequestError

_NOTHING: frozenset[str] = frozenset()


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: `key:<id>`, `anonymous` or `local:<user id>`, with a role and, where `models` has any, a fence."""

    id: str
    role: str
    models: tuple[str, ...] = ()
    """The only models this caller may touch or see; empty: all."""
    requests_per_second: float | None = None
    """Budget of this caller; None: no limit."""
    is_lasting: bool = True
    """Whether the caller's key ends only by being revoked."""


ANYONE = Principal(id="anonymous", role=ANONYMOUS.name)
"""A caller without a key, where the server lets such callers in."""


def local_admin(uid: int) -> Principal:
    """The user who owns the server, at its own Unix socket."""
    return Principal(id=f"local:{uid}", role=ADMIN.name)


def is_allowed(principal: Principal, permission: str | None, model: str = "") -> bool:
    """Whether the caller has the permission, for `model` where it is about one. A permission of None is everybody's."""
    if permission is None:
        return True
    if permission not in GRANTS.get(principal.role, _NOTHING):
        return False
    return not principal.models or _is_inside_fence(principal.models, permission, model)


def visible(principal: Principal, models: Iterable[str]) -> tuple[str, ...]:
    """Those of the models that the caller may see, in the order given: what every list must show, and no more."""
    return tuple(model for model in models if is_allowed(principal, "models.get", model))


def may_grant(principal: Principal, role: str, models: tuple[str, ...]) -> bool:
    """Whether a key with this role and these models would have no right that the caller lacks."""
    if not GRANTS[role] <= GRANTS.get(principal.role, _NOTHING):
        return False
    return not principal.models or (bool(models) and set(models) <= set(principal.models))


def denial(principal: Principal, permission: str, model: str = "") -> RequestError:
    """Why `is_allowed` said no, in words that tell the caller nothing of models it may not see."""
    if principal.role == ANONYMOUS.name:
        return RequestError(Code.UNAUTHENTICATED, f"{permission} needs a key, and this request has none.")
    if model and principal.models and model not in principal.models:
        return model_not_found(model)
    if permission in GRANTS.get(principal.role, _NOTHING):
        message = f"{permission} is about the whole server, and this key is limited to some models."
    else:
        message = f"The role {principal.role} does not have the permission {permission}."
    return RequestError(Code.PERMISSION_DENIED, message)


def model_not_found(model: str) -> RequestError:
    """The one error for a model that is not there and for one that the caller may not see: nobody can tell which."""
    return RequestError(Code.MODEL_NOT_FOUND, f"There is no model named {model!r}.")


def _is_inside_fence(models: tuple[str, ...], permission: str, model: str) -> bool:
    reach = REACH_OF[permission]
    if reach is Reach.LISTING:
        return True
    return reach is Reach.MODEL and model in models
