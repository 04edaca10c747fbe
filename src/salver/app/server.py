"""Start the whole, wait for a signal, end the whole."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial

import uvloop

from salver.access.administration import Administration
from salver.access.audit import AuditLog
from salver.access.permit import local_admin
from salver.app.control import State, configure, control_half, key_file, watched
from salver.app.declared import declared
from salver.app.frontends import fleet_of
from salver.app.models import OnEvent, spec_of, unknown_status
from salver.errors import SalverError
from salver.events import (
    Address,
    FirstRunKey,
    Listening,
    ModelFailed,
    Stopped,
    Stopping,
)
from salver.models.archive import remove_unfinished
from salver.models.configfile import GivenConfiguration
from salver.models.discovery import discover
from salver.models.given import GivenModels, discover_given
from salver.models.opening import open_models
from salver.models.repository import Repository
from salver.models.sources import Discovery, joined
from salver.models.stock import Stock
from salver.processes.base import Door
from salver.processes.collector import settle_down
from salver.processes.doors import check_exposure, open_doors, url_of
from salver.processes.signals import StopSignals
from salver.settings import Settings
from salver.store.directory import DataDirectory, RunningServer
from salver.store.sql import open_store
from salver.telemetry import logging as event_log


def serve(
    settings: Settings,
    paths: Sequence[str],
    *,
    on_event: OnEvent,
    given: GivenModels | None = None,
    configuration: GivenConfiguration | None = None,
) -> int:
    """Serve the models at `paths`, those given and those of a configuration, until a signal ends it; returns the exit
    status.

    Raises StartupError, and LoadError when a path means one model that cannot be served. What of `given` cannot be
    served is told, and the server goes on.
    """
    event_log.configure(settings.telemetry.log_level)
    check_exposure(settings.net)
    declared(settings.torchserve.metrics_config)
    directory = DataDirectory(settings.processes.data_dir)
    directory.prepare()
    with directory.lock():
        artifacts = directory.folder("artifacts")
        remove_unfinished(artifacts)
        discoveries = {
            path: discover([path], artifacts, has_all_versions=settings.models.watch_s > 0) for path in paths
        }
        others = discover_given(given or GivenModels(), artifacts)
        discovery = joined([*discoveries.values(), others.discovery])
        store = open_store(settings.processes.state_url or directory.state)
        audit = AuditLog(store)
        try:
            stock = Stock(Repository(directory.folder("repository")), artifacts)
            origins = {source.id: path for path, found in discoveries.items() for source in found.models}
            origins |= {source.id: source.source for source in others.discovery.models}
            make_spec = partial(spec_of, settings=settings)
            opening = open_models(store, stock, discovery.models, make_spec, origins, others.defaults)
            folders = watched(settings.models, discoveries, artifacts)
            state = State(store, Administration(store), audit, stock, opening, folders, configuration)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_run(settings, directory, discovery, state, on_event))
        finally:
            directory.withdraw()
            audit.close()
            store.close()


async def _run(
    settings: Settings, directory: DataDirectory, discovery: Discovery, state: State, on_event: OnEvent
) -> int:
    signals = StopSignals(asyncio.get_running_loop())
    control, configurator = control_half(settings, directory, discovery, state, on_event)
    await configure(control, configurator, state.configuration, settings, on_event)
    sockets = open_doors(settings.net, share=settings.processes.processes > 1)
    fleet = fleet_of(settings, control, sockets, directory)
    try:
        first = state.administration.make_first_key(local_admin(os.getuid()))
        if first is not None:  # not before the ports are ours: it is shown this once
            on_event(FirstRunKey(key=first[0]))
        control.key_file = key_file(settings, directory, state.administration)
        if await signals.allow(fleet.start()):
            _announce(directory, tuple(sockets), on_event)
            for failed in discovery.failures:
                on_event(ModelFailed(status=unknown_status(failed)))
            control.reconciler.start()
            settle_down()
        reason = await signals.wait()
        on_event(Stopping(reason=reason))
        fleet.stopping()
        await control.stop(
            drain_delay_s=settings.processes.drain_delay_s, drain_timeout_s=settings.processes.drain_timeout_s
        )
    except SalverError:
        await control.stop(drain_delay_s=0.0, drain_timeout_s=0.0)
        raise
    finally:
        await fleet.stop()
        for sock in sockets.values():
            sock.close()
    on_event(Stopped())
    return 0


def _announce(directory: DataDirectory, doors: Sequence[Door], on_event: OnEvent) -> None:
    addresses = tuple(Address(url=url_of(door), wires=door.wires) for door in doors)
    urls = tuple(address.url for address in addresses)
    directory.announce(RunningServer(pid=os.getpid(), urls=urls, socket=str(directory.socket)))
    on_event(Listening(addresses=addresses, data_dir=str(directory.path)))
