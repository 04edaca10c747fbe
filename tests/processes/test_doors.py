"""Which addresses are opened, for which protocols."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import Code, StartupError
from salver.net.base import NetSettings
from salver.net.ports import join_port
from salver.processes.base import Door
from salver.processes.doors import (
    ALL_GRPC_WIRES,
    ALL_WIRES,
    COMPAT_PORTS,
    check_exposure,
    flag_of,
    open_doors,
    url_of,
    wanted_doors,
    wanted_grpc_ports,
    wanted_ports,
)


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
        8002: ("openinference-metrics",),
    }


def test_grpc_gets_the_ports_of_its_own_clients_too() -> None:
    assert wanted_grpc_ports(NetSettings(compat=("openinference",)))[8001] == ("openinference",)
    assert "openinference" in wanted_grpc_ports(NetSettings(grpc_port=0))[0]


def test_a_port_that_is_wanted_twice_is_opened_once() -> None:
    assert list(wanted_ports(NetSettings(port=9000, compat=("mms", "mms")))) == [9000, 8080, 8081]


def test_the_port_for_all_protocols_answers_what_else_is_wanted_there() -> None:
    assert wanted_ports(NetSettings(port=8080, compat=("mms",))) == {8080: ALL_WIRES, 8081: ("mms-management",)}
    assert wanted_ports(NetSettings(port=8081, compat=("mms",))) == {
        8081: (*ALL_WIRES, "mms-management"),
        8080: ("mms",),
    }


def test_mlservers_words_take_the_place_of_tritons_at_its_port() -> None:
    net = NetSettings(port=8080, compat=("mlserver",))
    assert wanted_ports(net) == {
        8080: ("mlserver", *(wire for wire in ALL_WIRES if wire != "openinference")),
        8082: ("mlserver-metrics",),
    }
    assert wanted_grpc_ports(net) == {8081: ("mlserver",)}


def test_every_protocol_with_ports_of_its_own_can_be_named() -> None:
    assert set(COMPAT_PORTS) == {"tfserving", "mms", "torchserve", "openinference", "mlserver"}


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


def test_doors_stand_instead_of_host_and_ports() -> None:
    net = NetSettings(port=9000, compat=("mms",), doors=("mms@127.0.0.1:9080", "mms-management@[::1]:9081"))
    assert wanted_doors(net) == (
        Door(host="127.0.0.1", port=9080, wires=("mms",)),
        Door(host="::1", port=9081, wires=("mms-management",)),
    )


def test_an_address_that_is_named_twice_answers_for_both() -> None:
    net = NetSettings(doors=("mms@127.0.0.1:9080", "mms-management+mms@127.0.0.1:9080"))
    assert wanted_doors(net) == (Door(host="127.0.0.1", port=9080, wires=("mms", "mms-management")),)


def test_a_door_of_grpc_is_named_so() -> None:
    net = NetSettings(doors=("tfserving-grpc@127.0.0.1:8500", "tfserving@127.0.0.1:8501"))
    assert wanted_doors(net) == (
        Door(host="127.0.0.1", port=8500, wires=("tfserving",), is_grpc=True),
        Door(host="127.0.0.1", port=8501, wires=("tfserving",)),
    )


def test_each_port_0_is_a_port_of_its_own() -> None:
    doors = open_doors(NetSettings(doors=("mms@127.0.0.1:0", "mms@127.0.0.1:0")), share=False)
    assert len({door.port for door in doors}) == 2
    for sock in doors.values():
        sock.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mms", "it names no address"),
        ("smtp@127.0.0.1:25", "there is no protocol 'smtp'"),
        ("mms@127.0.0.1", "'127.0.0.1' is no address"),
        ("mms@127.0.0.1:70000", "'127.0.0.1:70000' is no address"),
        ("mms@unix:here", "a socket's path begins with `/`"),
        ("tfserving+tfserving-grpc@127.0.0.1:8500", "gRPC has a port of its own"),
        ("tfserving-grpc@unix:/run/tfs.sock", "gRPC has a port of its own"),
        ("mms-management-grpc@127.0.0.1:1", "there is no protocol 'mms-management-grpc'"),
        ("mms@unix:/" + "x" * 107, "at most 107 bytes"),
    ],
)
def test_a_door_that_cannot_be_read_is_refused(text: str, why: str) -> None:
    with pytest.raises(StartupError, match=why) as caught:
        wanted_doors(NetSettings(doors=(text,)))
    assert caught.value.code is Code.SETTINGS_INVALID
    assert caught.value.fix


def test_a_door_that_others_reach_must_be_asked_for_too() -> None:
    with pytest.raises(StartupError, match=r"--host 0\.0\.0\.0"):
        check_exposure(NetSettings(doors=("mms@127.0.0.1:0", "mms@0.0.0.0:0")))


def test_a_socket_that_a_dead_server_left_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "mms.sock"
    net = NetSettings(doors=(f"mms@unix:{path}",))
    (first,) = open_doors(net, share=False).values()
    first.close()
    ((door, second),) = open_doors(net, share=False).items()
    assert url_of(door) == f"unix:{path}"
    second.listen()
    with pytest.raises(StartupError, match=f"The socket {path} cannot be made"):
        open_doors(net, share=False)
    second.close()


def test_a_file_is_not_replaced_by_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "mms.sock"
    path.write_text("mine")
    with pytest.raises(StartupError, match="cannot be made"):
        open_doors(NetSettings(doors=(f"mms@unix:{path}",)), share=False)
    assert path.read_text() == "mine"


def test_front_ends_that_share_ports_cannot_share_a_socket(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be shared") as caught:
        open_doors(NetSettings(doors=(f"mms@unix:{tmp_path / 'a'}",)), share=True)
    assert "--processes 1" in caught.value.fix


@pytest.mark.parametrize("share", [False, True])
def test_a_port_of_grpc_is_kept_for_this_server(share: bool) -> None:
    doors = open_doors(NetSettings(port=0, grpc_port=0), share=share)
    http, grpc = doors
    assert (http.is_grpc, grpc.is_grpc, grpc.wires) == (False, True, ALL_GRPC_WIRES)
    joined = join_port(grpc.host, grpc.port)  # as the library does
    joined.listen()
    with pytest.raises(StartupError, match="--grpc-port"):
        open_doors(NetSettings(port=0, grpc_port=grpc.port), share=share)
    for sock in (*doors.values(), joined):
        sock.close()


def test_no_port_of_grpc_is_opened_unasked() -> None:
    assert wanted_grpc_ports(NetSettings()) == {}
    assert wanted_grpc_ports(NetSettings(compat=("tfserving",))) == {8500: ("tfserving",)}
    assert wanted_grpc_ports(NetSettings(grpc_port=8500, compat=("tfserving",))) == {8500: ALL_GRPC_WIRES}


def test_http_and_grpc_cannot_share_a_port() -> None:
    with pytest.raises(StartupError) as caught:
        open_doors(NetSettings(port=9000, grpc_port=9000), share=False)
    assert caught.value.code is Code.SETTINGS_INVALID
    assert "--grpc-port" in caught.value.fix


def test_a_fix_names_the_flag_that_made_a_port_wanted() -> None:
    settings = NetSettings(port=9000, grpc_port=9001, compat=("tfserving",))
    wanted = {(door.port, flag_of(settings, door)) for door in wanted_doors(settings)}
    assert wanted == {(9000, "--port"), (8501, "--compat"), (9001, "--grpc-port"), (8500, "--compat")}


def test_addresses_are_written_as_urls() -> None:
    assert url_of(Door(host="::1", port=8500, wires=(), is_grpc=True)) == "grpc://[::1]:8500"
    assert url_of(Door(host="127.0.0.1", port=8080, wires=())) == "http://127.0.0.1:8080"
    assert url_of(Door(host="::1", port=8080, wires=())) == "http://[::1]:8080"
