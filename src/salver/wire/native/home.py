"""The start page: what answers at this port, for programs as JSON and for people as a page without scripts."""

from __future__ import annotations

from html import escape

from salver.operations.base import Request
from salver.operations.server import ServerDescription
from salver.wire.native.documents import AddressDocument, ServerDocument

# The prediction addresses of each wire by its name; a wire that is not listed by the server is not shown.
PREDICT_ADDRESSES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "native": (
        ("POST", "/api/v1/models/{model}/predict", "Predict with the default version."),
        ("POST", "/api/v1/models/{model}/versions/{version}/predict", "Predict with one version."),
        ("POST", "/api/v1/models/{model}/labels/{label}/predict", "Predict with the version that a label names."),
        ("POST", "/api/v1/models/{model}/invocations", "Predict as MLflow's clients do."),
    ),
    "tfserving": (("POST", "/v1/models/{model}:predict", "Predict as TensorFlow Serving's REST clients do."),),
    "mms": (("POST", "/predictions/{model}", "Predict as clients of MXNet Model Server do."),),
    "openinference": (("POST", "/v2/models/{model}/infer", "Predict as clients of the Open Inference protocol do."),),
}

PAGE_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)


def server_document(description: ServerDescription, own: tuple[AddressDocument, ...]) -> ServerDocument:
    """The description with the prediction addresses of its wires, then the other addresses of this wire."""
    predict = tuple(
        AddressDocument(method=method, path=path, summary=summary)
        for wire in description.wires
        for method, path, summary in PREDICT_ADDRESSES.get(wire, ())
    )
    return ServerDocument(
        name="salver", version=description.version, wires=description.wires, addresses=(*predict, *own)
    )


def prefers_page(request: Request) -> bool:
    """Whether the caller is a browser: it names HTML in Accept before JSON, or without it."""
    accept = (request.header("accept") or "").lower()
    html, json = accept.find("text/html"), accept.find("application/json")
    return html >= 0 and (json < 0 or html < json)


def page(document: ServerDocument) -> bytes:
    """The document as HTML; every value is escaped."""
    rows = "".join(
        f"<tr><td>{escape(row.method)}</td><td><code>{escape(row.path)}</code></td><td>{escape(row.summary)}</td></tr>"
        for row in document.addresses
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Salver</title>'
        f"<h1>Salver {escape(document.version)}</h1>"
        f"<p>Protocols: {escape(', '.join(document.wires))}.</p>"
        f"<table><tr><th>Method<th>Address<th>What it does</tr>{rows}</table></html>"
    ).encode()
