"""The catalogue of permissions."""

from __future__ import annotations

import importlib
import pkgutil

import salver.operations
from salver.access.actions import PERMISSIONS, REACH_OF, Reach
from salver.operations.base import Operation, Scope


def operations() -> list[Operation]:
    modules = [
        importlib.import_module(f"salver.operations.{found.name}")
        for found in pkgutil.iter_modules(salver.operations.__path__)
    ]
    return [operation for module in modules for operation in getattr(module, "OPERATIONS", ())]


def test_every_permission_has_a_name_of_its_own_and_says_what_it_allows() -> None:
    assert len(REACH_OF) == len(PERMISSIONS)
    for permission in PERMISSIONS:
        resource, _, verb = permission.name.partition(".")
        assert resource.isidentifier()
        assert verb.isidentifier()
        assert permission.description.endswith(".")


def test_every_operation_needs_a_permission_of_the_catalogue_or_none() -> None:
    needed = {operation.permission for operation in operations() if operation.permission is not None}

    assert needed <= set(REACH_OF)


def test_every_permission_is_needed_by_some_operation() -> None:
    assert set(REACH_OF) <= {operation.permission for operation in operations()}


def test_a_permission_reaches_as_far_as_its_operations() -> None:
    for operation in operations():
        if operation.permission is not None:
            is_about_one_model = REACH_OF[operation.permission] is Reach.MODEL
            assert is_about_one_model == (operation.scope is Scope.MODEL), operation.name
