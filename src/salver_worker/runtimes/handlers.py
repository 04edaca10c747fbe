"""Finds the handler of a model archive: a function, or the only class of a module (mms/model_loader.py)."""

from __future__ import annotations

import importlib
import inspect
import os
from types import ModuleType
from typing import Any, Callable, List

from salver_worker.failures import LoadFailure, missing_module
from salver_worker.runtimes.code import load_module, own_members
from salver_worker.runtimes.context import Context

Handler = Callable[[Any, Context], Any]
DEFAULT_FUNCTION = "handle"
SERVERS_OWN = ("ts", "mms")
TORCHSERVE_HANDLERS = "ts.torch_handler."


def load_handler(name: str, folder: str, context: Context) -> Handler:
    """The callable for requests, after the handler has been told to load. Raises LoadFailure, or what its code raises.

    A function is called once with None for data. A class is made without arguments and its `initialize` is called; MMS
    logs an exception of `initialize` and goes on with a model that cannot answer, here it fails the load.
    """
    file, _, function_name = name.partition(":")
    module = _import(file, folder)
    function = getattr(module, function_name or DEFAULT_FUNCTION, None)
    if inspect.isroutine(function):
        function(None, context)
        return function
    return _start(_only_class(module), context)


def load_service(file: str, folder: str, context: Context) -> Handler:
    """The handler of an archive of MMS 0.4: of its service file, the first class that is a SingleNodeService."""
    base = importlib.import_module("mms.model_service.model_service").SingleNodeService
    module = _import(file, folder)
    found = [value for value in own_members(module).values() if isinstance(value, type) and issubclass(value, base)]
    if not found:
        raise LoadFailure(
            "the service file %s has no class that descends from SingleNodeService" % os.path.basename(file),
            fix="Derive the service from mms.model_service.model_service.SingleNodeService.",
        )
    properties = context.system_properties
    service = found[0](context.model_name, properties["model_dir"], context.manifest, properties["gpu_id"])
    service.initialize(context)
    return service.handle  # type: ignore[no-any-return]  # a user's method: its type is what we say it is


def _import(file: str, folder: str) -> ModuleType:
    name = os.path.basename(file)
    stem = name[: -len(".py")] if name.endswith(".py") else name
    path = os.path.join(folder, stem + ".py")
    try:
        return load_module(path) if os.path.exists(path) else _import_elsewhere(stem)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in SERVERS_OWN:
            raise _servers_own(error.name) from error
        raise


def _import_elsewhere(stem: str) -> ModuleType:
    """A module of the environment, or a handler of TorchServe's own, which archives name without its package."""
    for name in (stem, TORCHSERVE_HANDLERS + stem):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise
    raise LoadFailure(
        "the archive has no file %s.py, which its manifest names as the handler" % stem,
        fix="Put the file into the archive; TorchServe's own handlers need torchserve and torch in the environment.",
    )


def _servers_own(name: str) -> LoadFailure:
    failure = missing_module(name)
    failure.message = "the handler needs %s, a part of the server it was written for" % name
    failure.fix = "Install %s into the model's environment, or write the handler without it." % (
        "torchserve and torch" if name.startswith("ts") else "multi-model-server"
    )
    failure.code = "LOAD_FAILED"
    return failure


def _only_class(module: ModuleType) -> Any:
    classes = [value for value in own_members(module).values() if isinstance(value, type)]
    if len(classes) != 1:
        names: List[str] = [found.__name__ for found in classes]
        raise LoadFailure(
            "the handler's module must have a function `%s` or exactly one class; it has: %s"
            % (DEFAULT_FUNCTION, ", ".join(names) or "neither"),
            fix="Name the function in the manifest as module:function, or move other classes to another file.",
        )
    return classes[0]


def _start(service_class: Any, context: Context) -> Handler:
    service = service_class()
    if hasattr(service, "initialize"):
        service.initialize(context)
    handle = getattr(service, DEFAULT_FUNCTION, None)
    if not callable(handle):
        raise LoadFailure("the handler's class %s has no method `%s`" % (service_class.__name__, DEFAULT_FUNCTION))
    return handle  # type: ignore[no-any-return]  # a user's method: its type is what we say it is
