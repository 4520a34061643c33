"""Fetching against a local server that fails in each way in which networks do."""

import base64
import hashlib
import importlib.util
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kerascv_course.datasets import fetching
from kerascv_course.datasets.cifar10 import CIFAR10
from kerascv_course.datasets.fetching import RemoteFile, downloads_folder, fetch, find_copies, mirror_addresses

CONTENT = hashlib.shake_128(b"a file").digest(100_000)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT)


class FaultServer(ThreadingHTTPServer):
    """Answers each request as the next plan says (the last one for all further ones), and notes what it sent."""

    daemon_threads = True

    def __init__(self, *plans):
        super().__init__(("127.0.0.1", 0), FaultHandler)
        self.plans = list(plans)
        self.ranges = []  # the Range header of each GET
        self.sent = 0  # bytes of content
        self.sums = None  # the text of SHA256SUMS
        self.headers = []  # further headers of each answer
        self.is_busy = False  # whether the next HEAD fails
        self.gate = threading.Event()  # what hangs waits for it
        self.base = f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request, client_address):
        pass  # clients of these tests hang up


class FaultHandler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        if self.path == "/SHA256SUMS":
            if server.sums is None:
                self.send_error(404)
            else:
                self.head(size=len(server.sums))
                self.wfile.write(server.sums.encode())
            return
        plan = server.plans.pop(0) if len(server.plans) > 1 else server.plans[0]
        server.ranges.append(self.headers.get("Range"))
        self.start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if isinstance(plan, int):
            self.send_error(plan)
        elif plan.startswith("to "):
            self.send_response(302)
            self.send_header("Location", plan.removeprefix("to "))
            self.end_headers()
        else:
            getattr(self, plan)()

    def do_HEAD(self):
        if self.server.is_busy:
            self.server.is_busy = False
            self.send_error(503)
        else:
            self.head()

    def head(self, start=0, size=SIZE, content_type="application/gzip"):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Type", content_type)
        if size is not None:
            self.send_header("Content-Length", str(size - start))
        for header in self.server.headers:
            self.send_header(*header)
        self.end_headers()

    def send(self, data):
        self.server.sent += len(data)
        self.wfile.write(data)

    def whole(self):  # knows ranges
        self.head(self.start)
        self.send(CONTENT[self.start :])

    def cut(self):  # knows ranges too, but sends 30,000 bytes at most
        self.head(self.start)
        self.send(CONTENT[self.start : self.start + 30_000])

    def no_ranges(self):
        self.head()
        self.send(CONTENT)

    def no_ranges_cut(self):
        self.head()
        self.send(CONTENT[:30_000])

    def no_length(self):
        self.head(size=None)
        self.send(CONTENT)

    def no_length_cut(self):
        self.head(size=None)
        self.send(CONTENT[:30_000])

    def endless(self):
        self.head(size=None)
        for _ in range(200):
            self.send(CONTENT)

    def wrong(self):
        self.head(self.start)
        self.send(CONTENT[self.start : -1] + bytes([CONTENT[-1] ^ 1]))

    def wrong_cut(self):
        self.head()
        self.send(bytes(30_000))

    def short(self):
        self.head(size=60_000)
        self.send(CONTENT[:60_000])

    def short_part(self):
        self.head(self.start, size=60_000)
        self.send(CONTENT[self.start : 60_000])

    def other_part(self):
        self.head(self.start - 10)
        self.send(CONTENT[self.start - 10 :])

    def not_satisfiable(self):
        self.send_response(416)
        self.end_headers()

    def page(self):
        self.head(size=9, content_type="text/html")
        self.send(b"<p>Log in")

    def silent(self):
        self.server.gate.wait(30)

    def stalled(self):
        self.head()
        self.send(CONTENT[:30_000])
        self.server.gate.wait(30)

    def trickling(self):
        self.head()
        while not self.server.gate.wait(0.01):
            self.send(b"x")

    def slow(self):
        self.head()
        for start in range(0, SIZE, 10_000):
            self.send(CONTENT[start : start + 10_000])
            time.sleep(0.02)

    def gated(self):
        self.head()
        self.send(CONTENT[:50_000])
        self.server.gate.wait(30)
        self.send(CONTENT[50_000:])


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Return a function that starts a server with these plans, on a machine without a file."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.delenv("KERASCV_COURSE_MIRRORS", raising=False)
    monkeypatch.setattr(fetching, "_PAUSE", 0.01)
    servers = []

    def start_server(*plans):
        server = FaultServer(*plans)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        server.gate.set()
        server.shutdown()
        server.server_close()


