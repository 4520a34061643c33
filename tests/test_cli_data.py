"""`kerascv-course data`: what it prints, where files come, and its exit statuses."""

import hashlib
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kerascv_course import cli
from kerascv_course.cli import data
from kerascv_course.datasets import fetching, weights
from kerascv_course.datasets.fetching import RemoteFile

CONTENT = hashlib.shake_128(b"data").digest(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NET = hashlib.shake_128(b"net").digest(10_000)
NET_SHA256 = hashlib.sha256(NET).hexdigest()


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """A bare machine without network on which two small files stand for CIFAR-10 and for weights."""
    address = "http://127.0.0.1:9/data.bin"
    archive = RemoteFile(
        "a small set", "data.bin", (address,), ("datasets/data.bin",), f"sha256:{SHA256}", len(CONTENT)
    )
    net = RemoteFile("a small net", "models/net.h5", (address,), ("models/net.h5",))
    monkeypatch.setattr(weights, "WEIGHTS", {"net": net})
    monkeypatch.setattr(data, "FILES", {"cifar10": archive, "net": net})
    monkeypatch.setattr(fetching, "_TRIES", 1)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.delenv("KERASCV_COURSE_MIRRORS", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def downloads(own_cache_folder):
    return own_cache_folder / "downloads"


def run(capsys, *words):
    """Return status, output and errors of `kerascv-course data` with these words."""
    status = cli.main(["data", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.smoke
def test_list_says_what_is_known_and_how_to_get_it(capsys, downloads):
    assert run(capsys, "list") == (
        0,
        f"Downloads folder: {downloads}\n"
        "cifar10: a small set\n"
        "  not at hand: kerascv-course data fetch cifar10\n"
        "net: a small net\n"
        "  not at hand: kerascv-course data fetch net\n",
        "",
    )


def test_list_says_where_the_files_are(capsys, folder, downloads):
    archive, net = put(downloads / "data.bin"), put(folder / "keras" / "models" / "net.h5", bytes(1_200_000))
    own = put(folder / "keras" / "models" / "own.weights.h5", bytes(2_500_000))
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert f"a small set\n  {archive}, 0.1 MB\nnet: a small net\n  {net}, 1.2 MB\n" in out
    assert out.endswith(f"Other weights:\n  {own}, 2.5 MB\n")


def test_list_knows_other_forms_of_cifar10(capsys, folder, monkeypatch):
    (folder / "data" / "cifar10" / "train").mkdir(parents=True)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(folder / "data"))
    assert (
        f"in another form, which `load_cifar10` reads: {folder / 'data' / 'cifar10'}\n" in run(capsys, "list")[1]
    )


def test_list_says_that_the_data_folder_does_not_exist(capsys, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_DATA", "nowhere")
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert "`KERASCV_COURSE_DATA` of `find_cifar10` must be an existing folder" in out


class Quiet(SimpleHTTPRequestHandler):
    """What `python -m http.server` runs, without its log."""

    def log_message(self, *args):
        pass


@pytest.mark.smoke
def test_a_class_fetches_from_the_folder_of_one_who_has_the_files(capsys, downloads, folder, monkeypatch):
    put(downloads / "data.bin")
    put(downloads / "models" / "net.h5", NET)
    assert run(capsys, "list", "--checksums")[0] == 0
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=downloads)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("KERASCV_COURSE_CACHE", str(folder / "student"))
        monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"http://127.0.0.1:{server.server_address[1]}")
        status, out, err = run(capsys, "fetch")
        server.shutdown()
    archive, net = (
        folder / "student" / "downloads" / "data.bin",
        folder / "student" / "downloads" / "models" / "net.h5",
    )
    assert (status, out) == (
        0,
        f"Complete, compared with the published checksum: {archive}\n"
        f"Complete, compared with the SHA256SUMS of the mirror: {net}\n",
    )
    assert "data.bin: 100%" in err
    assert archive.read_bytes() == CONTENT
    assert net.read_bytes() == NET
    assert run(capsys, "fetch", "net") == (0, f"At hand already: {net}\n", "")


def test_fetch_copies_what_is_right_elsewhere_on_the_machine(capsys, folder, downloads):
    copy = put(folder / "keras" / "datasets" / "data.bin")
    assert run(capsys, "fetch", "cifar10") == (0, f"Copied from {copy}: {downloads / 'data.bin'}\n", "")
    assert (downloads / "data.bin").read_bytes() == CONTENT


def test_fetch_that_fails_says_why_and_what_to_do_by_hand(capsys, folder, downloads):
    put(folder / "keras" / "datasets" / "data.bin", b"damaged")
    status, out, err = run(capsys, "fetch")
    assert (status, out) == (1, "")
    assert "data.bin could not be downloaded. http://127.0.0.1:9/data.bin: " in err
    assert "By hand: get this file on another network" in err
    assert "Traceback" not in err


def test_checksums_are_those_of_sha256sum_and_leave_out_what_is_not_known(capsys, downloads):
    put(downloads / "data.bin")
    put(downloads / "models" / "net.h5", NET)
    put(downloads / "mine.txt")
    status, out, _ = run(capsys, "list", "--checksums")
    assert status == 0
    assert out.endswith(f"2 checksums: {downloads / 'SHA256SUMS'}\n")
    assert (downloads / "SHA256SUMS").read_bytes() == f"{SHA256}  data.bin\n{NET_SHA256}  models/net.h5\n".encode()
    try:
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=downloads, check=True)
    except FileNotFoundError:
        pytest.skip("needs the program sha256sum")


@pytest.mark.parametrize(("content", "message"), [(b"damaged", "is damaged: delete it"), (None, "is empty")])
def test_no_checksums_are_written_of_a_damaged_file_or_of_nothing(capsys, downloads, content, message):
    if content:
        put(downloads / "data.bin", content)
    status, _, err = run(capsys, "list", "--checksums")
    assert status == 1
    assert message in err
    assert not (downloads / "SHA256SUMS").exists()


def test_verify_names_what_is_right_damaged_or_unchecked(capsys, folder, downloads):
    right, net = put(downloads / "data.bin"), put(downloads / "models" / "net.h5", NET)
    assert run(capsys, "verify") == (0, f"right      {right}\nunchecked  {net}: no checksum is known\n", "")
    run(capsys, "list", "--checksums")
    assert run(capsys, "verify") == (0, f"right      {right}\nright      {net}\n", "")
    wrong = put(folder / "keras" / "models" / "net.h5", CONTENT)
    out = f"right      {right}\nWRONG      {wrong}: delete it and fetch it again\nright      {net}\n"
    assert run(capsys, "verify") == (1, out, "")


def test_verify_of_nothing_says_so(capsys):
    assert run(capsys, "verify") == (0, "No data file is at hand: kerascv-course data list\n", "")


@pytest.mark.parametrize(
    ("words", "setting", "message"),
    [
        (["fetch", "cifar11"], "", "`NAME` of `data fetch` must be 'cifar10' or 'net'. Received: NAME='cifar11'."),
        (["fetch", "cifar10", ""], "", "`NAME` of `data fetch`"),
        (["fetch"], "192.168.1.20:8000", "`KERASCV_COURSE_MIRRORS` of `fetch` must be addresses of folders"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(capsys, monkeypatch, words, setting, message):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", setting)
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["delete"], ["bundle", "new"], ["verify", "x"]])
def test_words_that_do_not_parse_exit_with_2(capsys, words):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["data", *words])
