"""Where the server itself may take artefacts from: the model store's folder, and named remotes. Nothing else.

A location is a name in the model store (`squeezenet.mar`), or a reference (`zoo:vision/resnet.onnx@sha256:...`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.archiverules import plain_parts
from salver.models.naming import stem
from salver.models.remotes.http import HttpFetcher
from salver.models.remotes.references import Reference, Remote, parse_reference, without_secrets

DIGEST = "@sha256:"


class Places:
    """Brings artefacts. Waits for the disk and the network."""

    def __init__(
        self, model_store: Path | None, remotes: Mapping[str, Remote], fetcher: HttpFetcher, *, allow_urls: bool
    ) -> None:
        self._model_store = model_store
        self._remotes = remotes
        self._fetcher = fetcher
        self._allow_urls = allow_urls

    def find(self, location: str, only: str | None = None) -> Reference | Path:
        """What the location means. Raises LoadError.

        Of the model store there is no more than what is called `only`, for somebody who may know no other model: of
        remotes, who names a digest knows the artefact already.
        """
        if DIGEST in location or location.partition(":")[0] in self._remotes:
            return parse_reference(location, self._remotes, allow_urls=self._allow_urls)
        if "://" in location:
            shown = without_secrets(location)
            raise LoadError(
                Code.INVALID_INPUT,
                f"{shown} is fetched only with its digest.",
                fix=f"Write {shown}{DIGEST}<64 hex digits>, and name the place in the setting `remotes`.",
            )
        return self._in_model_store(location, only)

    def bring(self, found: Reference | Path, folder: Path) -> Path:
        """Where the artefact is now, perhaps in the empty `folder`. Raises LoadError, SourceGone."""
        return found if isinstance(found, Path) else self._fetcher.fetch(found, folder)

    def _in_model_store(self, name: str, only: str | None) -> Path:
        if self._model_store is None:
            raise LoadError(
                Code.MODEL_NOT_FOUND,
                "Model store has not been configured.",
                fix="Start the server with --model-store FOLDER, or upload the model with `salver push`.",
            )
        if ".." in name.split("/") or name.startswith("/"):
            message = f"Relative path is not allowed in url: {name}"
            raise LoadError(Code.MODEL_NOT_FOUND, message, fix="Name a file of the model store.")
        is_hidden = only is not None and only not in (name, stem(name))
        path = None if is_hidden else inside(self._model_store, name)
        if path is None:
            message = f"Model not found in model store: {name}"
            raise LoadError(Code.MODEL_NOT_FOUND, message, fix="Check the name, or upload the model.")
        return path


def inside(folder: Path, name: str) -> Path | None:
    """What is called so in the folder, also by a link that does not leave it."""
    if plain_parts(name) is None:
        return None
    try:
        path = folder / name
        return path if path.resolve(strict=True).is_relative_to(folder.resolve()) else None
    except OSError:
        return None
