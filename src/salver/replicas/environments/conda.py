"""What a conda environment asks for, as packages of the Python index. Pure.

Conda's names of versions are its own: `=1.2` means any 1.2, and a word behind it is the build of a package.
Packages that only conda's channels have cannot be met, and are refused by name.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from salver.errors import Code, LoadError

NAMES = {
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost-cpu",
    "py-opencv": "opencv-python-headless",
    "opencv": "opencv-python-headless",
    "numpy-base": "numpy",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "pytables": "tables",
    "dask-core": "dask",
    "seaborn-base": "seaborn",
    "onnxruntime-gpu": "onnxruntime-gpu",
    "ruamel_yaml": "ruamel.yaml",
}
"""What conda calls otherwise than the Python index does."""
NOT_NEEDED = frozenset({"pip", "setuptools", "wheel"})
"""Installers, which no environment here has."""
CHANNEL_ONLY = frozenset(
    """
    blas bzip2 c-ares ca-certificates cudatoolkit cudnn cuda cuda-version freetype gcc gxx icu intel-openmp
    krb5 ld_impl_linux-64 libblas libcblas libcurl libffi libgcc libgcc-ng libgfortran libgfortran5
    libgfortran-ng libgomp liblapack libnsl libopenblas libpng libsqlite libstdcxx libstdcxx-ng libuuid
    libxcrypt libxml2 libzlib lz4-c make mkl mkl-service ncurses nccl openblas openjdk openssl python_abi
    pytorch-cuda pytorch-mutex r r-base readline sqlite tk xz yaml zlib zstd
    """.split()  # noqa: SIM905  a list of words is a line for each
)
"""What no Python index has: compilers, drivers, the libraries and programs of other languages."""

_SPEC = re.compile(r"(?:[\w.-]+(?:/[\w.-]+)?::)?(?P<name>[\w.-]+)(?P<rest>.*)", re.DOTALL)
_BRACKETS = re.compile(r"\[(.*)\]$")
_VERSION_KEY = re.compile(r"version\s*=\s*['\"]?([^'\"\],]+(?:,[<>=!~][^'\"\]]*)?)")
_PLAIN = re.compile(r"\*|[0-9][\w.!+-]*\*?")
_RANGE = re.compile(r"(==|!=|<=|>=|~=|<|>)([0-9][\w.!+-]*?)(\.?\*)?(?:=[\w.*]*)?")


class CondaEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What it comes to: a Python, as a range or empty, and lines of requirements."""

    python: str = ""
    requirements: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    """Lines that pip was to install: they may have options of requirements files."""


def parse_conda(document: Any, file: str) -> CondaEnvironment:
    """Raises LoadError that names the package and what is wrong with it."""
    if not isinstance(document, dict) or not isinstance(document.get("dependencies", []), list):
        raise _refused(f"{file} is no conda environment: it has no list of dependencies")
    python, requirements, pip, only = "", [], [], []
    for entry in document.get("dependencies", []):
        if isinstance(entry, dict) and set(entry) == {"pip"} and isinstance(entry["pip"], list):
            pip += text_lines(entry["pip"], file)
            continue
        (text,) = text_lines([entry], file)
        match = _SPEC.fullmatch(text.strip())
        if match is None:
            raise _refused(f"{file}: {text[:64]!r} is no package")
        name = match["name"].lower()
        specifier = specifier_of(match["rest"], f"{file}: {entry}")
        if name == "python":
            python = specifier
        elif name in CHANNEL_ONLY or name.startswith(("_", "r-")):
            only.append(name)
        elif name not in NOT_NEEDED:
            requirements.append(NAMES.get(name, name) + specifier)
    if only:
        raise LoadError(
            Code.ENVIRONMENT_BROKEN,
            f"{file} asks for what only conda's channels have: {', '.join(sorted(only))}.",
            fix="Leave out what the Python packages bring themselves, or write a requirements.txt beside it.",
        )
    return CondaEnvironment(python=python, requirements=tuple(requirements), pip=tuple(pip))


def text_lines(lines: list[Any], file: str) -> list[str]:
    """The lines, each of which must be text: what YAML may hold instead can be endless when it is written out."""
    for line in lines:
        if not isinstance(line, str):
            raise _refused(f"{file}: something among its packages is no text but a {type(line).__name__}")
    return lines


def specifier_of(text: str, place: str) -> str:
    """What stands behind a package's name, as PEP 440 has it. Raises LoadError for alternatives, which it has not."""
    text = _without_brackets(text.strip())
    if "|" in text:
        raise _refused(f"{place}: there are no alternatives (|) of versions here")
    if not text:
        return ""
    if text[0] == "=" and text[1:2] != "=":
        return _fuzzy(text[1:].strip(), place)
    if text[0] not in "<>!~=":
        return _exactly(re.split(r"[ =]", text)[0], place)
    joined = re.sub(r"(?<=[<>=!~,])\s+|\s+(?=,)", "", text)
    return ",".join(_bound(part, place) for part in joined.split()[0].split(","))


def _without_brackets(text: str) -> str:
    """`name[version='>=1.2']` says the same as `name>=1.2`."""
    brackets = _BRACKETS.search(text)
    if brackets is None:
        return text
    version = _VERSION_KEY.search(brackets[1])
    return f"{text[: brackets.start()].strip()} {version[1].strip() if version else ''}".strip()


def _fuzzy(text: str, place: str) -> str:
    """`=1.2` is any 1.2; `=1.2=build` is 1.2 and nothing else."""
    version, is_built, _build = text.partition("=")
    version = version.strip()
    return _exactly(version if is_built or version.endswith("*") else f"{version}.*", place)


def _exactly(version: str, place: str) -> str:
    if not _PLAIN.fullmatch(version):
        raise _refused(f"{place}: {version!r} is no version")
    return "" if version == "*" else f"=={version.removesuffix('*').removesuffix('.')}{'.*' * version.endswith('*')}"


def _bound(text: str, place: str) -> str:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise _refused(f"{place}: {text!r} is no range of versions")
    operator, version, star = match[1], match[2], match[3]
    return f"{operator}{version}{'.*' if star and operator in ('==', '!=') else ''}"


def _refused(message: str) -> LoadError:
    fix = "Write the packages as a requirements.txt beside the model."
    return LoadError(Code.ENVIRONMENT_BROKEN, f"{message}.", fix=fix)
