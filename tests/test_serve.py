"""Bundles, and the server that hands them to a class."""

import functools
import hashlib
import http.client
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kerascv_course.datasets import bundle as bundle_module
from kerascv_course.datasets import catalogue
from kerascv_course.datasets.bundle import fetch_weights, list_mirrored_weights, make_bundle, read_bundle
from kerascv_course.datasets.catalogue import RemoteFile, fetch
from kerascv_course.datasets.serve import BundleServer
from kerascv_course.datasets.web import Patience

CONTENT = hashlib.shake_128(b"data").digest(50_000)
WEIGHTS = hashlib.shake_128(b"weights").digest(2_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def at_hand(monkeypatch, tmp_path):
    """A machine with one small data file, which stands for CIFAR-10, and one file of weights."""
    remote = RemoteFile("cifar10", "small", "data.bin", "http://127.0.0.1:9/data.bin", len(CONTENT), SHA256)
    monkeypatch.setitem(catalogue.REMOTE_FILES, "cifar10", remote)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for file, content in (
        ("data/data.bin", CONTENT),
        ("keras/models/net.h5", WEIGHTS),
        ("keras/models/a.txt", b"a"),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    return tmp_path


@pytest.fixture
def bundle(at_hand):
    make_bundle(at_hand / "bundle")
    (at_hand / "bundle" / "private.txt").write_text("secret")
    (at_hand / "secret.txt").write_text("secret")
    return at_hand / "bundle"


@pytest.fixture
def server(bundle):
    with BundleServer(bundle, host="127.0.0.1", port=0) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def ask(server, path="/data.bin", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


# The bundle


@pytest.mark.smoke
def test_a_bundle_holds_data_weights_and_their_checksums(at_hand):
    files = make_bundle(at_hand / "new" / "bundle")
    folder = at_hand / "new" / "bundle"
    assert [(file.name, file.size) for file in files] == [("data.bin", 50_000), ("models/net.h5", 2_000)]
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert (folder / "models" / "net.h5").read_bytes() == WEIGHTS
    weights_sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert (
        folder / "SHA256SUMS"
    ).read_bytes() == f"{SHA256}  data.bin\n{weights_sha256}  models/net.h5\n".encode()
    assert sorted(path.name for path in folder.rglob("*")) == ["SHA256SUMS", "data.bin", "models", "net.h5"]
    assert read_bundle(folder) == files


def test_a_second_bundling_copies_only_what_is_not_right(at_hand):
    make_bundle(at_hand / "bundle")
    kept = (at_hand / "bundle" / "data.bin").stat()
    (at_hand / "bundle" / "models" / "net.h5").write_bytes(b"damaged")
    make_bundle(at_hand / "bundle")
    assert (at_hand / "bundle" / "data.bin").stat().st_mtime_ns == kept.st_mtime_ns
    assert len(read_bundle(at_hand / "bundle")) == 2


def test_a_copied_bundle_is_a_data_folder(at_hand, monkeypatch):
    make_bundle(at_hand / "bundle")
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(at_hand / "bundle"))
    assert next(catalogue.find_copies("cifar10")) == at_hand / "bundle" / "data.bin"


def test_a_damaged_data_file_is_not_bundled(at_hand):
    (at_hand / "data" / "data.bin").write_bytes(bytes(len(CONTENT)))
    with pytest.raises(ValueError, match=r"`folder` of `make_bundle` .*data\.bin at hand is damaged.*Delete"):
        make_bundle(at_hand / "bundle")
    assert not (at_hand / "bundle").exists()


def test_a_right_copy_is_bundled_where_another_is_damaged(at_hand):
    (at_hand / "data" / "data.bin").rename(at_hand / "right")
    (at_hand / "data" / "data.bin").write_bytes(bytes(len(CONTENT)))
    (at_hand / "keras" / "datasets").mkdir()
    (at_hand / "right").rename(at_hand / "keras" / "datasets" / "data.bin")
    make_bundle(at_hand / "bundle")
    assert (at_hand / "bundle" / "data.bin").read_bytes() == CONTENT


def test_with_nothing_at_hand_there_is_no_bundle(at_hand, monkeypatch):
    (at_hand / "data" / "data.bin").unlink()
    monkeypatch.setenv("KERAS_HOME", str(at_hand / "nowhere"))
    with pytest.raises(
        FileNotFoundError, match=r"neither a data file nor weights are at hand.*data fetch cifar10"
    ):
        make_bundle(at_hand / "bundle")


@pytest.mark.parametrize(
    ("folder", "error", "message"),
    [
        (None, TypeError, r"`folder` of `make_bundle` .* a path"),
        ("", ValueError, r"`folder` of `make_bundle` .* a folder"),
        ("data/data.bin", ValueError, r"`folder` of `make_bundle` .*data\.bin"),
    ],
)
def test_make_bundle_refuses_what_is_no_folder(at_hand, monkeypatch, folder, error, message):
    monkeypatch.chdir(at_hand)
    with pytest.raises(error, match=message):
        make_bundle(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "SHA256SUMS is empty"),
        ([f"{SHA256} data.bin"], "line 1 of SHA256SUMS is not"),
        (["abc  data.bin"], "line 1 of SHA256SUMS is not"),
        ([f"{SHA256}  data.bin", f"{SHA256}  data.bin"], "line 2 of SHA256SUMS is not .* new name"),
        ([f"{SHA256}  ../secret.txt"], r"line 1 .*\.\./secret\.txt"),
        ([f"{SHA256}  models/../../secret.txt"], "line 1 of SHA256SUMS is not"),
        ([f"{SHA256}  /etc/passwd"], "line 1 of SHA256SUMS is not"),
        ([f"{SHA256}  C:/secret.txt"], "line 1 of SHA256SUMS is not"),
        ([f"{SHA256}  models\\net.h5"], "line 1 of SHA256SUMS is not"),
        ([f"{SHA256}  SHA256SUMS"], "line 1 of SHA256SUMS is not"),
        ([f"{SHA256}  .hidden"], "line 1 of SHA256SUMS is not"),
        ([f"{SHA256}  missing.bin"], "missing.bin is missing"),
        ([f"{SHA256}  models"], "models is missing"),
        ([f"{SHA256}  private.txt"], "private.txt has another checksum"),
        ([f"{'0' * 64}  data.bin", f"{SHA256}  b"], "data.bin has another checksum; b is missing"),
    ],
)
def test_a_bundle_that_is_not_as_listed_is_refused(bundle, lines, message):
    (bundle / "SHA256SUMS").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(ValueError, match=message):
        read_bundle(bundle)
    with pytest.raises(ValueError, match=message):
        BundleServer(bundle, host="127.0.0.1", port=0)


