"""Boosters that were pickled as they are, without an estimator of scikit-learn's kind around them."""

from __future__ import annotations

from typing import Any, Optional

from salver_worker.runtimes.base import TensorModel
from salver_worker.runtimes.lightgbm import LightgbmModel, header_of
from salver_worker.runtimes.xgboost import XgboostModel


def booster_model(found: Any, threads: int) -> Optional[TensorModel]:
    """The model that the booster's own runtime makes of it; None when it is no booster."""
    library = type(found).__module__.partition(".")[0]
    if type(found).__name__ != "Booster" or library not in ("xgboost", "lightgbm"):
        return None
    if library == "lightgbm":
        import lightgbm

        return LightgbmModel(found, header_of(found), threads, "lightgbm " + lightgbm.__version__)
    import xgboost

    xgboost.set_config(verbosity=0)
    found.set_param({"nthread": threads})
    return XgboostModel(found, threads, "xgboost " + xgboost.__version__)