def remote(*servers, checksum=f"sha256:{SHA256}", size=SIZE):
    addresses = (server if isinstance(server, str) else f"{server.base}file.bin" for server in servers)
    return RemoteFile("a file", "file.bin", tuple(addresses), ("datasets/file.bin",), checksum, size)


def get(*servers, **options):
    """Fetch from these servers, and return what came."""
    return fetch(remote(*servers, **options)).path.read_bytes()


def held():
    """Return what lies in the downloads folder, beside the lock."""
    return sorted(path.name for path in downloads_folder().iterdir() if path.name != ".file.bin.lock")


def begin(server):
    """Leave 30,000 bytes of an earlier call."""
    with pytest.raises(ConnectionError, match=r"30,000 bytes that arrived are kept"):
        get(server)
    assert held() == ["file.bin.part"]


# What goes right


@pytest.mark.smoke
def test_a_file_is_placed_whole_with_a_progress_bar_and_not_fetched_again(start, capsys):
    server = start("whole")
    assert get(server) == get(server) == CONTENT
    assert held() == ["file.bin"]
    assert server.ranges == [None]
    shown = capsys.readouterr()
    assert "file.bin: 100%" in shown.err
    assert shown.out == ""


def test_a_file_without_a_length_is_read_to_its_end(start):
    assert get(start("no_length"), size=None) == CONTENT


def test_a_redirect_is_followed(start):
    assert get(start(f"to {start('whole').base}file.bin")) == CONTENT


# What breaks off and goes on


@pytest.mark.smoke
def test_a_cut_transfer_goes_on_where_it_was_and_each_byte_is_sent_once(start):
    server = start("cut")
    assert get(server) == CONTENT
    assert server.ranges == [None, "bytes=30000-", "bytes=60000-", "bytes=90000-"]
    assert server.sent == SIZE


@pytest.mark.parametrize("cut", ["cut", "no_length_cut"])
def test_what_is_cut_is_noticed_by_the_size(start, cut):
    server = start(cut, "whole")
    assert get(server) == CONTENT
    assert server.ranges == [None, "bytes=30000-"]


def test_of_an_endless_answer_no_more_is_read_than_the_file(start):
    server = start("endless")
    assert get(server) == CONTENT
    assert server.sent < 150 * SIZE


def test_a_later_call_goes_on_also_at_another_address(start):
    begin(start("cut", 404))
    server = start("whole")
    assert get(server) == CONTENT
    assert server.ranges == ["bytes=30000-"]
    assert held() == ["file.bin"]


def test_a_server_without_ranges_sends_the_file_anew(start):
    server = start("no_ranges_cut", "no_ranges")
    assert get(server) == CONTENT
    assert server.ranges == [None, "bytes=30000-"]


