"""The built-in roles: named sets of permissions, one row each. A role only allows; nothing takes away."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from salver.access.actions import PERMISSIONS


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A name for what one kind of caller needs."""

    name: str
    description: str
    permissions: frozenset[str]


_READ = frozenset({"models.list", "models.get", "metrics.read"})
_PREDICT = _READ | {"models.predict"}

_PUBLISH = _READ | {"models.publish", "models.promote", "environments.list"}
_OPERATE = _PUBLISH | {"models.operate", "models.delete", "environments.build", "environments.prune"}

ANONYMOUS = Role(
    name="anonymous",
    description="Callers without a key, where the server lets them in; never the role of a key.",
    permissions=_PREDICT,
)
ADMIN = Role(
    name="admin",
    description="Everything.",
    permissions=frozenset(permission.name for permission in PERMISSIONS),
)

KEY_ROLES = (
    Role(name="viewer", description="Sees models and metrics; may not predict.", permissions=_READ),
    Role(name="user", description="An application that calls models.", permissions=_PREDICT),
    Role(
        name="developer", description="Builds models and tries them; may not change what is live.", permissions=_PREDICT
    ),
    Role(
        name="publisher",
        description="Publishes models and chooses what answers; installs no packages but those that are approved.",
        permissions=_PUBLISH,
    ),
    Role(name="operator", description="Runs the server and its models; may not call them.", permissions=_OPERATE),
    Role(
        name="renewer",
        description="Has the keys of TorchServe's key file made anew; may do nothing else.",
        permissions=frozenset({"keys.renew"}),
    ),
    ADMIN,
)
"""The roles that a key may have."""

ROLES = (*KEY_ROLES, ANONYMOUS)

GRANTS: Mapping[str, frozenset[str]] = {role.name: role.permissions for role in ROLES}
"""The permissions of a role, by its name."""
