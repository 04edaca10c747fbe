"""A model that lives in a program becomes a package: a file that any Salver server takes."""
