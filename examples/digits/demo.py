"""The demo: trains the model where that has not been done, serves it, asks it, and goes on serving until Ctrl-C.

    python examples/digits/demo.py [--once] [--port PORT]

With `--once` it ends after the answers; the exit status is 0 when enough of them are right.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / ".demo"
"""What is made once and kept, in the checkout: the trained model and the server's data."""
USUAL_PORT = 8080
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 40.0
LONGEST_SOCKET_FOLDER = 90
"""Bytes; a Unix socket in a longer folder would have a name that the kernel refuses."""


def main() -> int:
    options = parsed_arguments()
    model = trained_model()
    with data_folder() as data, running_server(model, data, options.port or free_port()) as (server, url):
        is_right = ask(url, model / "samples")
        if options.once:
            return 0 if is_right else 1
        print(f"The server goes on at {url}: try the commands above. Ctrl-C stops it.", flush=True)
        server.wait()
    return 0


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Serve a classifier of handwritten digits.")
    parser.add_argument(
        "--once", action="store_true", help="end after the answers; status 0 when they are right enough"
    )
    parser.add_argument("--port", type=int, help="port to serve at [8080, or a free one when that is taken]")
    return parser.parse_args()


def trained_model() -> Path:
    """The model's folder; trained only when there is none yet or its recipe has changed."""
    folder, stamp = KEPT / "digits", KEPT / "digits" / ".fingerprint"
    recipe = b"".join(path.read_bytes() for path in (HERE / "train.py", HERE / "model.toml"))
    fingerprint = hashlib.sha256(recipe).hexdigest()
    if not stamp.exists() or stamp.read_text() != fingerprint:
        print("Training a classifier of handwritten digits (once, some seconds):", end=" ", flush=True)
        subprocess.run([sys.executable, HERE / "train.py", folder], check=True)
        stamp.write_text(fingerprint)
    return folder


def free_port() -> int:
    """The usual port, or one that the system says is free."""
    if is_free(USUAL_PORT):
        return USUAL_PORT
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = int(sock.getsockname()[1])
    print(f"Port {USUAL_PORT} is taken, so this uses {port}.", flush=True)
    return port


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def data_folder() -> Iterator[Path]:
    """Where the server keeps its state: beside the model, or in a temporary folder when that path is too long."""
    folder = KEPT / "data"
    if len(bytes(folder)) <= LONGEST_SOCKET_FOLDER:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="salver-demo-") as temporary:
        yield Path(temporary)


@contextmanager
def running_server(model: Path, data: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server that is ready, and its address. It is stopped at the end, however that comes."""
    url = f"http://127.0.0.1:{port}"
    options = ["--port", str(port), "--data-dir", data, "--access-log", "off", "--log-level", "warning"]
    server = subprocess.Popen([sys.executable, "-m", "salver", "serve", model, *options])
    try:
        wait_until_ready(server, url)
        yield server, url
        server.terminate()
    except KeyboardInterrupt:
        pass  # the server has had the same Ctrl-C and is stopping; a second signal would cut that short
    except BaseException:
        server.terminate()
        raise
    finally:
        server.wait(timeout=STOPPED_WITHIN_S)


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Return when every model answers; give up when the server has ended or takes too long."""
    give_up_at = time.monotonic() + READY_WITHIN_S
    while not is_ready(url):
        if server.poll() is not None:
            sys.exit(f"error: the server ended with status {server.returncode} before it was ready.")
        if time.monotonic() > give_up_at:
            sys.exit(f"error: the model was not ready within {READY_WITHIN_S:g} s; the lines above say why.")
        time.sleep(0.05)


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as response:
            return bool(json.load(response)["ready"])
    except OSError:
        return False


def ask(url: str, samples: Path) -> bool:
    print("\nDigits that the model was not trained on, asked over two protocols:\n", flush=True)
    return subprocess.run([sys.executable, HERE / "ask.py", url, samples], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
