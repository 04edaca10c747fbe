"""Packs the handler into a model archive, with what Python brings along.

    python examples/mms/pack.py words.mar

An archive is a zip file. `MAR-INF/MANIFEST.json` names the model and its handler; everything else is the handler's.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFEST = {
    "runtime": "python",
    "model": {"modelName": "words", "modelVersion": "1.0", "handler": "service.py:handle"},
    "modelServerVersion": "1.0",
    "implementationVersion": "1.0",
    "specificationVersion": "1.0",
}


def main(archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps(MANIFEST, indent=2))
        file.write(HERE / "service.py", "service.py")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
