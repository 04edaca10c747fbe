"""Every operation that there is. Whoever adds a file of rows adds it here, and nowhere else."""

from __future__ import annotations

from salver.operations import access, environments, inference, models, server, statistics, workflows

OPERATIONS = (
    *inference.OPERATIONS,
    *models.OPERATIONS,
    *environments.OPERATIONS,
    *server.OPERATIONS,
    *access.OPERATIONS,
    *statistics.OPERATIONS,
    *workflows.OPERATIONS,
)