def link(path, target):
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("no symbolic links here")


def test_symbolic_links_are_refused(bundle, at_hand):
    link(bundle / "link.bin", at_hand / "data" / "data.bin")
    (bundle / "SHA256SUMS").write_text(f"{SHA256}  link.bin\n")
    with pytest.raises(ValueError, match=r"link\.bin is missing or a symbolic link"):
        read_bundle(bundle)
    link(bundle / "folder", at_hand / "data")
    (bundle / "SHA256SUMS").write_text(f"{SHA256}  folder/data.bin\n")
    with pytest.raises(ValueError, match=r"folder/data\.bin is missing or a symbolic link"):
        read_bundle(bundle)


def test_the_bundle_itself_may_lie_behind_a_link(bundle, at_hand):
    link(at_hand / "linked", bundle)
    assert len(read_bundle(at_hand / "linked")) == 2


@pytest.mark.parametrize("folder", ["", "nowhere", "data", "data/data.bin"])
def test_what_is_no_bundle_is_refused(at_hand, monkeypatch, folder):
    monkeypatch.chdir(at_hand)
    with pytest.raises(
        FileNotFoundError, match=r"`folder` of `read_bundle` must be (an existing folder|a bundle)"
    ):
        read_bundle(folder)


# The server


@pytest.mark.smoke
def test_files_of_the_bundle_are_served_with_size_type_and_checksum(server):
    response, content = ask(server)
    assert response.status == 200
    assert content == CONTENT
    assert response.headers["Content-Length"] == "50000"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"] == f'"{SHA256}"'
    assert ask(server, "/models/net.h5")[1] == WEIGHTS
    assert ask(server, "/models%2Fnet.h5?a=b")[1] == WEIGHTS


def test_head_has_the_headers_without_the_content(server):
    response, content = ask(server, method="HEAD")
    assert (response.status, response.headers["Content-Length"], content) == (200, "50000", b"")
    assert ask(server, "/", "HEAD")[1] == b""


