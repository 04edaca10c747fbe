"""The tables as they are now. ``migrations/`` has the steps that lead here; a test holds the two together."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every constraint has a name, so that a later migration can find it on every database."""

API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("models", sa.Text, nullable=False),  # a JSON array of names
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
    sa.Column("requests_per_second", sa.Double),
)

AUDIT_LINES = sa.Table(
    "audit_lines",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("peer", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
)
"""Append-only: triggers refuse UPDATE and DELETE."""

SERVER_VALUES = sa.Table(
    "server_values",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

MODELS = sa.Table(
    "models",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("policy", sa.Text, nullable=False),  # JSON, as are the next ones
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("route", sa.Text),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("stable_history", sa.Text, nullable=False),
    sa.Column("is_unloaded", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("updated_by", sa.Text, nullable=False),
)

MODEL_VERSIONS = sa.Table(
    "model_versions",
    METADATA,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("failure", sa.Text),  # JSON
)
"""Without a reference to `models`: a version may be there before anybody changed a setting of its model."""
