"""Weights of backbones: which file is taken, and against a local server what is fetched and checked."""

import base64
import dataclasses
import errno
import functools
import hashlib
import importlib.util
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kerascv_course import cli
from kerascv_course.datasets import bundle, download, find_backbone_weights, weights
from kerascv_course.datasets.download import Patience
from kerascv_course.datasets.download import download as download_file
from kerascv_course.datasets.web import ask, ask_headers

CONTENT = hashlib.shake_128(b"weights").digest(50_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = bytes(len(CONTENT))
NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"
NAME_224 = NAME.replace("_96_", "_224_")
INCEPTION = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
OWN = "mobilenet_v2_imagenet_int8_notop.weights.h5"
OFFICIAL_PATH = f"/official/mobilenet_v2/{NAME}"
MIRROR_PATH = f"/mirror/models/{NAME}"
QUICK = Patience(timeout=5, tries=3, pause=0.01)


def google_hashes(content):
    """Return the two headers in which Google Cloud Storage states checksums."""
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    return [("x-goog-hash", "crc32c=Fr7Pmw=="), ("x-goog-hash", f"md5={md5}")]


class Network(ThreadingHTTPServer):
    """Stands for the official host, below /official, and for mirrors."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}/"
        self.files = {}  # content by path
        self.headers = {}  # further headers by path
        self.most = None  # bytes of content in one answer; then it breaks off
        self.requests = []

    def offer(self, path, content=CONTENT, headers=None):
        self.files[path] = content
        self.headers[path] = google_hashes(content) if headers is None else headers

    def offer_as_mirror(self, folder="/mirror", name=NAME, content=CONTENT, sha256=SHA256):
        self.files[f"{folder}/SHA256SUMS"] = f"{sha256}  models/{name}\n".encode()
        self.files[f"{folder}/models/{name}"] = content

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self, with_content=True):
        asked = self.headers.get("Range")
        self.server.requests.append(" ".join(filter(None, [self.command, self.path, asked])))
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int((asked or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        headers = self.server.headers.get(self.path, [])
        if ("Content-Length", "") not in headers:
            self.send_header("Content-Length", str(len(content) - start))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        if with_content:
            self.wfile.write(content[start:][: self.server.most])

    def do_HEAD(self):
        self.do_GET(with_content=False)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """A bare machine whose data folder is there and empty."""
    (tmp_path / "data" / "models").mkdir(parents=True)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KERASCV_COURSE_MIRRORS", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(weights, "OFFICIAL_BASE", "http://127.0.0.1:9/")
    monkeypatch.setattr(weights, "download_file", functools.partial(download_file, patience=QUICK))
    monkeypatch.setattr(weights, "ask_headers", functools.partial(ask_headers, patience=QUICK))
    monkeypatch.setattr(bundle, "ask", functools.partial(ask, patience=QUICK))
    monkeypatch.setattr(weights, "_INCEPTION_V3", dataclasses.replace(weights._INCEPTION_V3, md5=MD5))
    return tmp_path


@pytest.fixture
def network(monkeypatch, folder):
    with Network() as server:
        monkeypatch.setattr(weights, "OFFICIAL_BASE", f"{server.address}official/")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def find(backbone="MobileNetV2", image_size=(96, 96), **options):
    return find_backbone_weights(backbone, image_size, **options)


def cached(folder, name=NAME):
    return folder / "keras" / "models" / name


# At hand


@pytest.mark.smoke
def test_the_data_folder_comes_before_keras_cache_and_official_names_before_own_choices(folder):
    places = [
        (folder / "data" / "models" / NAME, f"{NAME}, in KERASCV_COURSE_DATA"),
        (folder / "data" / NAME, f"{NAME}, in KERASCV_COURSE_DATA"),
        (folder / "data" / "models" / OWN, f"{OWN}, in KERASCV_COURSE_DATA"),
        (cached(folder), f"{NAME}, in Keras' cache"),
    ]
    for path, _ in places:
        put(path)
    for path, source in places:
        found = find()
        assert (found.path, found.source) == (path, source)
        assert str(folder) not in found.source
        path.unlink()
    assert find(download=False) is None


def test_without_a_data_folder_keras_cache_is_looked_into(folder, monkeypatch):
    monkeypatch.delenv("KERASCV_COURSE_DATA")
    put(cached(folder))
    assert find().path == cached(folder)


def test_what_is_at_hand_or_not_asked_for_opens_no_connection(folder, network, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"{network.address}mirror")
    network.offer(OFFICIAL_PATH)
    network.offer_as_mirror()
    assert find(download=False) is None
    put(cached(folder))
    assert find() is not None
    assert network.requests == []
    assert os.listdir(folder / "keras" / "models") == [NAME]


@pytest.mark.parametrize(
    ("image_size", "rows"),
    [((96, 96), 96), ((160, 160), 160), ((224, 224), 224), ((32, 32), 224), ((96, 128), 224), ([192, 192], 192)],
)
def test_the_official_file_is_the_one_that_keras_takes_for_the_image_size(folder, image_size, rows):
    for size in (96, 128, 160, 192, 224):
        put(cached(folder, NAME.replace("_96_", f"_{size}_")))
    assert f"_1.0_{rows}_no_top.h5" in find(image_size=image_size).source


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        ("MobileNetV2", OWN),
        ("MobileNetV2", "MobileNetV2-NoTop.h5"),
        ("MobileNetV2", "mobilenet.v2 (my) no top.H5"),
        ("InceptionV3", "inception_v3_no_top.weights.h5"),
        ("ResNet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("EfficientNetV2B0", "efficientnetv2-b0_notop.h5"),
        ("MobileNet", "mobilenet_1_0_224_tf_no_top.h5"),
    ],
)
def test_an_own_choice_is_found_by_its_name_in_either_folder(folder, backbone, name):
    for place in (folder / "data", folder / "data" / "models"):
        path = put(place / name)
        assert find(backbone, download=False) == weights.BackboneWeights(path, f"{name}, in KERASCV_COURSE_DATA")
        path.unlink()


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        ("MobileNet", OWN),
        ("MobileNet", "mobilenetv2_notop.h5"),
        ("MobileNetV2Foo", OWN),
        ("MobileNetV2", "mobilenetv2foo_notop.h5"),
        ("ResNet50", "resnet50_v2_notop.h5"),
        ("ResNet50", "resnet501_notop.h5"),
        ("MobileNetV2", "mobilenet_v2_top.weights.h5"),
        ("MobileNetV2", "mobilenet_v2_notop.keras"),
        ("MobileNetV2", "mobilenet_v2_notop.h5.part"),
        ("MobileNetV2", "._mobilenet_v2_notop.h5"),
        ("MobileNetV2", "my_mobilenet_v2_notop.h5"),
        ("MobileNetV2", NAME_224),
        ("MobileNetV2", NAME.replace("1.0", "0.5")),
    ],
)
def test_a_file_of_another_name_or_kind_is_not_taken(folder, backbone, name):
    put(folder / "data" / "models" / name)
    assert find(backbone, download=False) is None


def test_of_several_own_choices_none_is_taken_and_all_are_named(folder):
    put(folder / "data" / "models" / OWN)
    put(folder / "data" / "mobilenetv2_notop.h5")
    message = rf"one file of weights .* MobileNetV2\. .*models/{OWN}, mobilenetv2_notop\.h5 all fit"
    with pytest.raises(ValueError, match=message):
        find()
    put(folder / "data" / "models" / NAME)
    assert find().path.name == NAME  # an official name settles it


@pytest.mark.parametrize("place", ["keras/models", "data/models"])
def test_a_damaged_file_is_named_where_keras_states_its_checksum(folder, place):
    path = put(folder / place / INCEPTION)
    assert find("InceptionV3").path == path
    put(path, OTHER)
    with pytest.raises(ValueError, match=rf"is damaged: MD5 \w+ in place of {MD5}\. Delete .*{INCEPTION}"):
        find("InceptionV3", download=False)
    assert path.read_bytes() == OTHER


def test_any_other_backbone_is_left_to_keras(folder, network):
    for backbone in ("ResNet50", "VGG16", "NoSuchNet"):
        put(cached(folder, f"{backbone.lower()}_notop.h5"))
        assert find(backbone) is None
    assert network.requests == []


# From a mirror


@pytest.mark.smoke
def test_a_mirror_comes_before_the_official_address(folder, network, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"{network.address}mirror")
    network.offer(OFFICIAL_PATH)
    network.offer_as_mirror()
    found = find()
    assert found.path == cached(folder)
    assert found.path.read_bytes() == CONTENT
    assert found.source == f"the mirror {network.address}mirror/"
    assert not any("official" in request for request in network.requests)
    assert find().source == f"{NAME}, in Keras' cache"


def test_mirrors_without_the_file_or_out_of_reach_are_passed_over(folder, network, monkeypatch):
    mirrors = ["http://127.0.0.1:9/", *(f"{network.address}{name}" for name in ("none", "another", "mirror"))]
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", " ".join(mirrors))
    network.offer_as_mirror("/another", NAME_224)
    network.offer_as_mirror()
    assert find().source == f"the mirror {network.address}mirror/"
    del network.files[MIRROR_PATH]
    network.offer(OFFICIAL_PATH)
    cached(folder).unlink()
    assert find().source == "127.0.0.1"


def test_what_a_mirror_sends_is_checked_and_then_the_official_address_asked(folder, network, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"{network.address}mirror")
    network.offer_as_mirror(content=OTHER)
    network.offer(OFFICIAL_PATH)
    assert find().source == "127.0.0.1"
    assert cached(folder).read_bytes() == CONTENT


def test_the_checksum_in_keras_source_counts_for_more_than_that_of_a_mirror(folder, network, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"{network.address}mirror")
    network.offer_as_mirror(name=INCEPTION, content=OTHER, sha256=hashlib.sha256(OTHER).hexdigest())
    with pytest.raises(ConnectionError, match=rf"wrong checksum.*MD5 \w+ in place of {MD5}"):
        find("InceptionV3")
    assert os.listdir(folder / "keras" / "models") == []


def test_a_mirror_that_is_no_address_is_an_error(monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_MIRRORS", "192.168.1.20:8000")
    with pytest.raises(ValueError, match="`KERASCV_COURSE_MIRRORS`"):
        find()


# From the official address


@pytest.mark.smoke
def test_the_official_file_is_asked_about_once_and_placed_whole(folder, network):
    network.offer(OFFICIAL_PATH)
    shown = []
    found = find(show=lambda done, total: shown.append((done, total)))
    assert (found.path, found.source) == (cached(folder), "127.0.0.1")
    assert found.path.read_bytes() == CONTENT
    assert os.listdir(folder / "keras" / "models") == [NAME]
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    assert network.requests == [f"HEAD {OFFICIAL_PATH}", f"GET {OFFICIAL_PATH}"]


def test_a_download_shows_how_far_it_is_and_nothing_is_shown_without_one(network, capsys):
    network.offer(OFFICIAL_PATH)
    find()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Weights of MobileNetV2: 100% of " in shown.err
    assert shown.err.endswith("MB\n")
    find()
    assert capsys.readouterr() == ("", "")


def test_both_checksums_may_come_in_one_header(network):
    (_, crc32c), (_, md5) = google_hashes(CONTENT)
    network.offer(OFFICIAL_PATH, headers=[("X-Goog-Hash", f"{crc32c}, {md5}")])
    assert find().path.read_bytes() == CONTENT


def test_a_transfer_that_breaks_off_goes_on_where_it_was(folder, network):
    network.offer(OFFICIAL_PATH)
    network.most = 20_000
    assert find().path.read_bytes() == CONTENT
    assert network.requests[1:] == [
        f"GET {OFFICIAL_PATH}{part}" for part in ("", " bytes=20000-", " bytes=40000-")
    ]


def test_what_was_damaged_on_the_way_is_not_placed(folder, network):
    network.offer(OFFICIAL_PATH, OTHER, google_hashes(CONTENT))
    message = rf"wrong checksum, .*\(MD5 \w+ in place of {MD5}\)\. By hand: get this file .*keras.models"
    with pytest.raises(ConnectionError, match=message):
        find()
    assert os.listdir(folder / "keras" / "models") == []


def test_a_full_disk_points_to_the_variable_of_keras_cache(folder, network, monkeypatch):
    def write(self, file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    network.offer(OFFICIAL_PATH)
    monkeypatch.setattr(download._Transfer, "_write", write)
    with pytest.raises(OSError, match=r"No space left.* name another folder in KERAS_HOME\."):
        find()


def test_a_cache_that_cannot_be_made_points_to_the_variable_of_keras_cache(folder, network):
    network.offer(OFFICIAL_PATH)
    (folder / "keras").write_bytes(b"")
    with pytest.raises(OSError, match=r"can be written.* Name such a folder in KERAS_HOME\."):
        find()


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "its MD5 is not stated"),
        ([("x-goog-hash", "crc32c=Fr7Pmw==")], "its MD5 is not stated"),
        ([("x-goog-hash", "md5=Fr7Pmw==")], "its MD5 is not stated"),
        ([*google_hashes(CONTENT), ("Content-Length", "")], "its size is not stated"),
    ],
)
def test_a_file_that_could_not_be_checked_is_not_fetched(folder, network, headers, reason):
    network.offer(OFFICIAL_PATH, headers=headers)
    with pytest.raises(ConnectionError, match=rf"{NAME} could not be .*{OFFICIAL_PATH}: {reason}.*By hand"):
        find()
    assert network.requests == [f"HEAD {OFFICIAL_PATH}"]
    assert not (folder / "keras").exists()


def test_a_host_that_states_another_checksum_than_keras_is_refused(folder, network):
    network.offer(f"/official/inception_v3/{INCEPTION}", OTHER)
    with pytest.raises(ConnectionError, match=rf"another file, with MD5 \w+ in place of {MD5}"):
        find("InceptionV3")
    assert len(network.requests) == 1


@pytest.mark.parametrize("headers", [[], google_hashes(CONTENT)])
def test_with_the_checksum_in_keras_source_the_host_need_not_state_one(folder, network, headers):
    network.offer(f"/official/inception_v3/{INCEPTION}", headers=headers)
    found = find("InceptionV3", (299, 299))
    assert found.path == cached(folder, INCEPTION)
    assert found.path.read_bytes() == CONTENT


def test_every_address_and_the_way_by_hand_are_named(folder, network, monkeypatch):
    monkeypatch.setenv(
        "KERASCV_COURSE_MIRRORS", f"http://127.0.0.1:9 {network.address}mirror {network.address}cut"
    )
    network.offer_as_mirror(name=NAME_224)
    network.offer_as_mirror("/cut", content=OTHER)
    with pytest.raises(ConnectionError) as caught:
        find()
    text = str(caught.value)
    assert text.count("could not be downloaded") == 1
    for part in (
        f"{NAME} could not be downloaded. http://127.0.0.1:9/SHA256SUMS: ",
        f"; {network.address}mirror/: its SHA256SUMS does not list it; ",
        f"; {network.address}cut/models/{NAME}: wrong checksum",
        f"; {network.address}official/mobilenet_v2/{NAME}: HTTP 404",
        f"put it into {folder / 'keras' / 'models'}, or into the sub-folder models of",
        "KERASCV_COURSE_DATA",
    ):
        assert part in text


def test_official_addresses_and_checksums_are_those_of_keras(monkeypatch):
    monkeypatch.undo()
    sources = Path(importlib.util.find_spec("keras").origin).parent / "src" / "applications"
    if not sources.is_dir():
        pytest.skip("this Keras keeps its sources elsewhere")
    mobilenet = (sources / "mobilenet_v2.py").read_text()  # importing it would take seconds
    assert f'"{weights.OFFICIAL_BASE}mobilenet_v2/"' in mobilenet
    for part in ('"mobilenet_v2_weights_tf_dim_ordering_tf_kernels"', "_no_top.h5", "in [96, 128, 160, 192, 224]"):
        assert part in mobilenet
    inception = (sources / "inception_v3.py").read_text()
    official = weights._official("InceptionV3", 299, 299)
    for part in (f'"{weights.OFFICIAL_BASE}"', f'"{official.folder}/{official.name}"', f'"{official.md5}"'):
        assert part in inception


# Arguments


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"backbone": None}, TypeError, "`backbone` of `find_backbone_weights` must be a text"),
        ({"backbone": ""}, ValueError, "`backbone` .* a name in `keras.applications`"),
        ({"backbone": "../MobileNetV2"}, ValueError, "`backbone` .* a name in `keras.applications`"),
        ({"image_size": 96}, ValueError, r"`image_size` .* \(height, width\)"),
        ({"image_size": (96, 96, 3)}, ValueError, r"`image_size` .* \(height, width\)"),
        ({"image_size": (96, 0)}, ValueError, "`image_size` .* at least 1"),
        ({"image_size": (96.0, 96)}, TypeError, "`image_size` .* an integer"),
        ({"download": "no"}, TypeError, "`download` .* True or False"),
    ],
)
def test_bad_arguments_are_named(network, changes, error, message):
    with pytest.raises(error, match=message):
        find(**changes)
    assert network.requests == []


def test_a_data_folder_that_is_none_is_named(folder, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(folder / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"`KERASCV_COURSE_DATA` of .* an existing folder.*nowhere"):
        find()


@pytest.mark.parametrize(
    ("checksums", "message"),
    [
        ({}, "`sha256` of `download` must be 64 .* or `md5` 32, exactly one of the two.*md5=None"),
        ({"sha256": SHA256, "md5": MD5}, "`sha256` .* exactly one of the two"),
        ({"md5": SHA256}, "`md5` of `download` must be 32 hexadecimal digits"),
        ({"md5": 5}, r"`md5` of `download` must be 32 hexadecimal digits\. Received: md5=5"),
    ],
)
def test_a_download_needs_exactly_one_checksum(folder, checksums, message):
    with pytest.raises(ValueError, match=message):
        download_file(["http://127.0.0.1:9/"], folder / "new" / "a.h5", size=1, **checksums)
    assert not (folder / "new").exists()


def test_a_file_at_the_target_is_compared_with_its_md5(folder):
    path = put(folder / "a.h5")
    assert download_file(["http://127.0.0.1:9/"], path, size=len(CONTENT), md5=MD5.upper()) == path
    put(path, OTHER)
    with pytest.raises(ValueError, match=f"with MD5 {MD5}.*delete it"):
        download_file(["http://127.0.0.1:9/"], path, size=len(CONTENT), md5=MD5)


def test_the_command_line_lists_weights_in_the_data_folder(folder, capsys):
    path = put(folder / "data" / "models" / OWN, bytes(1_200_000))
    assert cli.main(["data", "list"]) == 0
    assert capsys.readouterr().out.endswith(f"weights in KERASCV_COURSE_DATA: {path}, 1.2 MB\n")
