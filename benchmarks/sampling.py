"""Which stage of a prediction the time goes to: a timer looks at the running code a thousand times a second."""

from __future__ import annotations

import dis
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

INTERVAL_S = 0.001
RESUME = dis.opmap["RESUME"]


class Rule(NamedTuple):
    """Code of modules that begin with `module`, in a function of this name if one is given, belongs to the stage."""

    module: str
    function: str | None
    stage: str


HTTP, GATE, DECODE, QUEUE, LINK = "HTTP parse", "gate", "decode", "queue and batch", "link"
WORKER, MODEL, ENCODE, WRITE, RECORD = "worker", "model", "encode", "write", "count and log"
LOOP = "event loop"
STAGES = (HTTP, GATE, DECODE, QUEUE, LINK, WORKER, MODEL, ENCODE, WRITE, RECORD, LOOP)

RULES = (
    Rule("onnxruntime", None, MODEL),
    Rule("salver_worker.frames", "pack_prefix", LINK),
    Rule("salver_worker.frames", "unpack_prefix", LINK),
    Rule("salver_worker.runtimes.", None, MODEL),
    Rule("salver_worker.", None, WORKER),
    Rule("salver.wire.", "decode", DECODE),
    Rule("salver.wire.", "decode_rows", DECODE),
    Rule("salver.wire.", "decode_all", DECODE),
    Rule("salver.wire.", "encode", ENCODE),
    Rule("salver.telemetry.", None, RECORD),
    Rule("salver.access.", None, GATE),
    Rule("salver.operations.", None, GATE),
    Rule("salver.processes.", None, GATE),
    Rule("salver.serving.batching.", None, QUEUE),
    Rule("salver.serving.pipeline", None, QUEUE),
    Rule("salver.replicas.", None, LINK),
    Rule("salver.net.rendering", None, WRITE),
    Rule("salver.net.line", "answered", WRITE),
    Rule("salver.net.exchange", "respond", WRITE),
    Rule("salver.net.", None, HTTP),
    Rule("benchmarks.", None, ""),
    Rule("asyncio.", None, LOOP),
)
"""Looked at from the innermost function outwards; the first rule that fits anywhere decides. "" is the benchmark's own
time, which does not count."""


def stage_of(frame: FrameType | None) -> str:
    if frame is not None and _has_just_begun(frame):
        frame = frame.f_back
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        for rule in RULES:
            if module.startswith(rule.module) and rule.function in (None, function):
                return rule.stage
        frame = frame.f_back
    return LOOP


def _has_just_begun(frame: FrameType) -> bool:
    """Whether the function is at its first instruction: a look comes there when it was due in what ran before, since
    Python takes signals between instructions only.
    """
    return frame.f_code.co_code[frame.f_lasti] == RESUME


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Counts, for each stage, how often the code inside was found there. On the main thread."""
    found: Counter[str] = Counter()

    def look(_number: int, frame: FrameType | None) -> None:
        found[stage_of(frame)] += 1

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL_S, INTERVAL_S)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
