"""The live server: one secret address on this machine, reading only; a reader never holds the writer up."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from browser.runs import records
from rcgnn.errors import InputError
from rcgnn.live import server as module
from rcgnn.live.feed import Feed
from rcgnn.live.server import LiveServer

PAGE = "<!doctype html><title>going on</title>"


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def server(feed):
    with LiveServer(feed, PAGE) as running:
        yield running


def ask(server, path=None, method="GET", **headers):
    """(status, headers, body) of one request; `_` in a header's name stands for `-`, None leaves the Host out."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    link.putrequest(method, f"/{server.token}/" if path is None else path, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{server.port}"} | headers).items():
        if value is not None:
            link.putheader(name.replace("_", "-"), value)
    link.endheaders()
    answer = link.getresponse()
    body = answer.read().decode()
    link.close()
    return answer.status, answer.headers, body


@contextmanager
def reading(server, last=None):
    """A function that returns the next message of a reader."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    link.request("GET", f"/{server.token}/events", headers={"Last-Event-ID": last} if last else {})
    answer = link.getresponse()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"

    def message():
        fields = {}
        while (line := answer.readline().decode()) != "\n" or not fields:
            assert line, "the stream was closed"
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
        return fields["id"], json.loads(fields["data"])

    yield message
    link.close()


def until(told, sure):
    """The first message for which `sure` holds."""
    for _ in range(50):
        mark, news = told()
        if sure(news):
            return mark, news
    raise AssertionError("never told")


def test_the_page_is_served_at_the_printed_address_and_to_nobody_else_on_the_network(server):
    assert server.url == f"http://127.0.0.1:{server.port}/{server.token}/"
    assert len(server.token) >= 32
    status, headers, body = ask(server)
    assert (status, body) == (200, PAGE)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert server._http.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "", "/events", "/x/", "/{short}/", "/{token}x/", "/{token}", "/?token={token}"])
def test_without_the_token_there_is_nothing(server, path):
    filled = path.format(token=server.token, short=server.token[:-1])
    status, _, body = ask(server, filled)
    assert status == 403
    assert "token" in body
    assert server.token not in body


def test_two_servers_have_two_tokens(server):
    with LiveServer(Feed(), PAGE) as other:
        assert ask(other, f"/{server.token}/")[0] == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "example.org", "example.org:{port}", "127.0.0.1:1", "127.0.0.1.example.org:{port}", "", None]
)
def test_another_host_name_is_refused(server, host):
    assert ask(server, Host=host and host.format(port=server.port))[0] == 403


def test_localhost_is_this_machine_too(server):
    assert ask(server, Host=f"localhost:{server.port}")[0] == 200


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("path", ["", "events"])
def test_another_origin_is_refused(server, origin, path):
    assert ask(server, f"/{server.token}/{path}", Origin=origin)[0] == 403


def test_its_own_origin_is_welcome(server):
    assert ask(server, Origin=f"http://127.0.0.1:{server.port}")[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
@pytest.mark.parametrize("path", ["", "events"])
def test_a_page_of_another_site_gets_nothing(server, site, path):
    for how in ({}, {"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}, {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}):
        status, _, body = ask(server, f"/{server.token}/{path}", Sec_Fetch_Site=site, **how)
        assert (status, PAGE in body) == (403, False)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_its_own_page_and_a_typed_address_are_welcome(server, site):
    assert ask(server, Sec_Fetch_Site=site)[0] == 200


def test_a_followed_link_opens_the_page(server):
    assert ask(server, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("GET /{token}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX: " + "x" * 70_000 + "\r\n\r\n", 431),
        ("GET /{token}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n" + "A: b\r\n" * 200 + "\r\n", 431),
        ("GET /" + "x" * 70_000 + " HTTP/1.1\r\n\r\n", 414),
        ("nonsense\r\n\r\n", 400),
        ("TRACE /{token}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 501),
    ],
    ids=["long header", "many headers", "long path", "no HTTP", "TRACE"],
)
def test_what_is_too_long_or_no_request_is_refused(server, sent, status):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        line.sendall(sent.format(token=server.token, port=server.port).encode())
        answer = line.makefile("rb").read()
    assert f" {status} ".encode() in answer.split(b"\r\n")[0] or (status == 400 and b"400" in answer)
    assert PAGE.encode() not in answer
    assert server.token.encode() not in answer


def test_a_body_is_never_read(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        line.sendall(f"POST /{server.token}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 999999999999\r\n\r\n".encode())
        assert line.makefile("rb").readline().startswith(b"HTTP/1.1 405 ")


def test_slow_readers_are_bounded_and_hold_nobody_up(server, feed):
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(module.MOST_CONNECTIONS + 30)]
    for line in slow:
        with contextlib.suppress(OSError):
            line.sendall(b"GET /")
    began = time.monotonic()
    for record in records(3) * 30:
        feed.record(record)
    assert time.monotonic() - began < 1
    threads = [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]
    assert len(threads) <= module.MOST_CONNECTIONS
    for line in slow:
        line.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(server)[0] == 200:
                return
    raise AssertionError("the page never came back")


def test_the_token_is_compared_in_constant_time(server, monkeypatch):
    compared = []
    monkeypatch.setattr(module, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert ask(server, "/guess/")[0] == 403
    assert ask(server)[0] == 200
    assert [given for given, _ in compared] == [b"guess", server.token.encode()]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_only_get(server, method):
    status, headers, body = ask(server, method=method)
    assert (status, headers["Allow"]) == (405, "GET")
    assert PAGE not in body


@pytest.mark.parametrize("path", ["report", "../", "health.jsonl", "%2e%2e/etc/passwd", "events/"])
def test_an_unknown_path_is_not_found(server, path):
    assert ask(server, f"/{server.token}/{path}")[0] == 404


def test_a_reader_is_told_what_was_and_what_comes(server, feed):
    first, *others = records(3)
    feed.progress("train", {"epoch": 1, "epochs": 3, "loss": float("nan"), "batch": object()})
    feed.record(first)
    with reading(server) as told:
        mark, news = told()
        assert (mark, news["known"], news["state"]) == ("0:1", 0, "running")
        assert news["training"]["epoch"] == [1]
        stage = news["stages"][0]
        assert (stage["name"], stage["epoch"], stage["epochs"], stage["loss"], stage["over"]) == ("train", 1, 3, None, False)
        for record in others:
            feed.record(record)
        mark, news = until(told, lambda news: news["known"] + len((news["training"] or {"epoch": []})["epoch"]) == 3)
        assert mark == "0:3"


def test_two_readers_get_the_same_and_a_returning_one_the_rest(server, feed):
    for record in records(4):
        feed.record(record)
    with reading(server) as one, reading(server) as other:
        assert one()[1]["training"] == other()[1]["training"]
    with reading(server, last="0:3") as back:
        mark, news = back()
        assert (mark, news["known"], news["training"]["epoch"]) == ("0:4", 3, [4])
        assert news["findings"][0]["code"] == "SPIKE"


@pytest.mark.parametrize("last", ["7:1", "7:3", "0:99", "x", "0:", "1" * 40 + ":1"])
def test_a_mark_of_another_run_begins_at_the_beginning(server, feed, last):
    feed.record(records(1)[0])
    with reading(server, last=last) as told:
        assert told()[1]["known"] == 0


def test_a_run_that_is_begun_anew_takes_its_epochs_back(server, feed):
    for record in records(3):
        feed.record(record)
    with reading(server) as told:
        told()
        feed.restart()
        mark, news = told()
        assert (mark, news["known"], news["training"], news["stages"]) == ("1:0", 0, None, [])


def test_a_stage_is_over_when_the_next_begins_and_a_message_leaves_its_figures(server, feed):
    feed.progress("smooth", {"done": 2, "total": 20})
    feed.progress("smooth", {"message": "slow"})
    feed.progress("screen", {})
    with reading(server) as told:
        smooth, screen = told()[1]["stages"]
    assert (smooth["over"], smooth["done"], smooth["message"]) == (True, 2, "slow")
    assert screen["over"] is False


def test_at_the_end_the_page_is_the_report_and_nobody_waits_longer_than_needed(server, feed):
    with reading(server) as told:
        told()
        feed.finish("<title>report</title>")
        assert until(told, lambda news: news["state"] == "done")
        asking = threading.Timer(0.2, lambda: ask(server))
        asking.start()
        began = time.monotonic()
        server.hand_over()
        assert 0.1 < time.monotonic() - began < module.GRACE
        asking.join()
    assert ask(server)[2] == "<title>report</title>"


def test_without_a_reader_the_end_is_at_once(server, feed):
    feed.finish("<title>report</title>")
    began = time.monotonic()
    server.hand_over()
    assert time.monotonic() - began < 0.1


def test_a_failed_run_says_why_and_keeps_its_page(server, feed):
    with reading(server) as told:
        told()
        feed.fail("screen: no sensor is left.")
        assert until(told, lambda news: news["state"] == "failed")[1]["message"] == "screen: no sensor is left."
    assert ask(server)[2] == PAGE


def test_a_reader_that_takes_nothing_holds_nobody_up(server, feed, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect(("127.0.0.1", server.port))
    stuck.sendall(f"GET /{server.token}/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    record = records(1)[0]
    wide = record.model_copy(update={"loss": record.loss.model_copy(update={"components": {f"term {n}": 0.1 for n in range(2000)}})})
    began = time.monotonic()
    for _ in range(300):
        feed.record(wide)
        feed.progress("train", {"epoch": 1})
        time.sleep(0.001)
    assert time.monotonic() - began < 5
    with reading(server) as told:
        assert until(told, lambda news: news["known"] + len((news["training"] or {"epoch": []})["epoch"]) == 300)
    feed.finish("done")
    began = time.monotonic()
    server.hand_over()
    assert time.monotonic() - began < module.GRACE + 1
    stuck.close()


def test_too_many_readers_are_sent_away(server, monkeypatch):
    monkeypatch.setattr(module, "MOST_READERS", 1)
    with reading(server) as told:
        told()
        assert ask(server, f"/{server.token}/events")[0] == 503


def test_a_port_that_is_taken_is_one_sentence(server):
    with pytest.raises(InputError, match=rf"--port {server.port}: cannot be used \(.*\); choose another, or leave it out\."):
        LiveServer(Feed(), PAGE, server.port)


def test_after_the_end_nothing_listens(feed):
    with LiveServer(feed, PAGE) as running:
        port = running.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)
