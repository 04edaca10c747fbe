"""Opening ports, and who has one that cannot be opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from salver.errors import Code, StartupError
from salver.net import holders
from salver.net.holders import holder_of
from salver.net.ports import join_port, open_port

HAS_IPV6 = socket.has_ipv6 and os.path.exists("/proc/net/if_inet6")


def test_a_free_port_is_taken_and_told() -> None:
    with open_port("127.0.0.1", 0, share=False) as sock:
        host, port = sock.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with socket.create_connection((host, port)):
            pass


def test_a_taken_port_is_told_with_its_holder() -> None:
    with open_port("127.0.0.1", 0, share=False) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(StartupError) as raised:
            open_port("127.0.0.1", port, share=False)
    assert raised.value.code is Code.PORT_TAKEN
    assert f"process {os.getpid()} (" in raised.value.message
    assert str(port) in raised.value.message
    assert "--port" in raised.value.fix


def test_the_holder_may_be_another_program() -> None:
    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        with pytest.raises(StartupError, match=f"process {other.pid} "):
            open_port("127.0.0.1", port, share=True)
        other.communicate()


def test_an_address_of_another_machine_cannot_be_opened() -> None:
    with pytest.raises(StartupError) as raised:
        open_port("192.0.2.1", 0, share=False)
    assert raised.value.code is Code.PORT_TAKEN
    assert "192.0.2.1" in raised.value.message


def test_a_shared_port_is_shared_with_who_joins() -> None:
    with open_port("127.0.0.1", 0, share=True) as first:
        port = first.getsockname()[1]
        with join_port("127.0.0.1", port) as second:
            assert second.getsockname() == first.getsockname()
            first.listen()
            second.listen()


def test_a_port_that_a_stranger_shares_is_taken_all_the_same() -> None:
    """Requests would otherwise be dealt out between the two."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        with pytest.raises(StartupError, match="is taken"):
            open_port("127.0.0.1", stranger.getsockname()[1], share=True)


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
def test_ipv6_is_ipv6_alone() -> None:
    with open_port("::1", 0, share=False) as sock:
        assert sock.family is socket.AF_INET6
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        port = sock.getsockname()[1]
        with pytest.raises(StartupError, match=f"process {os.getpid()} "):
            open_port("::1", port, share=False)


class TestHolders:
    def test_of_a_free_port_nothing_is_known(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            assert holder_of(sock.getsockname()[1]) == ""

    def test_without_proc_nothing_is_known(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(holders, "PROC", tmp_path)
        assert holder_of(80) == ""

    def test_what_cannot_be_looked_into_is_another_users(self, tmp_path, monkeypatch) -> None:
        table = tmp_path / "net" / "tcp"
        table.parent.mkdir()
        table.write_text("head\n 0: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 0 0 4711\n")
        (tmp_path / "1").mkdir()
        monkeypatch.setattr(holders, "PROC", tmp_path)
        assert holder_of(80) == "a program of another user"
        assert holder_of(81) == ""

    def test_a_process_that_has_just_ended_has_no_name(self, tmp_path, monkeypatch) -> None:
        table = tmp_path / "net" / "tcp6"
        table.parent.mkdir()
        table.write_text("head\n 0: 00000000:0050 00000000:0000 0A 0:0 0:0 0 0 0 4711\n")
        fds = tmp_path / "7" / "fd"
        fds.mkdir(parents=True)
        (fds / "0").symlink_to("/dev/null")
        (fds / "3").symlink_to("socket:[4711]")
        monkeypatch.setattr(holders, "PROC", tmp_path)
        assert holder_of(80) == "process 7 (unknown)"

    def test_without_a_list_of_processes_it_is_another_users(self, tmp_path, monkeypatch) -> None:
        table = tmp_path / "net" / "tcp"
        table.parent.mkdir()
        table.write_text("head\n 0: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 0 0 4711\n")

        def refuse(path):
            raise PermissionError

        monkeypatch.setattr(holders, "PROC", tmp_path)
        monkeypatch.setattr(holders.os, "listdir", refuse)
        assert holder_of(80) == "a program of another user"
