"""The careful fetcher: what it refuses, with which reason, and that nothing makes it wait, grow or go inside."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cryptoviz.remote import network
from cryptoviz.remote.errors import FetchError, Reason
from cryptoviz.remote.network import Resolver, is_public
from cryptoviz.remote.web import Policy, fetch, origin
from cryptoviz.settings import Mode, Settings, SettingsError, load
from tests.unit.raw_web import Answer, Site, drip, hang, page, redirect, serving

LIMIT = 64 * 1024


@pytest.fixture
def site() -> Iterator[Site]:
    with serving({}) as running:
        yield running


@pytest.fixture
def policy(site: Site) -> Policy:
    """Little time, small pages, and only this site of all private ones."""
    return Policy("CryptoViz/0.1 (test)", seconds=5, max_bytes=LIMIT, private_hosts=frozenset({site.host}))


def refusal(url: str, policy: Policy, **options) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(url, policy, **options)
    assert str(caught.value).startswith(f"{caught.value.reason}: ")
    return caught.value


def test_a_page_comes_with_status_headers_body_and_address(site: Site, policy: Policy) -> None:
    site.routes["/"] = page(b"hello", content_type="Text/HTML; charset=utf-8", etag='"1"')
    got = fetch(site.url("/"), policy)
    assert (got.status, got.body, got.url, got.wire_bytes) == (200, b"hello", site.url("/"), 5)
    assert got.headers["ETag"] == '"1"'
    assert got.content_type == "text/html"
    assert 0 < got.seconds < 5


def test_we_say_who_we_are(site: Site, policy: Policy) -> None:
    site.routes["/"] = page()
    fetch(site.url("/"), policy)
    assert "user-agent: cryptoviz/0.1 (test)\r\n" in site.requests[0]
    assert f"host: {site.host}\r\n" in site.requests[0]


@pytest.mark.parametrize("status", ["404 Not Found", "429 Too Many Requests", "500 Oops"])
def test_an_error_status_is_an_answer(status: str, site: Site, policy: Policy) -> None:
    site.routes["/"] = page(b"sorry", status, retry_after="7")
    got = fetch(site.url("/"), policy)
    assert (got.status, got.body, got.headers["retry-after"]) == (int(status[:3]), b"sorry", "7")


def test_an_unchanged_page_is_not_sent_again(site: Site, policy: Policy) -> None:
    site.routes["/"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    got = fetch(site.url("/"), policy, etag='"abc"', last_modified="Wed, 01 Oct 2026 10:00:00 GMT")
    assert (got.status, got.body) == (304, b"")
    assert 'if-none-match: "abc"\r\n' in site.requests[0]
    assert "if-modified-since: wed, 01 oct 2026 10:00:00 gmt\r\n" in site.requests[0]


def test_a_compressed_page_is_decompressed(site: Site, policy: Policy) -> None:
    site.routes["/"] = page(gzip.compress(b"news " * 1000), content_encoding="gzip")
    got = fetch(site.url("/"), policy)
    assert got.body == b"news " * 1000
    assert got.wire_bytes < len(got.body)


def test_an_empty_body_needs_no_compression(site: Site, policy: Policy) -> None:
    site.routes["/"] = page(b"", content_encoding="gzip")
    assert fetch(site.url("/"), policy).body == b""


# Redirects


def test_redirects_are_followed_and_each_address_is_asked_for(site: Site, policy: Policy) -> None:
    site.routes |= {"/a": redirect("b?x=1#there"), "/b?x=1": redirect(site.url("/c")), "/c": page(b"end")}
    permitted: list[str] = []
    got = fetch(site.url("/a"), policy, permit=permitted.append)
    assert (got.body, got.url) == (b"end", site.url("/c"))
    assert permitted == [site.url("/a"), site.url("/b?x=1"), site.url("/c")]


def test_what_is_not_permitted_is_not_asked_for(site: Site, policy: Policy) -> None:
    site.routes |= {"/a": redirect("/b"), "/b": page()}

    def permit(url: str) -> None:
        if url.endswith("/b"):
            raise FetchError(Reason.NOT_PERMITTED, "by robots.txt")

    assert refusal(site.url("/a"), policy, permit=permit).reason is Reason.NOT_PERMITTED
    assert site.asked() == ["/a"]


def test_a_key_stays_with_the_site_it_is_for(site: Site, policy: Policy) -> None:
    with serving({"/": page()}) as other:
        site.routes |= {"/a": redirect("/b"), "/b": redirect(other.url("/"))}
        both = replace(policy, private_hosts=frozenset({site.host, other.host}))
        fetch(site.url("/a"), both, headers={"x-api-key": "sesame"})
        assert ["sesame" in request for request in [*site.requests, *other.requests]] == [True, True, False]


def test_a_circle_is_left(site: Site, policy: Policy) -> None:
    site.routes |= {"/a": redirect("/b"), "/b": redirect("/a")}
    assert refusal(site.url("/a"), policy).reason is Reason.REDIRECT_LOOP
    assert site.asked() == ["/a", "/b"]


def test_a_long_chain_is_left(site: Site, policy: Policy) -> None:
    site.routes |= {f"/{step}": redirect(f"/{step + 1}") for step in range(100)}
    assert refusal(site.url("/0"), policy).reason is Reason.TOO_MANY_REDIRECTS
    assert len(site.requests) == policy.max_redirects + 1


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///feed.xml", Reason.BAD_ADDRESS),
        ("ftp://example.com/", Reason.BAD_ADDRESS),
        ("http://xn--0/", Reason.BAD_REDIRECT),
        ("http://user:word@example.com/", Reason.BAD_ADDRESS),
        ("http://[::1/", Reason.PROTOCOL),
        ("http://127.0.0.1:1/", Reason.PRIVATE_ADDRESS),
        ("https://127.0.0.1:1/", Reason.PRIVATE_ADDRESS),
        ("http://localhost:1/", Reason.PRIVATE_ADDRESS),
        ("http://192.0.2.1/", Reason.PRIVATE_ADDRESS),
        ("http://198.51.100.1:8080/", Reason.PRIVATE_ADDRESS),
        ("http://[2001:db8::1]/", Reason.PRIVATE_ADDRESS),
        ("http://[::ffff:192.0.2.1]/", Reason.PRIVATE_ADDRESS),
    ],
)
def test_no_redirect_leads_inside(location: str, reason: Reason, site: Site, policy: Policy) -> None:
    site.routes["/"] = redirect(location)
    assert refusal(site.url("/"), policy).reason is reason
    assert site.asked() == ["/"]


def test_a_redirect_to_nowhere_is_refused(site: Site, policy: Policy) -> None:
    site.routes["/"] = page(status="301 Moved")
    assert refusal(site.url("/"), policy).reason is Reason.BAD_REDIRECT


# Addresses


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1"),
        # Addresses for documents, inside of others.
        *("::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "64:ff9b:1::1", "2002:c000:201::", "::192.0.2.1"),
        *("ff02::1", "2001:0:c000:201::1", "2001:db8::1", "not an address", ""),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "news",
        "//example.com/",
        "http://",
        "gopher://example.com",
        "http://h:0x/",
        "http://h:99999/",
        "http://xn--0/",
    ],
)
def test_an_address_that_is_none(url: str, policy: Policy) -> None:
    assert refusal(url, policy).reason is Reason.BAD_ADDRESS


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("https://Example.com/feed?x#y") == "https://example.com:443"
    assert origin("http://[2606:4700::1]:81/") == "http://[2606:4700::1]:81"
    with pytest.raises(FetchError, match="bad_address"):
        origin("mailto:me@example.com")


def test_the_checked_address_is_the_one_connected_to(site: Site, policy: Policy) -> None:
    """The name is looked up once; what it says later is not asked."""
    site.routes["/"] = page(b"here")
    answers = iter([["127.0.0.1"], ["203.0.113.1"]])
    host = f"news.example:{site.port}"
    got = fetch(f"http://{host}/", replace(policy, private_hosts=frozenset({host})), resolve=lambda *_: next(answers))
    assert got.body == b"here"
    assert f"host: {host}\r\n" in site.requests[0]
    assert next(answers) == ["203.0.113.1"]


def test_a_name_that_turns_to_an_inner_address_is_refused(site: Site, policy: Policy) -> None:
    """Rebinding: the first answer was harmless, the answer for the redirect to the same name is not."""
    site.routes["/"] = redirect(f"http://news.example:{site.port}/secret")
    site.routes["/secret"] = page(b"secret")
    refused = refusal(site.url("/"), policy, resolve=lambda host, _port: ["127.0.0.1"])
    assert refused.reason is Reason.PRIVATE_ADDRESS
    assert site.asked() == ["/"]


@pytest.mark.parametrize("addresses", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"]])
def test_one_inner_address_among_public_ones_is_enough(addresses: list[str], policy: Policy) -> None:
    assert refusal("http://news.example/", policy, resolve=lambda *_: addresses).reason is Reason.PRIVATE_ADDRESS


def test_another_port_of_an_allowed_host_is_not_allowed(site: Site, policy: Policy) -> None:
    with serving({"/": page(b"the database, say")}) as other:
        assert refusal(other.url("/"), policy).reason is Reason.PRIVATE_ADDRESS
        assert not other.requests


def test_the_next_address_is_tried_where_one_does_not_answer(site: Site, policy: Policy) -> None:
    site.routes["/"] = page(b"here")
    host = f"news.example:{site.port}"
    allowed = replace(policy, private_hosts=frozenset({host}))
    assert fetch(f"http://{host}/", allowed, resolve=lambda *_: ["127.0.0.2", "127.0.0.1"]).body == b"here"


def test_nobody_there(policy: Policy) -> None:
    allowed = replace(policy, private_hosts=frozenset({"127.0.0.1:1"}))
    assert refusal("http://127.0.0.1:1/", allowed).reason is Reason.UNREACHABLE


def no_such_name(*_: object) -> list[str]:
    raise OSError("no such name")


@pytest.mark.parametrize("resolve", [no_such_name, lambda *_: []])
def test_a_name_without_address(resolve: Resolver, policy: Policy) -> None:
    assert refusal("http://news.example/", policy, resolve=resolve).reason is Reason.UNRESOLVED


# Time


def in_time(act: Callable[[], FetchError]) -> FetchError:
    began = time.monotonic()
    refused = act()
    assert time.monotonic() - began < 5, "the limit of time did not hold"
    return refused


@pytest.mark.parametrize(
    "answer",
    [
        hang,
        drip(b"HTTP/1.1 200 OK\r\n", b"x-drop: 1\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nx-long: "),
        drip(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "headers", "one header", "body", "endless body", "chunks", "never the answer"],
)
def test_the_limit_of_time_is_for_the_whole_answer(answer: Answer, site: Site, policy: Policy) -> None:
    site.routes["/"] = answer
    assert in_time(lambda: refusal(site.url("/"), replace(policy, seconds=0.4))).reason is Reason.TIMEOUT


def test_redirects_share_one_limit_of_time(site: Site, policy: Policy) -> None:
    def slowly(connection, over: threading.Event) -> None:
        over.wait(0.3)
        connection.sendall(redirect(f"/{len(site.requests)}"))

    site.routes |= {f"/{step}": slowly for step in range(10)}
    assert in_time(lambda: refusal(site.url("/0"), replace(policy, seconds=0.7))).reason is Reason.TIMEOUT
    assert len(site.requests) < 4


def test_a_resolver_that_never_answers_is_left_behind(policy: Policy) -> None:
    over = threading.Event()

    def resolve(*_: object) -> list[str]:
        over.wait(60)
        return []

    try:
        refused = in_time(lambda: refusal("http://news.example/", replace(policy, seconds=0.3), resolve=resolve))
    finally:
        over.set()
    assert refused.reason is Reason.TIMEOUT


# Size


def grown(act: Callable[[], object]) -> int:
    """The most memory held at once during the act, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


