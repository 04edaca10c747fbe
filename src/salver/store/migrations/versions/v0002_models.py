"""What should be served, and the versions that were published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_models()
    _create_model_versions()


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("route", sa.Text),
        sa.Column("scale", sa.Text, nullable=False),
        sa.Column("stable_history", sa.Text, nullable=False),
        sa.Column("is_unloaded", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("updated_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )


def _create_model_versions() -> None:
    op.create_table(
        "model_versions",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.PrimaryKeyConstraint("model", "version", name="pk_model_versions"),
    )
