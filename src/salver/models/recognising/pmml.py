"""PMML documents, by their root element."""

from __future__ import annotations

import re

from salver.models.recognising.base import FileView, Recognition

_BEFORE = rb"(?:\xef\xbb\xbf)?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*"
_ROOT = re.compile(_BEFORE + rb"<(?:\w+:)?PMML[\s>]", re.DOTALL)
_VERSION = re.compile(rb"<(?:\w+:)?PMML\b[^>]*?\sversion\s*=\s*[\"'](\d+(?:\.\d+)*)[\"']", re.DOTALL)


def recognise_pmml(view: FileView, _function: str | None) -> Recognition | None:
    if not _ROOT.match(view.head):
        return None
    version = _VERSION.search(view.head)
    label = f"PMML {version[1].decode()} document" if version else "PMML document"
    return Recognition(runtime="pmml", artifact=view.path, trust="data", label=label)
