"""Which addresses are opened, for which protocols."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from salver.errors import Code, StartupError
from salver.net.base import NetSettings
from salver.processes.base import Door
from salver.processes.doors import ALL_WIRES, COMPAT_PORTS, check_exposure, open_doors, url_of, wanted_ports


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "localhost"])
def test_addresses_of_this_machine_alone_need_no_word(host: str) -> None:
    check_exposure(NetSettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org"])
def test_an_address_that_others_reach_must_be_asked_for(host: str) -> None:
    with pytest.raises(StartupError, match=f"--host {host} can be reached from other machines") as caught:
        check_exposure(NetSettings(host=host))
    assert caught.value.code is Code.SETTINGS_INVALID
    assert "--insecure" in caught.value.fix
    check_exposure(NetSettings(host=host, insecure=True))


def test_one_port_answers_every_protocol() -> None:
    assert wanted_ports(NetSettings(port=9000)) == {9000: ALL_WIRES}


def test_protocols_get_the_ports_of_their_own_clients() -> None:
    assert wanted_ports(NetSettings(port=9000, compat=("tfserving", "mms", "openinference"))) == {
        9000: ALL_WIRES,
        8501: ("tfserving",),
        8080: ("mms",),
        8081: ("mms-management",),
        8000: ("openinference",),
    }


def test_a_port_that_is_wanted_twice_is_opened_once() -> None:
    assert list(wanted_ports(NetSettings(port=9000, compat=("mms", "mms")))) == [9000, 8080, 8081]


def test_the_port_for_all_protocols_answers_what_else_is_wanted_there() -> None:
    assert wanted_ports(NetSettings(port=8080, compat=("mms",))) == {8080: ALL_WIRES, 8081: ("mms-management",)}
    assert wanted_ports(NetSettings(port=8081, compat=("mms",))) == {
        8081: (*ALL_WIRES, "mms-management"),
        8080: ("mms",),
    }


def test_every_protocol_with_ports_of_its_own_can_be_named() -> None:
    assert set(COMPAT_PORTS) == {"tfserving", "mms", "torchserve", "openinference"}


@pytest.mark.parametrize("share", [False, True])
def test_a_free_port_is_chosen_and_told(share: bool) -> None:
    doors = open_doors(NetSettings(port=0), share=share)
    ((door, sock),) = doors.items()
    assert door == Door(host="127.0.0.1", port=sock.getsockname()[1], wires=ALL_WIRES)
    assert door.port != 0
    sock.close()


def test_when_one_port_is_taken_none_stays_open(monkeypatch: pytest.MonkeyPatch, open_files: Callable[[], int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setitem(COMPAT_PORTS, "tfserving", ((taken.getsockname()[1], ("tfserving",)),))
        before = open_files()
        with pytest.raises(StartupError) as caught:
            open_doors(NetSettings(port=0, compat=("tfserving",)), share=False)
        assert caught.value.code is Code.PORT_TAKEN
        assert open_files() == before


def test_addresses_are_written_as_urls() -> None:
    assert url_of(Door(host="127.0.0.1", port=8080, wires=())) == "http://127.0.0.1:8080"
    assert url_of(Door(host="::1", port=8080, wires=())) == "http://[::1]:8080"
