"""The permissions: what a role may allow, one row each.

An operation names the permission it needs, and a route without an operation does not exist. So this table is all that
can be allowed, and what no row names is refused.
"""

from __future__ import annotations

import enum

import msgspec


class Reach(enum.Enum):
    """What a permission is about, and so what is left of it for a key that is limited to some models."""

    SERVER = "server"
    """The whole server: a key limited to some models does not have it."""
    LISTING = "listing"
    """All models at once: a limited key has it, and the answer holds only its models."""
    MODEL = "model"
    """One model, which the request names: a limited key has it for its models."""


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a role may allow."""

    name: str
    description: str
    reach: Reach


PERMISSIONS = (
    Permission(name="models.list", description="See which models are served.", reach=Reach.LISTING),
    Permission(name="models.get", description="Read a model's versions, states and signature.", reach=Reach.MODEL),
    Permission(name="models.predict", description="Send requests to a model.", reach=Reach.MODEL),
    Permission(name="models.publish", description="Add versions to a model, which are then served.", reach=Reach.MODEL),
    Permission(
        name="models.promote", description="Choose the version that answers: labels and routes.", reach=Reach.MODEL
    ),
    Permission(name="models.operate", description="Scale, load and unload a model; set its policy.", reach=Reach.MODEL),
    Permission(name="models.delete", description="Delete a model or a version of it for good.", reach=Reach.MODEL),
    Permission(
        name="models.configure",
        description="Replace the list of models that are served from folders of the machine.",
        reach=Reach.SERVER,
    ),
    Permission(
        name="environments.list", description="See environments: interpreters and packages.", reach=Reach.SERVER
    ),
    Permission(
        name="environments.build",
        description="Have packages installed that nobody approved before, by building or publishing.",
        reach=Reach.SERVER,
    ),
    Permission(name="environments.prune", description="Remove environments that nothing uses.", reach=Reach.SERVER),
    Permission(name="metrics.read", description="Read counters and gauges of the whole server.", reach=Reach.SERVER),
    Permission(name="keys.create", description="Make keys, with no more rights than one's own.", reach=Reach.SERVER),
    Permission(name="keys.list", description="See which keys exist; never a key itself.", reach=Reach.SERVER),
    Permission(name="keys.revoke", description="Make any key invalid.", reach=Reach.SERVER),
    Permission(name="keys.renew", description="Have the keys of the key file made anew.", reach=Reach.SERVER),
    Permission(name="server.configure", description="Change settings while the server runs.", reach=Reach.SERVER),
    Permission(name="audit.read", description="Read who changed what, and who was refused.", reach=Reach.SERVER),
)

REACH_OF = {permission.name: permission.reach for permission in PERMISSIONS}
