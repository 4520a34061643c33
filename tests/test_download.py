"""Downloads against a local server that fails in each way in which networks do."""

import errno
import hashlib
import importlib.util
import io
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from kerascv_course.datasets import catalogue, download, lock, web
from kerascv_course.datasets.catalogue import ProgressBar, RemoteFile, fetch, find_copies, mirror_addresses
from kerascv_course.datasets.download import Patience, is_web_address
from kerascv_course.datasets.download import download as download_file

CONTENT = hashlib.shake_128(b"a file").digest(100_000)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(timeout=0.4, window=0.3, least_rate=1e4, good_rate=1e5, tries=3, pause=0.01, abandoned=1.0)


class FaultServer(ThreadingHTTPServer):
    """Answers each request as the next plan says (the last one for all further ones), and notes what it sent."""

    daemon_threads = True

    def __init__(self, *plans):
        super().__init__(("127.0.0.1", 0), FaultHandler)
        self.plans = list(plans)
        self.ranges = []  # the Range header of each request
        self.sent = 0  # bytes of content
        self.gate = threading.Event()  # a "gated" answer waits for it in the middle
        self.address = f"http://127.0.0.1:{self.server_address[1]}/file.bin"

    def handle_error(self, request, client_address):
        pass  # clients of these tests hang up


class FaultHandler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        plan = server.plans.pop(0) if len(server.plans) > 1 else server.plans[0]
        server.ranges.append(self.headers.get("Range"))
        if isinstance(plan, int):
            self.send_error(plan)
        elif plan.startswith("to "):
            self.send_response(302)
            self.send_header("Location", plan.removeprefix("to "))
            self.end_headers()
        else:
            getattr(self, plan)()

    def do_HEAD(self):
        self.do_GET()  # a client that asks for the head alone does not read on

    def head(self, start=0, size=SIZE, length=None, content_type="application/gzip"):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Type", content_type)
        if length != "unknown":
            self.send_header("Content-Length", str(length or size - start))
        self.end_headers()

    def send(self, data):
        self.wfile.write(data)
        self.server.sent += len(data)

    def asked_start(self):
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def whole(self):  # knows ranges
        self.head(self.asked_start())
        self.send(CONTENT[self.asked_start() :])

    def cut(self):  # knows ranges too, but sends 30,000 bytes at most
        start = self.asked_start()
        self.head(start)
        self.send(CONTENT[start : start + 30_000])

    def no_ranges(self):
        self.head()
        self.send(CONTENT)

    def no_ranges_cut(self):
        self.head()
        self.send(CONTENT[:30_000])

    def no_length(self):
        self.head(length="unknown")
        self.send(CONTENT)

    def endless(self):
        self.head(length="unknown")
        for _ in range(200):
            self.send(CONTENT)

    def wrong(self):
        self.head(self.asked_start())
        self.send(CONTENT[self.asked_start() : -1] + bytes([CONTENT[-1] ^ 1]))

    def wrong_cut(self):
        self.head()
        self.send(bytes(30_000))

    def short(self):
        self.head(size=60_000)
        self.send(CONTENT[:60_000])

    def short_part(self):
        self.head(self.asked_start(), size=60_000)
        self.send(CONTENT[self.asked_start() : 60_000])

    def other_part(self):
        self.head(max(1, self.asked_start() - 10))
        self.send(CONTENT[max(1, self.asked_start() - 10) :])

    def not_satisfiable(self):
        self.send_response(416)
        self.send_header("Content-Range", "bytes */500")
        self.end_headers()

    def page(self):
        self.head(length=9, content_type="text/html")
        self.send(b"<p>Log in")

    def stalled(self):
        self.head()
        self.send(CONTENT[:30_000])
        time.sleep(1.0)

    def silent(self):
        time.sleep(1.0)

    def drip(self):
        self.head(self.asked_start())
        for _ in range(300):
            self.send(CONTENT[self.server.sent : self.server.sent + 10])
            time.sleep(0.02)

    def gated(self):
        self.head(self.asked_start())
        self.send(CONTENT[self.asked_start() : 50_000])
        self.server.gate.wait(10)
        self.send(CONTENT[50_000:])

    def gated_wrong(self):
        self.head(self.asked_start())
        self.send(CONTENT[self.asked_start() : 50_000])
        self.server.gate.wait(10)
        self.send(bytes(50_000))


