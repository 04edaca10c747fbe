"""A server whose state is in Postgres: the database goes away and comes back, and the server goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import requests
from journey_models import new_nonce, right_answer
from journey_server import Server

from postgres_server import PostgresServer
from salver.store.sql import open_store


def predict(running: Server) -> None:
    nonce = new_nonce()
    answer = running.post("/api/v1/models/seven/predict", json={"inputs": {"nonce": [nonce], "act": [""]}})
    assert answer.status_code == 200
    assert str(right_answer(nonce)) in answer.text


def make_key(running: Server, label: str) -> requests.Response:
    return running.post("/api/v1/keys", json={"label": label, "role": "user"}, headers=running.admin)


def labels(url: str) -> set[str]:
    store = open_store(url)
    try:
        keys = store.keys()
        return {key.label for key in keys if key.label != "first run"}
    finally:
        store.close()


def test_a_database_that_goes_away_stops_changes_alone_and_loses_nothing(
    server, seven, postgres: PostgresServer, postgres_url: str
) -> None:
    with server(seven(), state_url=postgres_url) as running:
        assert not (running.data / "state.db").exists()
        assert make_key(running, "before").status_code == 201
        postgres.stop()
        try:
            refused = make_key(running, "meanwhile")
            predict(running)
            assert running.is_ready()
        finally:
            postgres.start()
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "OVERLOADED"
        assert int(refused.headers["Retry-After"]) > 0
        assert "the database cannot be reached" in refused.json()["error"]["message"]
        assert make_key(running, "after").status_code == 201
        told = running.logs
    assert "Traceback" not in told

    found = labels(postgres_url)
    assert {"before", "after"} <= found
    assert "meanwhile" not in found


def test_a_running_server_can_be_backed_up_and_not_restored_over(server, seven, tmp_path, postgres_url: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SALVER_")}

    def state(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "salver", "state", *words, "--state-url", postgres_url]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    backup = str(tmp_path / "backup.jsonl")
    with server(seven(), state_url=postgres_url) as running:
        assert make_key(running, "kept").status_code == 201
        made = state("backup", backup, "--data-dir", str(running.data), "--json")
        assert json.loads(made.stdout)["rows"]["api_keys"] >= 1
        here = state("restore", backup, "--data-dir", str(running.data))
        elsewhere = state("restore", backup, "--data-dir", str(tmp_path / "elsewhere"))
        predict(running)
    for refused in (here, elsewhere):
        assert refused.returncode == 2
        assert "is in use by a server" in refused.stderr

    assert state("restore", backup, "--data-dir", str(tmp_path / "elsewhere")).returncode == 0
    assert "kept" in labels(postgres_url)