OVER = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(16 * LIMIT // 32))
"""A megabyte that does not compress, more than all that a reader with this limit may hold."""


def in_parts(head: bytes, part: Callable[[bytes], bytes] = bytes) -> Answer:
    """Say `head` and then what is over the limit, a limit's worth at a time."""

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(head)
        for start in range(0, len(OVER), LIMIT):
            connection.sendall(part(OVER[start : start + LIMIT]))

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        in_parts(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(OVER)),
        in_parts(b"HTTP/1.1 200 OK\r\n\r\n"),
        in_parts(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", lambda part: b"%x\r\n%b\r\n" % (len(part), part)
        ),
        in_parts(b"HTTP/1.1 500 Oops\r\n\r\n"),
        page(gzip.compress(OVER.hex().encode(), mtime=0), content_encoding="gzip"),
    ],
    ids=["announced", "unannounced", "chunked", "error page", "gzip"],
)
def test_no_more_than_the_limit_is_held_whatever_is_sent(answer: Answer, site: Site, policy: Policy) -> None:
    site.routes["/"] = answer
    refused: list[FetchError] = []
    peak = grown(lambda: refused.append(refusal(site.url("/"), policy)))
    assert refused[0].reason is Reason.TOO_LARGE
    # The server of this test lives in this process: its one part counts too.
    assert peak < len(OVER) / 2