def test_a_stalled_transfer_is_tried_again_where_it_was(start, monkeypatch):
    monkeypatch.setattr(fetching, "_TIMEOUT", 0.5)
    server = start("stalled", "whole")
    assert get(server) == CONTENT
    assert server.ranges[:2] == [None, "bytes=30000-"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_last_server_in_trouble_is_asked_again(start, status):
    assert get(start(status, status, "whole")) == CONTENT


def test_a_bad_first_piece_is_noticed_and_everything_fetched_again(start):
    begin(start("wrong_cut", 404))
    server = start("whole")
    assert get(server) == CONTENT
    assert server.ranges == ["bytes=30000-", None]


@pytest.mark.parametrize("fault", ["other_part", "not_satisfiable"])
def test_a_server_that_answers_ranges_wrongly_is_asked_for_the_whole(start, fault):
    begin(start("cut", 404))
    server = start(fault, "no_ranges")
    assert get(server) == CONTENT
    assert server.ranges == ["bytes=30000-", None]


def test_a_part_that_is_complete_is_placed(start):
    downloads_folder().mkdir()
    (downloads_folder() / "file.bin.part").write_bytes(CONTENT)
    assert get(start("not_satisfiable")) == CONTENT


@pytest.mark.parametrize("fault", ["short", "short_part", "page", 404])
def test_an_address_with_another_file_does_not_cost_what_has_arrived(start, fault):
    begin(start("cut", 404))
    with pytest.raises(ConnectionError):
        get(start(fault))
    assert (downloads_folder() / "file.bin.part").read_bytes() == CONTENT[:30_000]


# Several addresses


@pytest.mark.parametrize(
    "fault", [404, 500, "silent", "stalled", "trickling", "wrong", "short", "page", "wrong_cut"]
)
def test_an_address_that_fails_is_left_for_the_next(start, monkeypatch, fault):
    if fault in ("silent", "stalled"):
        monkeypatch.setattr(fetching, "_TIMEOUT", 0.5)
    monkeypatch.setattr(fetching, "_SECONDS", 0.2)
    bad, good = start(fault), start("whole")
    assert get(bad, good) == CONTENT
    assert bad.ranges == [None]
    assert held() == ["file.bin"]


def test_a_cut_address_that_was_fast_is_asked_on(start, monkeypatch):
    monkeypatch.setattr(fetching, "_LEAST_BYTES", 10_000)
    first, second = start("cut"), start("whole")
    assert get(first, second) == CONTENT
    assert (first.sent, second.sent) == (SIZE, 0)


def test_the_last_address_is_never_left_for_slowness(start, monkeypatch):
    monkeypatch.setattr(fetching, "_SECONDS", 0.01)
    assert get("http://127.0.0.1:9/file.bin", start("slow")) == CONTENT


def test_mirrors_are_asked_before_the_published_addresses(start, monkeypatch):
    mirror, own = start(404, "whole"), start(404)
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", mirror.base)
    with pytest.raises(ConnectionError, match=f"{mirror.base}file.bin: HTTP 404.*; {own.base}file.bin: HTTP 404"):
        get(own)
    assert fetch(remote(own)).source == f"the mirror {mirror.base}"
    assert len(own.ranges) == 1


# What fails: nothing is placed, and the message says why and what to do


@pytest.mark.parametrize(
    ("plan", "message", "requests"),
    [
        ("wrong", f"wrong checksum, not sha256:{SHA256}, so what came was deleted", 1),
        ("short", "another file, of 60000 bytes in place of 100000", 1),
        ("page", "a web page came in place of the file", 1),
        (404, "HTTP 404 Not Found", 1),
        (500, "HTTP 500 Internal Server Error", 3),
        ("no_ranges_cut", "cut off after 30,000 of 100,000 bytes|IncompleteRead", 4),
        ("silent", r"stalled: nothing came for 0\.3 s", 3),
        ("to file:///etc/passwd", "No connection adapters were found", 1),
        ("to ftp://127.0.0.1/file.bin", "No connection adapters were found", 1),
        ("to /file.bin", "Exceeded 30 redirects", 31),
    ],
)
def test_a_fault_has_its_message_and_leaves_no_file(start, monkeypatch, plan, message, requests):
    monkeypatch.setattr(fetching, "_TRIES", 3)
    if plan == "silent":
        monkeypatch.setattr(fetching, "_TIMEOUT", 0.3)
    server = start(plan)
    with pytest.raises(ConnectionError, match=message) as caught:
        get(server)
    assert str(caught.value).startswith(f"file.bin could not be downloaded. {server.base}file.bin: ")
    assert (
        f"By hand: get this file on another network or from a colleague and put it into {downloads_folder()}, or"
        in str(caught.value)
    )
    assert len(server.ranges) == requests
    assert held() == (["file.bin.part"] if plan == "no_ranges_cut" else [])


def test_a_closed_port_is_a_fault_like_others_and_leaves_no_progress_bar(start, capsys):
    with pytest.raises(ConnectionError, match="refused"):
        get("http://127.0.0.1:9/file.bin")
    assert capsys.readouterr().err.rpartition("\r")[2] == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_says_what_to_do_and_is_not_tried_again(start):
    server = start("whole")
    downloads_folder().mkdir()
    (downloads_folder() / "file.bin.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*Free some space.*KERASCV_COURSE_CACHE") as caught:
        get(server)
    assert not isinstance(caught.value, ConnectionError)
    assert len(server.ranges) == 1
    assert held() == []
    assert get(server) == CONTENT  # once there is space


def test_a_folder_that_cannot_be_made_is_named(start, monkeypatch, tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    monkeypatch.setenv("KERASCV_COURSE_CACHE", str(tmp_path / "taken"))
    with pytest.raises(OSError, match=r"taken.*cannot be written.*KERASCV_COURSE_CACHE"):
        get(start("whole"))


def test_a_damaged_file_at_the_place_is_left_alone_and_named(start):
    downloads_folder().mkdir()
    (downloads_folder() / "file.bin").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"file\.bin is damaged.*Delete it"):
        get(start("whole"))
    assert (downloads_folder() / "file.bin").read_bytes() == b"mine"


# Two processes


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def in_another_process(server):
    script = (
        "import sys\nfrom kerascv_course.datasets.fetching import RemoteFile, fetch\n"
        "print(fetch(RemoteFile('a file', 'file.bin', (sys.argv[1],), (), sys.argv[2], int(sys.argv[3]))).path)"
    )
    command = [sys.executable, "-c", script, f"{server.base}file.bin", f"sha256:{SHA256}", str(SIZE)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_two_processes_one_fetches_and_both_have_the_file(start, capsys):
    server, shown = start("gated"), []
    process = in_another_process(server)
    wait_until(lambda: server.ranges)
    results = []
    waiting = threading.Thread(target=lambda: results.append(get(server)))
    waiting.start()
    wait_until(lambda: shown.append(capsys.readouterr().err) or "another process fetches it" in "".join(shown))
    server.gate.set()
    waiting.join(60)
    assert process.communicate(timeout=60)[0].strip() == str(downloads_folder() / "file.bin")
    assert results == [CONTENT]
    assert server.ranges == [None]
    assert held() == ["file.bin"]


def test_a_killed_process_leaves_what_the_next_one_goes_on_with(start):
    server = start("gated", "whole")
    process = in_another_process(server)
    part = downloads_folder() / "file.bin.part"
    wait_until(lambda: part.is_file() and part.stat().st_size > 30_000)
    process.kill()
    process.communicate()
    assert held() == ["file.bin.part"]
    arrived = part.stat().st_size
    assert get(server) == CONTENT
    assert server.ranges == [None, f"bytes={arrived}-"]


# Checksums of files that have no published one


def test_without_a_published_checksum_that_of_the_mirror_decides(start, monkeypatch):
    wrong, right = start("wrong"), start("whole")
    for mirror in (wrong, right):
        mirror.sums = f"{'0' * 64}  other/file.bin\n{SHA256}  file.bin\n"
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"{wrong.base} {right.base}")
    found = fetch(remote(start(404), checksum="", size=None))
    assert found.path.read_bytes() == CONTENT
    assert (found.source, found.checked) == (f"the mirror {right.base}", "the SHA256SUMS of the mirror")


def test_the_published_checksum_counts_for_more_than_that_of_a_mirror(start, monkeypatch):
    mirror = start("wrong")
    mirror.sums = f"{hashlib.sha256(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])).hexdigest()}  file.bin\n"
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", mirror.base)
    with pytest.raises(ConnectionError, match="wrong checksum, not md5"):
        get(start(404), checksum=f"md5:{MD5.hexdigest()}")


@pytest.mark.parametrize("in_one_header", [True, False])
def test_else_the_checksum_that_the_host_states_decides(start, in_one_header):
    """Also where the host is busy when it is asked first."""
    stated = ["crc32c=Fr7Pmw==", f"md5={base64.b64encode(MD5.digest()).decode()}"]
    wrong, right = start("wrong"), start("whole")
    for server in (wrong, right):
        server.headers = [("x-goog-hash", text) for text in ([",".join(stated)] if in_one_header else stated)]
    right.is_busy = True
    found = fetch(remote(wrong, right, checksum="", size=None))
    assert found.path.read_bytes() == CONTENT
    assert found.checked == "the checksum that the host states"


def test_a_file_that_nobody_vouches_for_is_fetched_whole_and_said_to_be_unchecked(start):
    begin(start("cut", 404))
    server = start("whole")
    found = fetch(remote(server, checksum="", size=None))
    assert found.path.read_bytes() == CONTENT
    assert found.checked == ""
    assert server.ranges == [None]  # nothing is put behind a piece of an earlier call


def test_of_an_unchecked_file_no_other_part_is_taken_than_was_asked_for(start):
    assert get(start("cut", "other_part", "whole"), checksum="", size=None) == CONTENT


# Certificates


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that nobody trusts, made for one test."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl")
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", file], check=True, capture_output=True)
    return file, key