def test_the_index_names_the_files_and_the_setting_and_no_more(server, bundle):
    text = ask(server, "/")[1].decode()
    assert f"KERASCV_COURSE_MIRRORS=http://127.0.0.1:{server.server_port}/\n" in text
    assert "50,000  data.bin" in text
    assert "2,000  models/net.h5" in text
    assert "private" not in text
    assert ask(server, "/SHA256SUMS")[1] == (bundle / "SHA256SUMS").read_bytes()


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=49999-", 49_999, 50_000),
        ("bytes=100-999999", 100, 50_000),
        ("bytes=-10", 49_990, 50_000),
        ("bytes=1-", 1, 50_000),
    ],
)
def test_a_range_is_sent_alone(server, asked, first, end):
    response, content = ask(server, Range=asked)
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{end - 1}/50000"
    assert content == CONTENT[first:end]
    assert ask(server, method="HEAD", Range=asked)[0].headers["Content-Length"] == str(end - first)


@pytest.mark.parametrize("asked", ["bytes=50000-", "bytes=50000-50001", "bytes=-0", f"bytes={'9' * 18}-"])
def test_a_range_behind_the_end_is_416(server, asked):
    response, content = ask(server, Range=asked)
    assert (response.status, response.headers["Content-Range"], content) == (416, "bytes */50000", b"")


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=a-b", "lines=1-2", "bytes=5-4", "bytes=0-1,3-4", "", "bytes=-99999", "bytes=٣-"]
)
def test_other_ranges_are_the_whole_file(server, asked):
    response, content = ask(server, Range=asked.encode())
    assert (response.status, content) == (200, CONTENT)


def test_a_range_of_an_earlier_version_is_the_whole_file(server):
    assert ask(server, Range="bytes=5-", If_Range='"older"')[0].status == 200
    assert ask(server, Range="bytes=5-", If_Range=f'"{SHA256}"')[0].status == 206


@pytest.mark.parametrize(
    "path",
    [
        "/private.txt",
        "/../secret.txt",
        "/models/../private.txt",
        "/models/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "//etc/passwd",
        "/models",
        "/models/",
        "/data.bin/",
        "/data.bin%00",
        "/DATA.BIN.part",
        "/%ff",
        "/./data.bin",
        "http:/etc/passwd",
    ],
)
def test_nothing_but_the_listed_files_is_served(server, path):
    response, content = ask(server, path)
    assert response.status == 404
    assert b"secret" not in content
    assert b"root" not in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MOVE"])
def test_only_get_and_head_are_answered(server, bundle, method):
    before = sorted(bundle.rglob("*"))
    response, _ = ask(server, method=method)
    assert response.status in (405, 501)
    if response.status == 405:
        assert response.headers["Allow"] == "GET, HEAD"
    assert sorted(bundle.rglob("*")) == before
    assert (bundle / "data.bin").read_bytes() == CONTENT


def test_a_file_that_became_a_link_is_not_served(server, bundle, at_hand):
    (bundle / "data.bin").unlink()
    assert ask(server)[0].status == 404
    link(bundle / "data.bin", at_hand / "data" / "data.bin")
    assert ask(server)[0].status == 404


def test_a_fetch_from_the_server_is_resumed(server, monkeypatch, own_cache_folder):
    lines = []
    server.show = lines.append
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", server.address)
    (own_cache_folder / "downloads").mkdir()
    (own_cache_folder / "downloads" / "data.bin.0.part").write_bytes(CONTENT[:20_000])
    shown = []
    assert fetch("cifar10", show=lambda done, total: shown.append(done)).read_bytes() == CONTENT
    assert min(shown) > 20_000
    assert lines == ['127.0.0.1  "GET /data.bin HTTP/1.1" 206 -']


def test_150_clients_at_once_all_have_the_right_file(server):
    together = threading.Barrier(150)

    def client(number):
        together.wait(60)
        return hashlib.sha256(ask(server)[1]).hexdigest()

    with ThreadPoolExecutor(150) as pool:
        assert list(pool.map(client, range(150))) == [SHA256] * 150


def test_a_client_that_hangs_up_or_stays_silent_does_not_stop_the_others(server, capfd):
    silent = socket.create_connection(("127.0.0.1", server.server_port))
    for _ in range(5):
        rude = socket.create_connection(("127.0.0.1", server.server_port))
        rude.sendall(b"GET /data.bin HTTP/1.1\r\n\r\n")
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # hang up at once
        rude.close()
    assert ask(server)[1] == CONTENT
    silent.close()
    assert capfd.readouterr().err == ""