@pytest.fixture
def start(monkeypatch):
    """Return a function that starts a server with these plans."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
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


def get(target, *servers, **options):
    addresses = [server if isinstance(server, str) else server.address for server in servers]
    return download_file(addresses, target, **{"size": SIZE, "sha256": SHA256, "patience": QUICK, **options})


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "file.bin"


def parts(target):
    return sorted(target.parent.glob("*.part"))


# What goes right


@pytest.mark.smoke
def test_a_file_is_placed_whole_with_its_progress_and_nothing_beside_it(start, target):
    steps = []
    assert get(target, start("whole"), show=lambda done, total: steps.append((done, total))) == target
    assert target.read_bytes() == CONTENT
    assert os.listdir(target.parent) == ["file.bin"]
    assert steps == sorted(steps)
    assert steps[-1] == (SIZE, SIZE)


def test_a_file_that_is_there_is_not_fetched_again(start, target):
    server = start("whole")
    get(target, server)
    get(target, server)
    assert len(server.ranges) == 1


def test_a_file_without_a_length_is_read_to_its_end(start, target):
    assert get(target, start("no_length")).read_bytes() == CONTENT


def test_of_an_endless_answer_no_more_is_read_than_the_file(start, target):
    server = start("endless")
    assert get(target, server).read_bytes() == CONTENT
    assert server.sent < 150 * SIZE


def test_a_redirect_is_followed(start, target):
    there = start("whole")
    assert get(target, start(f"to {there.address}")).read_bytes() == CONTENT


# What breaks off and goes on


@pytest.mark.smoke
def test_a_cut_transfer_goes_on_where_it_was_and_sends_each_byte_once(start, target):
    server = start("cut")
    assert get(target, server).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=30000-", "bytes=60000-", "bytes=90000-"]
    assert server.sent == SIZE


def test_a_later_call_transfers_only_the_rest(start, target):
    with pytest.raises(ConnectionError, match=r"HTTP 404.*30,000 bytes that arrived are kept"):
        get(target, start("cut", 404))
    assert not target.exists()
    server = start("whole")
    assert get(target, server).read_bytes() == CONTENT
    assert server.ranges == ["bytes=30000-"]
    assert server.sent == SIZE - 30_000
    assert os.listdir(target.parent) == ["file.bin"]


def test_the_rest_may_come_from_another_address(start, target):
    first, second = start("cut"), start("whole")
    assert get(target, first, second).read_bytes() == CONTENT
    assert (first.sent, second.sent) == (30_000, SIZE - 30_000)


def test_a_killed_process_leaves_what_the_next_one_goes_on_with(start, target):
    server = start("gated", "whole")
    script = (
        "import sys\nfrom kerascv_course.datasets.download import download\n"
        "download([sys.argv[1]], sys.argv[2], size=int(sys.argv[3]), sha256=sys.argv[4])"
    )
    command = [sys.executable, "-c", script, server.address, str(target), str(SIZE), SHA256]
    process = subprocess.Popen(command)
    wait_until(lambda: parts(target) and parts(target)[0].stat().st_size == 50_000, 60)
    process.kill()
    process.wait()
    assert (target.parent / "file.bin.lock").exists()  # it had no time to tidy up
    assert get(target, server).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=50000-"]
    assert os.listdir(target.parent) == ["file.bin"]


def test_a_part_that_is_complete_needs_no_network(target):
    target.parent.mkdir()
    (target.parent / "file.bin.0.part").write_bytes(CONTENT)
    assert get(target, "http://127.0.0.1:9/file.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again_cleanly(start, target):
    server = start("no_ranges_cut", "no_ranges")
    assert get(target, server).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=30000-"]


def test_of_an_older_longer_part_nothing_is_left_after_a_new_start(start, target):
    target.parent.mkdir()
    (target.parent / "file.bin.0.part").write_bytes(bytes(40_000))
    with pytest.raises(ConnectionError):
        get(target, start("no_ranges_cut"), patience=Patience(tries=1))
    assert [part.read_bytes() for part in parts(target)] == [CONTENT[:30_000]]


def test_a_server_without_ranges_that_always_cuts_is_given_up(start, target):
    server = start("no_ranges_cut")
    with pytest.raises(ConnectionError, match="cut off after 30,000 of 100,000 bytes"):
        get(target, server)
    assert len(server.ranges) == QUICK.tries


@pytest.mark.parametrize("fault", ["other_part", "not_satisfiable_here"])
def test_a_server_that_answers_ranges_wrongly_is_asked_for_the_whole(start, target, fault, monkeypatch):
    def not_satisfiable_here(self):
        self.send_error(416)

    monkeypatch.setattr(FaultHandler, "not_satisfiable_here", not_satisfiable_here, raising=False)
    server = start("cut", fault, "no_ranges")
    assert get(target, server).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=30000-", None]


def test_a_bad_first_piece_is_noticed_and_everything_fetched_again(start, target):
    bad, good = start("wrong_cut", 404), start("whole")
    with pytest.raises(ConnectionError):
        get(target, bad)
    assert get(target, good).read_bytes() == CONTENT
    assert good.ranges == ["bytes=30000-", None]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(start, target, status):
    assert get(target, start(status, status, "whole")).read_bytes() == CONTENT


def test_the_wait_between_tries_doubles(start, target, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    with pytest.raises(ConnectionError):
        get(target, start(503), patience=Patience(tries=8, pause=1))
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_question_to_a_server_in_trouble_is_asked_again(start, method, status):
    server = start(status, status, "whole")
    length, content = web.ask(server.address, method, QUICK)
    assert (length, content) == (SIZE, CONTENT if method == "GET" else b"")
    assert len(server.ranges) == 3
    assert web.ask_headers(server.address, QUICK)["Content-Type"] == "application/gzip"


@pytest.mark.parametrize(("plan", "asked"), [(404, 1), (403, 1), (503, 3), ("silent", 3)])
def test_a_question_is_given_up_after_as_many_tries_as_a_download(start, plan, asked):
    server = start(plan)
    reason = "stalled: nothing came" if plan == "silent" else f"HTTP {plan} "
    with pytest.raises(ConnectionError, match=f"{server.address}: {reason}"):
        web.ask_headers(server.address, QUICK)
    assert len(server.ranges) == asked


def test_the_wait_between_questions_doubles(start, monkeypatch):
    pauses = []
    monkeypatch.setattr(web.time, "sleep", pauses.append)
    with pytest.raises(ConnectionError):
        web.ask(start(503).address, patience=Patience(tries=8, pause=1))
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


# What fails: nothing is placed, and the message says why


@pytest.mark.parametrize(
    ("plan", "message", "requests"),
    [
        ("wrong", "wrong checksum, so what came was deleted", 1),
        ("short", "another file, of 60000 bytes in place of 100000", 1),
        ("page", "a web page came in place of the file", 1),
        (404, "HTTP 404 Not Found", 1),
        (403, "HTTP 403 Forbidden", 1),
        (500, "HTTP 500 Internal Server Error", 3),
        ("silent", r"stalled: nothing came for 0\.4 s", 3),
        ("drip", r"too slow, \d+ bytes per second", 3),
        ("to file:///etc/passwd", "Redirection to url 'file:///etc/passwd' is not allowed", 1),
        ("to ftp://127.0.0.1/file.bin", "leads to ftp://127.0.0.1/file.bin, which is not followed", 1),
        ("to /file.bin", "infinite loop", None),
    ],
)
def test_a_fault_has_its_message_and_leaves_no_file(start, target, plan, message, requests):
    server = start(plan)
    with pytest.raises(ConnectionError, match=message) as caught:
        get(target, server)
    assert f"file.bin could not be downloaded. {server.address}: " in str(caught.value)
    assert not target.exists()
    assert requests in (None, len(server.ranges))
    assert not (target.parent / "file.bin.lock").exists()
    assert bool(parts(target)) == (plan == "drip")  # only what may be of use is kept
    assert plan != "drip" or server.sent < 5000  # of the 9,000 that three patient tries would have taken


def test_a_stalled_transfer_is_given_up_and_kept(start, target):
    with pytest.raises(ConnectionError, match=r"stalled: nothing came for 0\.4 s, at 30,000 bytes"):
        get(target, start("stalled"), patience=Patience(timeout=0.4, tries=1))
    assert [part.stat().st_size for part in parts(target)] == [30_000]


@pytest.mark.parametrize("fault", ["short_part", "not_satisfiable", "page", "short", 404])
def test_a_bad_mirror_does_not_cost_what_a_good_server_sent(start, target, fault):
    first, bad = start("cut", 404), start(fault)
    with pytest.raises(ConnectionError):
        get(target, first, bad)
    assert [part.stat().st_size for part in parts(target)] == [30_000]


def test_all_addresses_and_their_faults_are_named(start, target):
    first, second = start(404), start("short")
    with pytest.raises(
        ConnectionError, match=f"{first.address}: HTTP 404.*; {second.address}: it has another file"
    ):
        get(target, first, second)


def test_a_closed_port_is_a_fault_like_others(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
    with pytest.raises(ConnectionError, match="refused"):
        get(target, address)


def test_a_full_disk_says_how_much_is_needed_and_does_not_try_again(start, target, monkeypatch):
    def write(self, file, data):
        file.write(data[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    server = start("whole")
    with monkeypatch.context() as patch:
        patch.setattr(download._Transfer, "_write", write)
        with pytest.raises(OSError, match=r"No space left.*0\.1 MB are needed.*KERASCV_COURSE_CACHE") as caught:
            get(target, server)
    assert caught.value.errno == errno.ENOSPC
    assert not isinstance(caught.value, ConnectionError)
    assert not target.exists()
    assert len(server.ranges) == 1
    assert get(target, server).read_bytes() == CONTENT  # once there is space


def test_ctrl_c_keeps_what_arrived(start, target):
    def interrupt(done, total):
        if done >= 30_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(target, start("cut"), show=interrupt)
    assert parts(target)[0].stat().st_size == 30_000
    assert not (target.parent / "file.bin.lock").exists()


# Several addresses


def test_a_slow_first_address_is_left_for_a_fast_one(start, target):
    slow, fast = start("drip"), start("whole")
    assert get(target, slow, fast, patience=Patience(timeout=2, window=0.2)).read_bytes() == CONTENT
    assert len(slow.ranges) == 1


def test_where_all_are_slow_the_fastest_is_asked_first_and_given_time(start, target):
    slow, other = start(500), start("cut")
    assert get(target, slow, other, patience=Patience(timeout=2, window=60, pause=0.01)).read_bytes() == CONTENT
    assert len(slow.ranges) == 1
    assert len(other.ranges) == 4


# Two at once


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_of_two_processes_one_transfers_and_both_have_the_file(start, target):
    server = start("gated")
    script = (
        "import sys\nfrom kerascv_course.datasets.download import download\n"
        "print(download([sys.argv[1]], sys.argv[2], size=int(sys.argv[3]), sha256=sys.argv[4]))"
    )
    command = [sys.executable, "-c", script, server.address, str(target), str(SIZE), SHA256]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: server.ranges, 60)
    shown = []
    waiting = threading.Thread(target=lambda: get(target, server, show=lambda *step: shown.append(step)))
    waiting.start()
    wait_until(lambda: (50_000, SIZE) in shown)  # it shows how far the other one is
    server.gate.set()
    waiting.join(20)
    assert process.communicate(timeout=20)[0].strip() == str(target)
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 1
    assert os.listdir(target.parent) == ["file.bin"]


def test_one_that_was_taken_for_dead_does_no_harm_when_it_wakes_up(start, target, monkeypatch):
    sleeper, server = start("gated_wrong"), start("whole")
    results = []
    monkeypatch.setattr(lock, "os", SimpleNamespace(name=os.name, utime=lambda path: None))  # no sign of life
    slow = Patience(timeout=10, abandoned=0.3)
    thread = threading.Thread(target=lambda: results.append(get(target, sleeper, patience=slow)))
    thread.start()
    wait_until(lambda: parts(target) and parts(target)[0].stat().st_size == 50_000)
    assert get(target, server, patience=slow).read_bytes() == CONTENT
    assert server.ranges == ["bytes=50000-"]
    before = target.stat().st_ino
    sleeper.gate.set()
    thread.join(20)
    assert results == [target]
    assert target.read_bytes() == CONTENT
    assert target.stat().st_ino == before
    assert os.listdir(target.parent) == ["file.bin"]


def test_one_whose_part_was_taken_over_says_so(start, target, monkeypatch):
    server = start("cut")
    with pytest.raises(ConnectionError, match=r"Another process took over the download of .*file\.bin"):
        get(
            target,
            server,
            patience=Patience(timeout=5, window=60, pause=0.4),
            show=lambda *step: [part.unlink() for part in parts(target)],
        )


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
    server.address = server.address.replace("http:", "https:")
    return server


@pytest.mark.parametrize("setting", [None, "PYTHONHTTPSVERIFY"])
def test_a_certificate_that_nobody_vouches_for_is_refused(start, target, certificate, monkeypatch, setting):
    if setting:
        monkeypatch.setenv(setting, "0")
    server = secure(start("whole"), certificate)
    with pytest.raises(ConnectionError, match=r"certificate is not valid \(self.signed certificate\)"):
        get(target, server)
    assert server.ranges == []


def test_https_never_leads_to_http(start, target, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    there = start("whole")
    with pytest.raises(ConnectionError, match=f"leads to {there.address}, which is not followed"):
        get(target, secure(start(f"to {there.address}"), certificate))
    assert there.ranges == []
    secured = secure(start("whole"), certificate)
    assert get(target, start(f"to {secured.address}")).read_bytes() == CONTENT  # the other way round is fine


def test_the_opener_knows_http_and_https_only():
    opener = web._opener()
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/a", "data:,a"):
        with pytest.raises(urllib.request.URLError, match="unknown url type"):
            opener.open(address, timeout=1)


# The catalogue


@pytest.fixture
def small_cifar10(start, monkeypatch, tmp_path):
    """Put a small file at a local address in the place of the official one."""
    server = start("whole")
    remote = RemoteFile("cifar10", "small", "file.bin", server.address, SIZE, SHA256, ("file.old",))
    monkeypatch.setitem(catalogue.REMOTE_FILES, "cifar10", remote)
    monkeypatch.setattr(
        catalogue, "download", lambda *args, **options: download_file(*args, **options, patience=QUICK)
    )
    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.delenv("KERASCV_COURSE_MIRRORS", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return server


def test_fetch_puts_the_file_into_the_downloads_folder(small_cifar10, own_cache_folder):
    path = fetch("cifar10")
    assert path == own_cache_folder / "downloads" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert list(find_copies("cifar10")) == [path]


def test_fetch_asks_the_official_address_first_and_mirrors_only_by_setting(small_cifar10, start, monkeypatch):
    small_cifar10.plans = [404]
    with pytest.raises(ConnectionError, match=r"HTTP 404.*By hand: get file\.bin.*downloads.*KERASCV_COURSE_DATA"):
        fetch("cifar10")
    mirror = start("whole")
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", mirror.address.removesuffix("/file.bin"))
    assert fetch("cifar10").read_bytes() == CONTENT
    assert len(small_cifar10.ranges) == 2
    assert len(mirror.ranges) == 1


def test_a_mirror_is_trusted_only_as_far_as_the_checksum(small_cifar10, start, monkeypatch, own_cache_folder):
    small_cifar10.plans = [404]
    mirror = start("wrong")
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", mirror.address.removesuffix("file.bin"))
    with pytest.raises(ConnectionError, match="wrong checksum"):
        fetch("cifar10")
    assert os.listdir(own_cache_folder / "downloads") == []


def test_copies_are_found_where_programs_and_people_put_them(
    small_cifar10, monkeypatch, tmp_path, own_cache_folder
):
    data = tmp_path / "data"
    expected = [
        data / "file.bin",
        tmp_path / "keras" / "datasets" / "file.old",
        own_cache_folder / "downloads/file.bin",
    ]
    for path in expected:
        path.parent.mkdir(parents=True)
        path.write_bytes(CONTENT)
    (data / "file.old").write_bytes(CONTENT[1:])  # of another size
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(data))
    assert list(find_copies("cifar10")) == expected


def test_cifar10_is_described_as_keras_does():
    remote = catalogue.REMOTE_FILES["cifar10"]
    file = Path(importlib.util.find_spec("keras").origin).parent / "src" / "datasets" / "cifar10.py"
    if not file.is_file():
        pytest.skip("this Keras keeps its sources elsewhere")
    source = file.read_text()  # importing it would take seconds
    assert remote.sha256 in source
    assert remote.address in source


def test_mirrors_are_separated_by_spaces_or_commas(monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", " http://a:1/x,https://b\n, http://[::1]:8/ ")
    assert mirror_addresses() == ["http://a:1/x/", "https://b/", "http://[::1]:8/"]


@pytest.mark.parametrize(
    "address",
    [
        "192.168.1.20:8000",
        "ftp://a/",
        "file:///a",
        "http://",
        "http://user:secret@a/",
        "http://a:port/",
        "http://a:99999/",
        "http://[::1/",
        "http://a/?b=c",
        "http://a/#b",
        "http://\u0430/",
    ],
)
def test_a_mirror_that_is_no_base_address_is_refused(small_cifar10, monkeypatch, address):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"http://good/ {address}")
    with pytest.raises(
        ValueError, match=r"`KERASCV_COURSE_MIRRORS` of `fetch` must be addresses .* is none; correct"
    ):
        fetch("cifar10")
    assert small_cifar10.ranges == []


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"addresses": []}, ValueError, r"`addresses` of `download` .*Received: addresses=\[\]"),
        ({"addresses": "http://a/b"}, ValueError, r"`addresses` .* one or more"),
        ({"addresses": ["ftp://a/b"]}, ValueError, r"`addresses` .* http or https"),
        ({"addresses": ["http://a/b", "b"]}, ValueError, r"`addresses` .* http or https"),
        ({"size": 0}, ValueError, r"`size` of `download` .* at least 1\. Received: size=0"),
        ({"size": 1.5}, TypeError, r"`size` .* whole number"),
        (
            {"sha256": "abc"},
            ValueError,
            r"`sha256` of `download` .* 64 hexadecimal digits\. Received: sha256='abc'",
        ),
        ({"sha256": None}, ValueError, r"`sha256` .* 64 hexadecimal digits"),
        ({"show": "bar"}, TypeError, r"`show` of `download` .* a function"),
    ],
)
def test_download_refuses_bad_arguments_before_any_work(target, changes, error, message):
    arguments = {"addresses": ["http://127.0.0.1:9/"], "size": 1, "sha256": SHA256, **changes}
    with pytest.raises(error, match=message):
        download_file(arguments.pop("addresses"), target, **arguments)
    assert not target.parent.exists()


@pytest.mark.parametrize("size", [5, SIZE])
def test_another_file_at_the_target_is_left_alone_and_named(target, size):
    target.parent.mkdir()
    target.write_bytes(bytes(size))
    with pytest.raises(ValueError, match=r"`target` of `download` .*100,000 bytes.*delete it"):
        get(target, "http://127.0.0.1:9/")
    assert target.read_bytes() == bytes(size)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=r"`target` of `download` .* can be written.*KERASCV_COURSE_CACHE"):
            get(folder / "file.bin", "http://127.0.0.1:9/")


@pytest.mark.parametrize("name", ["cifar11", "", None, 10])
def test_fetch_of_an_unknown_name_lists_the_known(name):
    with pytest.raises(ValueError, match=r"`name` of `fetch` must be 'cifar10'\. Received: name="):
        fetch(name)


def test_web_addresses_are_told_from_others():
    assert is_web_address("HTTPS://a.example:8/b")
    assert not is_web_address("http://a/b c")


# The bar


def test_the_bar_writes_one_line_per_percent_where_it_is_not_on_a_screen():
    stream = io.StringIO()
    with ProgressBar("a", stream) as bar:
        for done in range(1, 10_001):
            bar(done * 100, 1_000_000)
    assert stream.getvalue().count("\r") == 101
    assert stream.getvalue().startswith("\ra:   0% of 1.0 MB\ra:   1% of 1.0 MB")
    assert stream.getvalue().endswith("\ra: 100% of 1.0 MB\n")


def test_the_bar_says_how_fast_and_how_long(monkeypatch):
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr(catalogue.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with ProgressBar("a", stream) as bar:
        for done in (0, 10_000_000, 100_000_000):
            bar(done, 100_000_000)
    assert stream.getvalue().split("\r")[2] == "a:  10% of 100.0 MB, 1.00 MB/s, 1:30 to go"
    assert stream.getvalue().split("\r")[3].rstrip() == "a: 100% of 100.0 MB"  # covers the longer line before


def test_a_bar_that_showed_nothing_leaves_no_line():
    stream = io.StringIO()
    with ProgressBar("a", stream):
        pass
    assert stream.getvalue() == ""
