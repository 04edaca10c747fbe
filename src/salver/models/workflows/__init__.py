"""Workflows: several models and functions that answer one request together, in the order that a graph gives them."""
