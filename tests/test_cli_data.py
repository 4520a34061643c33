"""`kerascv-course data`: what it prints, and its exit statuses."""

import functools
import hashlib
import os
import subprocess
import sys
import threading

import pytest

from kerascv_course import cli
from kerascv_course.datasets import catalogue
from kerascv_course.datasets.bundle import make_bundle
from kerascv_course.datasets.catalogue import RemoteFile
from kerascv_course.datasets.download import Patience
from kerascv_course.datasets.serve import BundleServer

CONTENT = hashlib.shake_128(b"data").digest(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """A bare machine on which a small file, which does not exist at its official address, stands for CIFAR-10."""
    remote = RemoteFile("cifar10", "a small set", "data.bin", "http://127.0.0.1:9/data.bin", len(CONTENT), SHA256)
    monkeypatch.setitem(catalogue.REMOTE_FILES, "cifar10", remote)
    quick = functools.partial(catalogue.download, patience=Patience(tries=1))
    monkeypatch.setattr(catalogue, "download", quick)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("KERASCV_COURSE_DATA", raising=False)
    monkeypatch.delenv("KERASCV_COURSE_MIRRORS", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def at_hand(folder, monkeypatch):
    (folder / "data").mkdir()
    (folder / "data" / "data.bin").write_bytes(CONTENT)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(folder / "data"))
    return folder / "data" / "data.bin"


def run(capsys, *words):
    """Return status, output and errors of `kerascv-course data` with these words."""
    status = cli.main(["data", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.smoke
def test_list_says_what_is_known_and_how_to_get_it(capsys):
    assert run(capsys, "list") == (
        0,
        "cifar10: a small set\n"
        "  data.bin, 0.1 MB, from http://127.0.0.1:9/data.bin\n"
        "  The file is not at hand: kerascv-course data fetch cifar10\n"
        "weights in Keras' cache: none; from a mirror: kerascv-course data fetch weights\n",
        "",
    )


def test_list_says_where_the_files_are(capsys, at_hand, folder):
    weights = folder / "keras" / "models" / "net.weights.h5"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(1_200_000))
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert f"  At hand: {at_hand}\n" in out
    assert f"weights in Keras' cache: \n  {weights}, 1.2 MB\n" in out


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


@pytest.mark.smoke
def test_fetch_bundle_and_serve_work_together(capsys, at_hand, folder, monkeypatch, own_cache_folder):
    status, out, _ = run(capsys, "bundle", "to give")
    assert status == 0
    assert "0.1 MB  data.bin" in out
    assert "kerascv-course data serve" in out
    with BundleServer("to give", host="127.0.0.1", port=0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.delenv("KERASCV_COURSE_DATA")  # the student's machine
        monkeypatch.setenv("KERASCV_COURSE_MIRRORS", server.address)
        status, out, err = run(capsys, "fetch", "cifar10")
        server.shutdown()
    path = own_cache_folder / "downloads" / "data.bin"
    assert (status, out) == (0, f"Complete, with the right checksum: {path}\n")
    assert err.endswith("cifar10: 100% of 0.1 MB\n")
    assert run(capsys, "fetch", "cifar10") == (0, f"At hand already, with the right checksum: {path}\n", "")
    assert run(capsys, "verify") == (0, f"right  {path}\n", "")


def test_fetch_weights_brings_those_of_the_mirror_into_keras_cache(capsys, at_hand, folder, monkeypatch):
    (folder / "keras" / "models").mkdir(parents=True)
    (folder / "keras" / "models" / "net.h5").write_bytes(CONTENT[:1000])
    make_bundle("to give")
    with BundleServer("to give", host="127.0.0.1", port=0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("KERAS_HOME", str(folder / "student"))
        monkeypatch.setenv("KERASCV_COURSE_MIRRORS", server.address)
        status, out, err = run(capsys, "fetch", "weights")
        server.shutdown()
    path = folder / "student" / "models" / "net.h5"
    assert (status, out) == (0, f"Complete, with the checksum of the mirror's list: {path}\n")
    assert err.endswith("net.h5: 100% of 0.0 MB\n")
    assert path.read_bytes() == CONTENT[:1000]


def test_fetch_that_fails_says_why_and_what_to_do_by_hand(capsys):
    status, out, err = run(capsys, "fetch", "cifar10")
    assert (status, out) == (1, "")
    assert "http://127.0.0.1:9/data.bin: " in err
    assert "By hand: get data.bin on another network" in err
    assert "Traceback" not in err


def test_verify_names_what_is_damaged(capsys, at_hand):
    at_hand.write_bytes(bytes(len(CONTENT)))
    assert run(capsys, "verify") == (1, f"WRONG  {at_hand}: delete it and fetch it again\n", "")


def test_verify_of_nothing_says_so(capsys):
    assert run(capsys, "verify") == (0, "No data file is at hand: kerascv-course data list\n", "")


def test_verify_of_a_bundle_compares_every_file(capsys, at_hand, folder):
    make_bundle(folder / "bundle")
    status, out, _ = run(capsys, "verify", "bundle")
    assert status == 0
    assert out.endswith("data.bin\nAll checksums are right.\n")
    (folder / "bundle" / "data.bin").write_bytes(b"")
    status, _, err = run(capsys, "verify", "bundle")
    assert status == 2
    assert "data.bin has another checksum" in err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["fetch", "cifar11"], 2, "`name` of `fetch` must be 'cifar10'. Received: name='cifar11'."),
        (["fetch", ""], 2, "`name` of `fetch`"),
        (["fetch", "weights"], 2, "`KERASCV_COURSE_MIRRORS` of `fetch` must be the address of a mirror"),
        (["verify", "nowhere"], 1, "`folder` of `read_bundle` must be an existing folder"),
        (["verify", "."], 1, "It holds no SHA256SUMS. `kerascv-course data bundle DIR` fills a folder."),
        (["bundle", "new"], 1, "neither a data file nor weights are at hand"),
        (["bundle", ""], 2, "`folder` of `make_bundle`"),
        (["serve", "nowhere"], 1, "`folder` of `read_bundle` must be an existing folder"),
        (["serve", ".", "--port", "70000"], 2, "`port` of `BundleServer` must be an integer from 0 to 65535"),
    ],
)
def test_wrong_use_is_one_line_and_a_status(capsys, words, status, message):
    found, out, err = run(capsys, *words)
    assert found == status
    assert message in err
    assert out == ""
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [[], ["delete"], ["fetch"], ["bundle"], ["serve"], ["serve", ".", "--port", "x"]]
)
def test_words_that_do_not_parse_exit_with_2(capsys, words):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["data", *words])


def test_a_mirror_that_is_no_address_is_wrong_use(capsys, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", "192.168.1.20:8000")
    status, _, err = run(capsys, "fetch", "cifar10")
    assert status == 2
    assert "`KERASCV_COURSE_MIRRORS` of `fetch` must be addresses of folders" in err


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_serve_prints_the_setting_and_stops_quietly_at_ctrl_c(at_hand, folder):
    import signal

    make_bundle(folder / "bundle")
    # Where the tests run in the background, their children are born deaf to Ctrl-C.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{listen}; from kerascv_course.cli import main; raise SystemExit(main())"]
    command += ["data", "serve", "bundle", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    while not lines or "Stop with Ctrl-C" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    assert any(line.startswith("    KERASCV_COURSE_MIRRORS=http://127.0.0.1:") for line in lines)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out.strip() == "Stopped."
    assert err == ""
    assert process.returncode == 0
