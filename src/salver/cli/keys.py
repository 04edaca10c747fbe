"""`salver keys`: API keys of a running server, or of the data directory when no server runs on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import click

from salver.cli.connection import connected, data_directory, running_server, server_or_state_options, state_location
from salver.cli.options import json_option
from salver.cli.terminal import show_json, show_table
from salver.store.directory import DataDirectory

NEVER = "-"


class Key(Protocol):
    """What is told of a key, by the server's answer and by the store alike."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def models(self) -> tuple[str, ...]: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def revoked_at(self) -> datetime | None: ...


class CreatedKey(Protocol):
    """A new key: the text that is shown once, and what is told of it."""

    @property
    def key(self) -> str: ...
    @property
    def record(self) -> Key: ...


class Keys(Protocol):
    """Where keys are made, listed and revoked: at a server, or at its store."""

    def create_key(
        self,
        label: str,
        role: str,
        *,
        models: Sequence[str],
        expires_in_days: float | None,
        requests_per_second: float | None,
    ) -> CreatedKey: ...
    def keys(self) -> Sequence[Key]: ...
    def revoke_key(self, id: str) -> Key: ...


@click.group("keys")
def command() -> None:
    """Make, list and revoke API keys.

    Without --url, the server that runs on the data directory is asked, at its Unix socket: its own user needs no key
    there. When none runs, the state itself is changed.

    \b
    Examples:
      salver keys create --role user --label "web shop" --model digits
      salver keys list
      salver keys revoke 3f9c0a1b2d
    """


@command.command("create")
@click.option("--role", default="user", show_default=True, help="What the key may do: viewer, user, developer, ...")
@click.option("--label", required=True, help="Whose key it is, for people.")
@click.option("--model", "models", multiple=True, help="A model that the key may touch; repeat it for more [all].")
@click.option("--expires-in-days", type=float, default=90.0, show_default=True, help="0 for a key without an end.")
@click.option("--requests-per-second", type=float, help="Budget of the key [no limit].")
@json_option
@server_or_state_options
@click.pass_context
def create(
    context: click.Context,
    role: str,
    label: str,
    models: tuple[str, ...],
    expires_in_days: float,
    requests_per_second: float | None,
    as_json: bool,
    url: str | None,
    key: str | None,
) -> None:
    """Make a key. It is shown this once; only its digest is kept."""
    with _keys(context, url, key) as keys:
        created = keys.create_key(
            label,
            role,
            models=models,
            expires_in_days=expires_in_days or None,
            requests_per_second=requests_per_second,
        )
    if as_json:
        show_json({"key": created.key, "record": created.record})
        return
    click.echo(created.key)
    click.echo(
        f"key {created.record.id}, role {role}, shown this once; send it as `Authorization: Bearer <key>`", err=True
    )


@command.command("list")
@json_option
@server_or_state_options
@click.pass_context
def list_(context: click.Context, as_json: bool, url: str | None, key: str | None) -> None:
    """List all keys, oldest first; never the keys themselves."""
    with _keys(context, url, key) as keys:
        found = keys.keys()
    if as_json:
        show_json(found)
    else:
        show_table(("ID", "LABEL", "ROLE", "MODELS", "EXPIRES", "REVOKED"), map(_row, found))


@command.command("revoke")
@click.argument("id")
@json_option
@server_or_state_options
@click.pass_context
def revoke(context: click.Context, id: str, as_json: bool, url: str | None, key: str | None) -> None:
    """Make the key with this ID invalid at once."""
    with _keys(context, url, key) as keys:
        revoked = keys.revoke_key(id)
    if as_json:
        show_json(revoked)
    else:
        click.echo(f"The key {revoked.id} ({revoked.label}) is revoked.")


@contextmanager
def _keys(context: click.Context, url: str | None, key: str | None) -> Iterator[Keys]:
    directory = data_directory(context)
    if url is None and running_server(directory) is None:
        with _stored_keys(directory, state_location(context)) as stored:
            yield stored
    else:
        with connected(context, url, key) as client:
            yield client


@contextmanager
def _stored_keys(directory: DataDirectory, location: str | Path) -> Iterator[Keys]:
    """The keys of a data directory that no server uses, held for as long as this lasts. Raises StartupError."""
    from salver.cli.stored import StoredKeys
    from salver.store.sql import open_store

    directory.prepare()
    with directory.lock():
        store = open_store(location)
        try:
            yield StoredKeys(store, os.getuid())
        finally:
            store.close()


def _row(key: Key) -> tuple[str, ...]:
    return (key.id, key.label, key.role, ",".join(key.models) or "all", _day(key.expires_at), _day(key.revoked_at))


def _day(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else NEVER