def test_what_is_compressed_counts_by_what_comes_over_the_wire_too(site: Site, policy: Policy) -> None:
    """A compressed stream may have empty blocks, which never give a byte."""
    head, block = gzip.compress(b"")[:10], b"\0\0\0\xff\xff"
    empty = head + block * 25
    site.routes["/"] = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + empty
    assert refusal(site.url("/"), replace(policy, max_bytes=100)).reason is Reason.TOO_LARGE


def test_a_page_of_exactly_the_limit_is_accepted(site: Site, policy: Policy) -> None:
    site.routes |= {"/fits": page(bytes(LIMIT)), "/not": b"HTTP/1.1 200 OK\r\n\r\n" + bytes(LIMIT + 1)}
    assert len(fetch(site.url("/fits"), policy).body) == LIMIT
    assert refusal(site.url("/not"), policy).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("body", [bytes(LIMIT * 2), gzip.compress(bytes(LIMIT * 2), mtime=0)], ids=["plain", "gzip"])
def test_a_page_is_cut_where_that_is_asked_for(body: bytes, site: Site, policy: Policy) -> None:
    encoding = {"content_encoding": "gzip"} if body[:1] == b"\x1f" else {}
    site.routes["/"] = page(body, **encoding)
    assert fetch(site.url("/"), replace(policy, truncate=True)).body == bytes(LIMIT)


