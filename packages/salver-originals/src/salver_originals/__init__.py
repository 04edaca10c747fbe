"""The names of other servers' commands. Each runs the subcommand of `salver` that stands in for it."""

from __future__ import annotations

import sys


def tensorflow_model_server() -> int:
    return _run("tensorflow-model-server")


def mxnet_model_server() -> int:
    return _run("mxnet-model-server")


def multi_model_server() -> int:
    return _run("multi-model-server")


def torchserve() -> int:
    return _run("torchserve")


def model_archiver() -> int:
    return _run("model-archiver")


def torch_model_archiver() -> int:
    return _run("torch-model-archiver")


def torch_workflow_archiver() -> int:
    return _run("torch-workflow-archiver")


def _run(subcommand: str) -> int:
    from salver.cli.main import main

    return main([subcommand, *sys.argv[1:]])
