"""The way out for runs whose plan names hosts: to those, by name, at public addresses, and nowhere else."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from ml_intern.run.network.hosts import HostRefused, address_of, hub_variables, is_pattern
from ml_intern.run.network.proxy import Proxy
from ml_intern.run.sandbox import roots
from ml_intern.run.sandbox.environment import clean_environment
from ml_intern.run.spec import RunSpec
from tests.support.compute import require, shared_compute
from tests.support.http import on_loopback

ALLOWED = ("data.example.org", "*.mirror.example.org")
PUBLIC = "93.184.215.14"


def address(host: str, found: tuple[str, ...] = (PUBLIC,)) -> str:
    return address_of(host, ALLOWED, lambda name: list(found))


@pytest.mark.parametrize("host", ["data.example.org", "DATA.example.org", "data.example.org.", "eu.mirror.example.org"])
def test_a_host_of_the_plan_is_reached(host: str) -> None:
    assert address(host) == PUBLIC


@pytest.mark.parametrize(
    "host",
    [
        "example.org", "xdata.example.org", "data.example.org.evil.net", "mirror.example.org", "evil.net",
        "data.example.org\x00.evil.net", "data.example.org..", ".data.example.org", "data.example.org%00",
        "data example.org",
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "::1", "::ffff:127.0.0.1",
        "localhost", "",
        "data.example.org@evil.net", "data.example.org#evil.net", "dаta.example.org", "a" * 300 + ".example.org",
    ],
)  # fmt: skip
def test_54_no_other_name_and_no_address_is_reached(host: str) -> None:
    with pytest.raises(HostRefused):
        address(host)


@pytest.mark.parametrize(
    "found",
    [
        ("127.0.0.1",), ("10.1.2.3",), ("192.168.1.1",), ("169.254.169.254",), ("100.64.0.1",), ("0.0.0.0",), ("::1",),
        ("fe80::1%eth0",), ("fd00::1",), ("::ffff:10.0.0.1",), (PUBLIC, "127.0.0.1"), (), ("224.0.0.1",),
        ("64:ff9b::7f00:1",), ("2002:7f00:1::",), ("64:ff9b:1::7f00:1",), ("::7f00:1",), ("fec0::1",),
        ("::ffff:0:7f00:1",),
    ],
)  # fmt: skip
def test_55_a_name_that_leads_inside_is_not_reached_whatever_else_it_leads_to(found: tuple[str, ...]) -> None:
    with pytest.raises(HostRefused):
        address("data.example.org", found)


def test_55_a_name_is_looked_up_once_and_the_checked_address_is_used() -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    assert address_of("data.example.org", ALLOWED, lambda name: answers.pop(0)) == PUBLIC
    assert len(answers) == 1


@pytest.mark.parametrize("text", ["*", "*.org", "1.2.3.4", "*.*.org", "a b", "", "http://a.org", "a.org:80", "-a.org"])
def test_a_plan_names_hosts_and_nothing_wider(text: str) -> None:
    assert not is_pattern(text)


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server that says what it was asked, and for whom."""

    def answer(path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, f"{path} for {headers['Host']} {headers.get('Proxy-Authorization', '')}".encode()

    with on_loopback(answer) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def proxy(port: int, heard: list[str]) -> Iterator[Proxy]:
    made = Proxy(ALLOWED, heard.append, resolving=lambda name: ["127.0.0.1"], public=False, ports=(port,))
    yield made
    made.close()
    assert not made.path.exists()


def said(proxy: Proxy, request: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(proxy.path))
        received = b""
        with contextlib.suppress(ConnectionError):  # it hangs up on what is no request
            client.sendall(request.encode("latin-1"))
            while chunk := client.recv(4096):
                received += chunk
    return received.decode()


def test_a_plain_request_is_carried_without_what_is_for_proxies(proxy: Proxy, port: int) -> None:
    host = f"data.example.org:{port}"
    answer = said(proxy, f"GET http://{host}/rows?x=1 HTTP/1.1\r\nHost: evil.net\r\nProxy-Authorization: x\r\n\r\n")
    assert answer.endswith(f"/rows?x=1 for {host} ")


def test_a_tunnel_is_carried(proxy: Proxy, port: int) -> None:
    inner = "GET /inner HTTP/1.0\r\nHost: data.example.org\r\n\r\n"
    answer = said(proxy, f"CONNECT data.example.org:{port} HTTP/1.1\r\n\r\n{inner}")
    assert answer.startswith("HTTP/1.1 200 Connection established")
    assert "/inner for data.example.org" in answer


@pytest.mark.parametrize(
    "line",
    [
        "CONNECT evil.net:PORT HTTP/1.1",
        "CONNECT data.example.org:22 HTTP/1.1",
        "CONNECT 127.0.0.1:PORT HTTP/1.1",
        "CONNECT data.example.org:PORT@evil.net:PORT HTTP/1.1",
        "GET http://data.example.org\x00.evil.net:PORT/ HTTP/1.1",
        "GET http://user@data.example.org:PORT/ HTTP/1.1",
        "GET file:///etc/passwd HTTP/1.1",
        "GET / HTTP/1.1",
        "CONNECT data.example.org:x HTTP/1.1",
        "nonsense",
        "GET\nHost:evil.net\nX: http://data.example.org:PORT/ HTTP/1.1",
        "GET http://data.example.org:PORT/ HTTP/1.1\r\nX: y\nHost: evil.net",
        "GET http://data.example.org:PORT/ HTTP/1.1\r\nHost : evil.net",
    ],
)
def test_what_is_not_allowed_is_refused_and_heard(proxy: Proxy, port: int, heard: list[str], line: str) -> None:
    answer = said(proxy, f"{line.replace('PORT', str(port))}\r\n\r\n")
    assert answer.startswith("HTTP/1.1 403")
    assert heard and heard[-1].startswith("refused: ")


def test_a_script_that_reads_slowly_is_given_time_once_it_has_asked(
    proxy: Proxy, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float | None] = []
    monkeypatch.setattr("ml_intern.run.network.proxy._exchange", lambda client, _: given.append(client.gettimeout()))
    said(proxy, f"CONNECT data.example.org:{port} HTTP/1.1\r\n\r\n")
    assert given == [None]


@pytest.mark.parametrize(
    ("hosts", "offline"), [((), "1"), (("data.example.org", "*.huggingface.co"), "1"), (("huggingface.co",), "0")]
)
def test_the_hubs_client_asks_the_hub_where_the_plan_names_it(
    tmp_path: Path, hosts: tuple[str, ...], offline: str
) -> None:
    spec = RunSpec(
        run_id="r", script=tmp_path, arguments=(), cwd=tmp_path, log=tmp_path, environment=hub_variables(hosts)
    )
    variables = clean_environment(spec)
    assert (variables["HF_HUB_OFFLINE"], variables["HF_DATASETS_OFFLINE"]) == (offline, offline)


def test_a_request_without_an_end_is_dropped(proxy: Proxy) -> None:
    assert said(proxy, "GET http://data.example.org/" + "x" * 60_000) == ""


CODE = """
import urllib.request, urllib.error, socket
print(urllib.request.urlopen("http://data.example.org:PORT/rows").read().decode())
try:
    urllib.request.urlopen("http://evil.net:PORT/")
except urllib.error.HTTPError as error:
    print(error.code)
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=2)
except OSError as error:
    print("refused")
import os, ssl
print(len(ssl.create_default_context().get_ca_certs()) > 10, os.path.exists("/etc/ssl/private"))
raise SystemExit(7)
"""


def test_a_script_in_the_sandbox_reaches_the_plans_hosts_through_it_and_nothing_else(
    proxy: Proxy, port: int, tmp_path: Path
) -> None:
    require("bubblewrap")
    script = tmp_path / "script" / "run.py"
    script.parent.mkdir()
    script.write_text(CODE.replace("PORT", str(port)))
    spec = RunSpec(
        run_id="r", script=script, arguments=(), cwd=tmp_path / "cwd", log=tmp_path / "log.txt", proxy=proxy.path
    )
    result = shared_compute("bubblewrap").execute(spec, threading.Event())
    trusts = roots.authorities() is not None
    assert result.tail.splitlines() == [f"/rows for data.example.org:{port} ", "403", "refused", f"{trusts} False"]
    assert (result.outcome, result.exit_code) == ("failed", 7)


def test_a_file_of_authorities_with_a_private_key_in_it_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kind in (("keys.pem", "PRIVATE KEY"), ("public.pem", "CERTIFICATE")):
        (tmp_path / name).write_text(f"-----BEGIN {kind}-----")
    monkeypatch.setattr(roots, "_AUTHORITIES", (str(tmp_path / "keys.pem"), str(tmp_path / "public.pem")))
    assert roots.authorities() == tmp_path / "public.pem"
