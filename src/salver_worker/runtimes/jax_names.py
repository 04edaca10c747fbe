"""Names for the arguments and results of a JAX function, which has trees of them.

A keyword has its own name, an argument by its place is `x0`, `x1` and so on, a result `y0`, `y1`; what lies deeper adds
its key: `x0.image`. Where a function takes, or gives, nothing but one dictionary, its keys are the names.
"""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

ARGUMENTS = 0
"""The place of the arguments in a tree of arguments and keywords."""


def input_names(tree_util: Any, tree: Any) -> List[str]:
    """In the order of the leaves of a tree of arguments and keywords."""
    paths = _paths(tree_util, tree)
    own = [path[1:] for path in paths if path[0] == ARGUMENTS]
    is_one_dictionary = len(own) == len(paths) and all(path[0] == 0 and len(path) > 1 for path in own)
    are_keys = is_one_dictionary and all(isinstance(path[1], str) for path in own)
    return [_input_name(path, without_place=are_keys) for path in paths]


def output_names(tree_util: Any, tree: Any) -> List[str]:
    """In the order of the leaves of a tree of results."""
    paths = _paths(tree_util, tree)
    if all(path and isinstance(path[0], str) for path in paths):
        return [_joined(path) for path in paths]
    return [_joined(("y%s" % (path[0] if path else 0), *path[1:])) for path in paths]


def _input_name(path: Sequence[Any], *, without_place: bool) -> str:
    side, first, *rest = path
    if side != ARGUMENTS:
        return _joined((first, *rest))
    return _joined(rest) if without_place else _joined(("x%s" % first, *rest))


def _joined(path: Sequence[Any]) -> str:
    return ".".join(str(key) for key in path)


def _paths(tree_util: Any, tree: Any) -> List[Tuple[Any, ...]]:
    leaves = tree_util.tree_unflatten(tree, range(tree.num_leaves))
    return [tuple(_key(key) for key in path) for path, _ in tree_util.tree_flatten_with_path(leaves)[0]]


def _key(key: Any) -> Any:
    """Of a sequence its number, of a dictionary its key, of an object its attribute."""
    for attribute in ("idx", "key", "name"):
        if hasattr(key, attribute):
            found = getattr(key, attribute)
            return found if isinstance(found, (int, str)) else str(found)
    return str(key)
