"""What TorchServe's metrics.yaml declares of the metrics of handlers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from salver.errors import Code, LoadError, StartupError
from salver.models.archivesettings import read_document
from salver.settings import Settings
from salver.telemetry.declared import DeclaredMetric, declared_metrics


@functools.cache
def declared(path: str) -> tuple[DeclaredMetric, ...] | None:
    """What TorchServe's metrics.yaml declares of handlers' metrics; None without such a file. Raises StartupError."""
    if not path:
        return None
    try:
        return declared_metrics(read_document(Path(path).expanduser().read_bytes(), path, "the metrics' configuration"))
    except OSError as error:
        why = error.strerror or str(error)
    except LoadError as error:
        why = error.message
    except ValueError as error:
        why = str(error)
    raise StartupError(
        Code.SETTINGS_INVALID, f"metrics_config: {path}: {why}.", fix="Correct the file, or leave metrics_config out."
    )


def declared_names(settings: Settings) -> tuple[str, ...] | None:
    metrics = declared(settings.torchserve.metrics_config)
    return None if metrics is None else tuple(metric.name for metric in metrics)


def rows_for_worker(metrics: Sequence[DeclaredMetric] | None) -> dict[str, object]:
    """As the file has it."""
    rows: dict[str, list[dict[str, object]]] = {}
    for metric in metrics or ():
        row: dict[str, object] = {"name": metric.name, "unit": metric.unit, "dimensions": list(metric.dimensions)}
        rows.setdefault(metric.kind, []).append(row)
    return {"model_metrics": rows} if rows else {}
