"""Makes `<name>_pb2.py` and `<name>_pb2.pyi` of each .proto file of a wire, with the compiler of grpcio-tools.

The modules hold the serialized descriptor and load it into the pool of src/salver/wire/protopool.py, so they do not
depend on the version of the compiler or of protobuf, as its own modules do.
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent / "src"
WELL_KNOWN = "google/protobuf/"


def modules() -> Iterator[tuple[Path, str]]:
    """Each file that should be there, and what it should hold."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("salver/wire/*/pb/*.proto"))
    with tempfile.TemporaryDirectory() as out:
        compiled = Path(out, "set")
        includes = [f"-I{ROOT}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
        if protoc.main(["protoc", *includes, f"--pyi_out={out}", f"--descriptor_set_out={compiled}", *sources]):
            sys.exit("protoc failed")
        for file in FileDescriptorSet.FromString(compiled.read_bytes()).file:
            path = (ROOT / file.name).with_name(Path(file.name).stem + "_pb2.py")
            yield path, module_of(file)
            stub = path.with_suffix(".pyi")
            yield stub, Path(out, stub.relative_to(ROOT)).read_text()


def module_of(file: FileDescriptorProto) -> str:
    imports = [each for each in file.dependency if not each.startswith(WELL_KNOWN)]
    lines = [f"import {each.removesuffix('.proto').replace('/', '.')}_pb2  # noqa: F401" for each in imports]
    raw = file.SerializeToString(deterministic=True)
    pieces = [repr(raw[at : at + 60]) for at in range(0, len(raw), 60)]
    return "\n".join(
        [
            f'"""The messages of `{Path(file.name).name}`. Written by `scripts/protos`; do not edit."""',
            "",
            *lines,
            "from salver.wire.protopool import load",
            "",
            "DESCRIPTOR = load(",
            textwrap.indent("\n".join(pieces), "    ") + ",",
            "    globals(),",
            ")",
            "",
        ]
    )


def main() -> int:
    stale = [(path, text) for path, text in modules() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path, _ in stale:
            print(f"{path.relative_to(ROOT.parent)} is not current: run scripts/protos")
        return int(bool(stale))
    for path, text in stale:
        path.write_text(text)
        print(path.relative_to(ROOT.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