def secure(server, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.base = server.base.replace("http:", "https:")
    return server


def test_a_certificate_that_nobody_vouches_for_is_refused(start, certificate):
    server = secure(start("whole"), certificate)
    with pytest.raises(ConnectionError, match=r"self.signed certificate"):
        get(server)
    assert server.ranges == []


def test_https_never_leads_to_http(start, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    there = start("whole")
    with pytest.raises(ConnectionError, match=f"leads to {there.base}file.bin, which is not followed"):
        get(secure(start(f"to {there.base}file.bin"), certificate))
    assert there.ranges == []
    secured = secure(start("whole"), certificate)
    assert get(start(f"to {secured.base}file.bin")) == CONTENT  # the other way round is fine


# What is known


def test_cifar10_is_described_as_keras_does_and_asked_for_at_the_official_host_last():
    file = Path(importlib.util.find_spec("keras").origin).parent / "src" / "datasets" / "cifar10.py"
    if not file.is_file():
        pytest.skip("this Keras keeps its sources elsewhere")
    source = file.read_text()  # importing it would take seconds
    assert CIFAR10.checksum.removeprefix("sha256:") in source
    assert CIFAR10.addresses[-1] in source
    assert {address.rpartition("/")[2] for address in CIFAR10.addresses} == {CIFAR10.path}


def test_copies_are_found_where_programs_and_people_put_them(start, monkeypatch, tmp_path):
    places = [
        tmp_path / "data" / "file.bin",
        tmp_path / "keras" / "datasets" / "file.bin",
        downloads_folder() / "file.bin",
    ]
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "data"))
    assert find_copies(remote()) == []
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
    assert find_copies(remote()) == places


def test_mirrors_are_separated_by_spaces_or_commas(monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", " http://a:1/x,HTTPS://b\n, http://[::1]:8/ ")
    assert mirror_addresses() == ["http://a:1/x/", "HTTPS://b/", "http://[::1]:8/"]


@pytest.mark.parametrize(
    "address",
    [
        "192.168.1.20:8000",
        "ftp://a/",
        "http://",
        "http://user:secret@a/",
        "http://a:port/",
        "http://[::1/",
        "http://a/?b=c",
        "http://a/#b",
        "http://\u0430/",
    ],
)
def test_a_mirror_that_is_no_base_address_is_refused(start, monkeypatch, address):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"http://good/ {address}")
    server = start("whole")
    with pytest.raises(ValueError, match=r"`KERASCV_COURSE_MIRRORS` of `fetch` .* is none; correct this"):
        get(server)
    assert server.ranges == []
