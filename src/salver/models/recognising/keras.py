"""Models of Keras: archives of version 3, and HDF5 files. Files of weights alone are none."""

from __future__ import annotations

from salver.models.kerasfile import HDF5_MAGIC, is_model, keras_version
from salver.models.recognising.base import FileView, Recognition

MEMBERS = {"config.json", "model.weights.h5"}


def recognise_keras(view: FileView, _function: str | None) -> Recognition | None:
    is_archive = MEMBERS.issubset(view.members)
    if not is_archive and not (view.head.startswith(HDF5_MAGIC) and is_model(view.path)):
        return None
    version = keras_version(view.path)
    label = f"Keras model (Keras {version})" if version else "Keras model"
    return Recognition(runtime="keras", artifact=view.path, trust="code", label=label)
