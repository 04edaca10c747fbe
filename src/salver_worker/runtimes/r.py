"""A model or a function of R, in a process of R that this one owns. ``docs/runtimes/r.md`` is the user's side.

Models answer `prediction`, or `label` and `probabilities` where they tell classes; functions what they answer.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Sequence

from salver_worker.arrays import datatype_of
from salver_worker.errors import InputError
from salver_worker.failures import Cancelled, LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.r_columns import encode_inputs, encode_options, read_columns
from salver_worker.runtimes.r_folder import find_file
from salver_worker.runtimes.r_link import CANCELLED, INTEGER, OK, REFUSED, Answer, RProcess
from salver_worker.runtimes.r_lock import FILE, RLock, check, find_lock, is_of_series
from salver_worker.runtimes.r_program import program

PREDICT, LEAVE_OUT = 1, 2
DEBIAN = "r-cran-"


class RError(Exception):
    """What an R condition says."""


def load(request: LoadRequest) -> RModel:
    path = find_file(request.path)
    lock = find_lock([os.path.dirname(path), request.folder])
    wanted = [] if lock is None else sorted(lock.packages)
    variables = {"R_RANGER_NUM_THREADS": str(request.threads), "MC_CORES": str(request.threads)}
    process = RProcess(
        program("" if lock is None else lock.version), [path, str(request.threads), ",".join(wanted)], variables
    )
    try:
        installed = process.next_answer().values["versions"].tolist()
        if lock is not None:
            check(lock, {name: version.decode() for name, version in zip(wanted, installed)})
        told = process.next_answer()
        if told.status != OK:
            _refuse(told)
        return RModel(process, told, lock)
    except BaseException:
        process.close()
        raise


def _refuse(told: Answer) -> NoReturn:
    package = told.text("package")
    if not package:
        raise LoadFailure("R stopped: %s" % _words(told))
    raise LoadFailure(
        "the model is of the class %s, and R has no package %s" % (told.text("class"), package),
        code="ENVIRONMENT_BROKEN",
        fix='Install it for that R: `apt install %s%s` on Debian, or install.packages("%s") into a library that the '
        "setting `r_libraries` names." % (DEBIAN, package.lower(), package),
    )


def _words(told: Answer) -> str:
    call, message = told.text("call"), told.text("message")
    return "%s (in %s)" % (message, call) if call else message


class RModel:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, process: RProcess, told: Answer, lock: Optional[RLock] = None) -> None:
        self._process = process
        self._inputs = read_columns(told, "input")
        self._options = [name.decode() for name in told.values["options"].tolist()]
        self.runtime_version = "R " + told.text("version")
        self.details = {"class": told.text("what")}
        packages = [text.decode() for text in told.values["packages"].tolist()]
        if packages:
            self.details["packages"] = ", ".join(packages)
        for column in self._inputs:
            if column.levels:
                self.details["levels of " + column.name] = ", ".join(level.decode() for level in column.levels)
        version = told.text("version")
        if lock is not None and not is_of_series(version, lock.version):
            self.details["renv.lock"] = "made with R %s" % lock.version
            print(
                "salver_worker: %s was made with R %s, and this is %s" % (FILE, lock.version, version), file=sys.stderr
            )
        declared = [column.row for column in read_columns(told, "output")]
        if not declared and not told.values["is_function"].any():
            declared = self._learned()
        self.signature = signature([column.row for column in self._inputs], declared)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        question = [INTEGER.pack(PREDICT), *encode_inputs(self._inputs, inputs)]
        answer = self._process.ask([*question, *encode_options(self._options, parameters)])
        if answer.status == OK:
            return answer.values
        if answer.status == REFUSED:
            raise InputError(answer.text("message"))
        if answer.status == CANCELLED:
            raise Cancelled
        raise RError(_words(answer))

    def leave_out(self, names: Sequence[str]) -> None:
        self._process.ask(
            [INTEGER.pack(LEAVE_OUT), INTEGER.pack(len(names)), *(name.encode() + b"\0" for name in names)]
        )
        rows = [row for row in self.signature["outputs"] if row["name"] not in names]
        self.signature = signature(self.signature["inputs"], rows)

    def _learned(self) -> List[Dict[str, Any]]:
        """What a model answers to one row of zeros and first levels; nothing where such a row means nothing to it."""
        if any(column.width == 0 for column in self._inputs):
            return []
        try:
            answer = self.predict({column.name: column.sample() for column in self._inputs}, {})
        except (InputError, RError) as error:
            print("salver_worker: a first run with zeros failed: %s" % error, file=sys.stderr)
            return []
        return [tensor(name, datatype_of(array) or "BYTES", (-1, *array.shape[1:])) for name, array in answer.items()]

    def close(self) -> None:
        self._process.close()