def test_what_clients_send_cannot_steer_the_screen(server):
    lines = []
    server.show = lines.append
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        client.sendall(b"GET /\x1b[2J HTTP/1.1\r\n\r\n")
        while client.recv(4096):
            pass
    assert "\x1b" not in "".join(lines)
    assert "GET /?[2J" in "".join(lines)


def test_a_server_on_all_networks_names_an_address_that_others_can_reach(bundle):
    with BundleServer(bundle, port=0) as server:
        assert server.address.startswith("http://")
        assert server.address.endswith(f":{server.server_port}/")
        assert "0.0.0.0" not in server.address


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"port": -1}, ValueError, r"`port` of `BundleServer` .* from 0 to 65535"),
        ({"port": 65536}, ValueError, r"`port` of `BundleServer` .*port=65536"),
        ({"port": "8000"}, TypeError, r"`port` of `BundleServer` .* whole number"),
        ({"host": ""}, TypeError, r"`host` of `BundleServer`"),
        ({"host": "192.0.2.1", "port": 0}, OSError, r"`host and port` of `BundleServer` .* of this machine"),
    ],
)
def test_the_server_refuses_an_address_that_it_cannot_have(bundle, options, error, message):
    with pytest.raises(error, match=message):
        BundleServer(bundle, **options)


@pytest.mark.skipif(os.name == "nt", reason="says it in other words")
def test_a_port_that_is_taken_is_named(server, bundle):
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{server.server_port}.*in use.*--port"):
        BundleServer(bundle, host="127.0.0.1", port=server.server_port)


# The weights of a mirror


@pytest.fixture
def student(server, monkeypatch, tmp_path):
    """The machine of a student who was told the address of the server."""
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", server.address)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "student"))
    return tmp_path / "student" / "models"


@pytest.mark.smoke
def test_weights_of_a_mirror_come_into_keras_cache_once(server, student):
    (weights,) = list_mirrored_weights()
    path = fetch_weights(weights)
    assert path == student / "net.h5"
    assert path.read_bytes() == WEIGHTS
    assert [file.name for file in student.iterdir()] == ["net.h5"]
    lines = []
    server.show = lines.append
    assert fetch_weights(weights) == path
    assert lines == []


def test_other_weights_at_the_place_are_left_alone_and_named(student):
    student.mkdir(parents=True)
    (student / "net.h5").write_bytes(b"my own")
    (weights,) = list_mirrored_weights()
    with pytest.raises(ValueError, match=r"`target` of `download` .*net\.h5.*What lies there is not it"):
        fetch_weights(weights)
    assert (student / "net.h5").read_bytes() == b"my own"


def test_weights_that_are_not_as_the_mirror_lists_them_are_not_kept(server, student, bundle):
    (bundle / "models" / "net.h5").write_bytes(bytes(len(WEIGHTS)))
    (weights,) = list_mirrored_weights()
    with pytest.raises(ConnectionError, match="wrong checksum"):
        fetch_weights(weights)
    assert list(student.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["models/../../net.h5", "/models/net.h5", "models/a/net.h5", "models/.h5", "models\\net.h5", "models/a.py"],
)
def test_what_is_no_plain_weight_file_of_the_folder_models_is_not_fetched(server, student, monkeypatch, name):
    monkeypatch.setattr(server.RequestHandlerClass, "_checksums", lambda handler: f"{SHA256}  {name}\n")
    with pytest.raises(ConnectionError, match=r"its SHA256SUMS lists no weights.*By hand: .*student.models"):
        list_mirrored_weights()


def test_each_mirror_without_weights_is_named_and_the_next_one_asked(server, student, monkeypatch):
    monkeypatch.setattr(bundle_module, "ask", functools.partial(bundle_module.ask, patience=Patience(tries=1)))
    dead = f"http://127.0.0.1:9/ {server.address}none/"
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", dead)
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9/SHA256SUMS: .*none/SHA256SUMS: HTTP 404"):
        list_mirrored_weights()
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"{dead} {server.address}")
    assert [weights.file_name for weights in list_mirrored_weights()] == ["net.h5"]


def test_without_a_mirror_there_are_no_weights_to_fetch(monkeypatch):
    monkeypatch.delenv("KERASCV_COURSE_MIRRORS", raising=False)
    with pytest.raises(ValueError, match=r"`KERASCV_COURSE_MIRRORS` of `fetch` must be the address of a mirror"):
        list_mirrored_weights()