# What is no answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", Reason.PROTOCOL),
        (b"", Reason.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", Reason.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Reason.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n", Reason.PROTOCOL),
        (page(b"not gzip", content_encoding="gzip"), Reason.ENCODING),
        (page(gzip.compress(b"x" * 10_000, mtime=0)[:-12], content_encoding="gzip"), Reason.ENCODING),
        (page(b"x", content_encoding="br"), Reason.ENCODING),
        (page(b"x", content_encoding="gzip, gzip"), Reason.ENCODING),
    ],
)
def test_what_is_no_answer(answer: bytes, reason: Reason, site: Site, policy: Policy) -> None:
    site.routes["/"] = answer
    assert refusal(site.url("/"), policy).reason is reason


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of news.example, signed by itself, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("news.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [("news.example", True, None), ("news.example", False, Reason.TLS), ("other.example", True, Reason.TLS)],
)
def test_the_certificate_must_be_the_names(
    host: str, trusted: bool, reason: Reason | None, certificate: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to an address, the certificate is asked for the name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    if trusted:
        ours = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(network, "_tls", lambda: ours)
    with serving({"/": page(b"safe")}, server) as site:
        allowed = replace(policy, private_hosts=frozenset({f"{host}:{site.port}"}))
        url, options = f"https://{host}:{site.port}/", {"resolve": lambda *_: ["127.0.0.1"]}
        if reason is None:
            assert fetch(url, allowed, **options).body == b"safe"
        else:
            assert refusal(url, allowed, **options).reason is reason
            assert not site.requests


# Settings


def test_the_policy_is_what_the_settings_say() -> None:
    settings = Settings(web_timeout_s=3, web_max_bytes=5000, web_private_hosts=["10.0.0.5:80"], mode=Mode.LIVE)
    policy = Policy.of(settings)
    assert (policy.seconds, policy.max_bytes, policy.private_hosts) == (3, 5000, {"10.0.0.5:80"})
    assert policy.user_agent.startswith("CryptoViz/")


def test_the_simulated_web_is_within_reach_in_demo_mode_only() -> None:
    simulated = Settings(mode=Mode.DEMO, web_simulator_port=8111)
    assert Policy.of(simulated).private_hosts == {"127.0.0.1:8111"}
    elsewhere = simulated.model_copy(update={"web_simulator_host": "simulated-web"})
    assert Policy.of(elsewhere).private_hosts == {"simulated-web:8111"}
    assert not Policy.of(elsewhere.model_copy(update={"mode": Mode.LIVE})).private_hosts


def test_of_a_private_network_only_the_simulated_webs_own_port_is_fetched() -> None:
    with serving({"/": page(b"simulated")}) as site, serving({"/": page(b"private")}) as other:
        settings = Settings(mode=Mode.DEMO, web_simulator_host="simulated-web", web_simulator_port=site.port)
        policy, inside = Policy.of(settings), {"resolve": lambda *_: ["127.0.0.1"]}
        assert fetch(f"http://simulated-web:{site.port}/", policy, **inside).body == b"simulated"
        for address in (f"simulated-web:{other.port}", f"postgres:{site.port}", f"127.0.0.1:{site.port}"):
            assert refusal(f"http://{address}/", policy, **inside).reason is Reason.PRIVATE_ADDRESS
        assert not other.requests


@pytest.mark.parametrize("host", ["10.0.0.5", "10.0.0.5:", ":80", "host:port", "host:0", "host:70000"])
def test_a_private_host_without_port_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match=r"WEB_PRIVATE_HOSTS: .*is not host:port"):
        load(web_private_hosts=[host])
