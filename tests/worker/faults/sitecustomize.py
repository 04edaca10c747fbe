"""Lays a fault under a library in a worker, for models that cannot be made to fail by what they are asked.

SALVER_TEST_FAULT is `module:Class.call:module.Exception`. The call raises the exception whenever one of its arguments
holds the number 666; else it is what it was. Found by the interpreter itself: this folder stands on its path.
"""

import functools
import importlib
import importlib.util
import os
import sys

import numpy as np

POISON = 666
MODULE, CALL, EXCEPTION = os.environ["SALVER_TEST_FAULT"].split(":")


class Finder:
    """Of the module alone: loads it as it is, then lays the fault."""

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            lay(module)

        spec.loader.exec_module = exec_module
        return spec


def lay(module):
    *classes, name = CALL.split(".")
    owner = functools.reduce(getattr, classes, module)
    call = getattr(owner, name)

    @functools.wraps(call)
    def faulty(*arguments, **keywords):
        for argument in (*arguments, *keywords.values()):
            for array in argument.values() if isinstance(argument, dict) else [argument]:
                if isinstance(array, np.ndarray) and (array == POISON).any():
                    module_name, _, exception = EXCEPTION.rpartition(".")
                    raise getattr(importlib.import_module(module_name), exception)("poison")
        return call(*arguments, **keywords)

    setattr(owner, name, faulty)


sys.meta_path.insert(0, Finder())
