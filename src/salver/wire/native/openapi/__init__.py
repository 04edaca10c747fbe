"""OpenAPI 3.1 documents: one of each model, one of the server."""
