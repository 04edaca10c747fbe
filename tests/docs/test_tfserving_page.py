"""The table of TensorFlow Serving's flags is that of the code."""

import importlib.util


def test_the_table_of_flags_is_current(root):
    spec = importlib.util.spec_from_file_location("docs_tfserving", root / "scripts" / "docs_tfserving.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = (root / "docs" / "wires" / "tfserving.md").read_text()
    assert script.page(text) == text, "run scripts/docs"
