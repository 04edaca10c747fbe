"""A module in Python with its weights beside it, or saved with `torch.save` as a whole."""

from __future__ import annotations

import inspect
import json
import os
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

from salver_worker.failures import LoadFailure, describe
from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.code import enter_folder, load_module
from salver_worker.runtimes.options import KEY, flag_option, table_option, text_option
from salver_worker.runtimes.torch_inputs import Arguments, known_inputs
from salver_worker.runtimes.torch_model import Program
from salver_worker.runtimes.torchscript import called_by_name

MODULE_FILE = "model.py"
CONFIG_FILE = "config.json"
WHOLE = "whole_pickle"
PREFIXES = ("module.", "_orig_mod.")
"""What wrappers put in front of the names of weights: DataParallel, and a compiled module."""


def open_weights(torch: Any, request: LoadRequest, device: str) -> Program:
    """The class in the module file, made and given the weights."""
    folder = _folder_of_code(request)
    module = _made(torch, request, folder)
    _fill(module, _weights(torch, request.path, device))
    return _served(module, request, device)


def open_pickled(torch: Any, request: LoadRequest, device: str) -> Program:
    """A module that was saved as a whole: opening it runs what the file says, so somebody must have said so."""
    if not flag_option(request, WHOLE):
        raise LoadFailure(
            "the file holds a whole object, not weights alone: opening it runs code that is in it",
            fix="Save its `state_dict()` and put the class beside it as %s; or, where you trust whoever made the file, "
            "write `%s = true` under [runtime] in model.toml." % (MODULE_FILE, WHOLE),
        )
    enter_folder(request.folder)
    file = _code_file(request)
    if file is not None:
        _as_main(load_module(file))
    module = torch.load(request.path, map_location=device, weights_only=False)
    if not isinstance(module, torch.nn.Module):
        what = type(module).__name__
        raise LoadFailure("the file holds a %s, which is no module" % what, fix="Save an nn.Module, or its state_dict.")
    return _served(module, request, device)


def _served(module: Any, request: LoadRequest, device: str) -> Program:
    module = module.to(device).eval()
    arguments = forward_arguments(module)
    return called_by_name(module, arguments, known_inputs(request, arguments, module), request)


def forward_arguments(module: Any) -> Arguments:
    """What has no default must be given. A default of None, or an annotation, makes an argument a tensor's."""
    required: List[str] = []
    optional: List[str] = []
    for parameter in inspect.signature(module.forward).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif parameter.default is None:
            optional.append(parameter.name)
    return Arguments(tuple(required), tuple(optional))


# The code


def _folders(request: LoadRequest) -> List[str]:
    return list(dict.fromkeys((os.path.dirname(os.path.abspath(request.path)), os.path.abspath(request.folder))))


def _code_file(request: LoadRequest) -> Optional[str]:
    """The file that `module` names, else model.py, else the only Python file beside the weights."""
    told = text_option(request, "module")
    for folder in _folders(request):
        if told is not None or os.path.isfile(os.path.join(folder, MODULE_FILE)):
            root, path = (os.path.realpath(each) for each in (folder, os.path.join(folder, told or MODULE_FILE)))
            if os.path.commonpath([root, path]) == root and os.path.isfile(path):
                return path
            continue
        files = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
        if len(files) == 1:
            return os.path.join(folder, files[0])
    if told is not None:
        raise LoadFailure(
            "there is no file %s in the model's folder" % told,
            code="MANIFEST_INVALID",
            fix="Correct the name.",
            where=[KEY, "module"],
        )
    return None


def _folder_of_code(request: LoadRequest) -> str:
    file = _code_file(request)
    if file is None:
        raise LoadFailure(
            "%s holds weights without the module that they belong to" % os.path.basename(request.path),
            fix="Put the file with the class beside it, as %s; or save the model with `torch.export`." % MODULE_FILE,
        )
    return file


def _made(torch: Any, request: LoadRequest, file: str) -> Any:
    enter_folder(os.path.dirname(file))
    kind = _class_in(torch, load_module(file), text_option(request, "class"))
    arguments = table_option(request, "arguments") or _configured(kind, _folders(request))
    try:
        return kind(**arguments)
    except TypeError as error:
        raise LoadFailure(
            "%s cannot be made: %s" % (kind.__name__, describe(error)),
            fix="Give its arguments in %s, or in model.toml: arguments = { size = 4 } under [runtime]." % CONFIG_FILE,
        ) from error


def _class_in(torch: Any, module: Any, name: Optional[str]) -> Any:
    """The class of this name, else the only module that the file defines and none of its others is made of."""
    file = os.path.basename(module.__file__)
    kinds = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, torch.nn.Module) and value.__module__ == module.__name__
    ]
    if name is not None:
        kinds = [kind for kind in kinds if kind.__name__ == name]
    if len(kinds) == 1:
        return kinds[0]
    what = "several modules: %s" % ", ".join(kind.__name__ for kind in kinds) if kinds else "no subclass of nn.Module"
    raise LoadFailure(
        "%s has %s" % (file, what if name is None else "no module %s" % name),
        fix='Name the class in model.toml: class = "Net" under [runtime].',
    )


def _configured(kind: Any, folders: Sequence[str]) -> Dict[str, Any]:
    """What config.json says of the arguments that the class has; other keys are about other things."""
    path = next((each for each in (os.path.join(at, CONFIG_FILE) for at in folders) if os.path.isfile(each)), None)
    if path is None:
        return {}
    with open(path, encoding="utf-8") as file:
        try:
            said = json.load(file)
        except ValueError as error:
            raise LoadFailure("%s is no JSON: %s" % (CONFIG_FILE, error), fix="Correct the file.") from error
    parameters = inspect.signature(kind).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(said)
    names = {parameter.name for parameter in parameters}
    return {name: value for name, value in said.items() if name in names}


def _as_main(module: Any) -> None:
    """A script that trains and saves is called __main__, and so are the classes in what it saved."""
    import __main__

    for name, value in vars(module).items():
        if isinstance(value, type) and not hasattr(__main__, name):
            setattr(__main__, name, value)


# The weights


def _weights(torch: Any, path: str, device: str) -> Mapping[str, Any]:
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        found: Any = load_file(path, device=device)
    else:
        found = torch.load(path, map_location=device, weights_only=True)
    for key in ("state_dict", "model_state_dict", "model"):  # a checkpoint of a training
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise LoadFailure("the file holds no weights by name", fix="Save the module's `state_dict()`.")
    return {re.sub("^(%s)+" % "|".join(map(re.escape, PREFIXES)), "", name): value for name, value in found.items()}


def _fill(module: Any, weights: Mapping[str, Any]) -> None:
    """Raises LoadFailure when a weight is missing, left over, or of another shape."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise LoadFailure(
            "the weights do not fit %s" % said[:500].partition("for ")[2],
            fix="Give the class and the arguments that the weights were saved from.",
        ) from error
