"""Weights of backbones: which file is taken, and where a download puts it."""

import hashlib
import importlib.util
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kerascv_course.datasets import fetching, find_backbone_weights, weights

CONTENT = hashlib.shake_128(b"weights").digest(50_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = bytes(len(CONTENT))
NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"
NAME_224 = NAME.replace("_96_", "_224_")
INCEPTION = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
OWN = "mobilenet_v2_imagenet_int8_notop.weights.h5"


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """A bare machine without network, whose data folder is there and empty."""
    (tmp_path / "data" / "models").mkdir(parents=True)
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("KERASCV_COURSE_MIRRORS", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetching, "_PAUSE", 0.01)
    for name, file in weights.WEIGHTS.items():
        changes = {"addresses": ("http://127.0.0.1:9/file.h5",), "checksum": file.checksum and f"md5:{MD5}"}
        monkeypatch.setitem(weights.WEIGHTS, name, file._replace(**changes))
    return tmp_path


class Quiet(SimpleHTTPRequestHandler):
    """Python's own web server of a folder, without a log."""

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(monkeypatch, folder):
    """The folder of a mirror, which is served and named in the setting."""
    served = folder / "mirror"
    served.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as server:
        monkeypatch.setenv("KERASCV_COURSE_MIRRORS", f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield served
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
        (fetching.downloads_folder() / "models" / NAME, f"{NAME}, in the downloads folder"),
    ]
    for path, _ in places:
        put(path)
    for path, source in places:
        found = find()
        assert (found.path, found.source) == (path, source)
        assert str(folder) not in found.source
        path.unlink()
    assert find(download="never") is None


def test_without_a_data_folder_keras_cache_is_looked_into(folder, monkeypatch):
    monkeypatch.delenv("KERASCV_COURSE_DATA")
    put(cached(folder))
    assert find().path == cached(folder)


def test_what_is_not_asked_for_is_not_downloaded(folder, mirror):
    put(mirror / "models" / NAME)
    assert find(download="never") is None
    assert not (folder / "keras").exists()


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
        assert find(backbone, download="never") == weights.BackboneWeights(path, f"{name}, in KERASCV_COURSE_DATA")
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
    assert find(backbone, download="never") is None


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
    with pytest.raises(ValueError, match=rf"is damaged: its checksum is not md5:{MD5}\. Delete .*{INCEPTION}"):
        find("InceptionV3", download="never")
    assert path.read_bytes() == OTHER


@pytest.mark.parametrize("backbone", ["ResNet50", "VGG16", "NoSuchNet"])
def test_any_other_backbone_is_left_to_keras(folder, backbone):
    put(cached(folder, f"{backbone.lower()}_notop.h5"))
    assert find(backbone) is None  # and no ConnectionError


# Downloaded


@pytest.mark.smoke
def test_a_download_comes_into_the_downloads_folder(mirror, capsys):
    put(mirror / "models" / NAME)
    put(mirror / "SHA256SUMS", f"{SHA256}  models/{NAME}\n".encode())
    found = find()
    assert found.path == fetching.downloads_folder() / "models" / NAME
    assert found.path.read_bytes() == CONTENT
    assert found.source == f"the mirror {os.environ['KERASCV_COURSE_MIRRORS']}/"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{NAME}: 100%" in shown.err


def test_weights_that_nobody_vouches_for_are_said_to_be_unchecked(mirror):
    put(mirror / "models" / NAME)
    assert find().source == f"the mirror {os.environ['KERASCV_COURSE_MIRRORS']}/, unchecked"


def test_the_checksum_in_keras_source_decides(mirror):
    put(mirror / "models" / INCEPTION, OTHER)
    put(mirror / "SHA256SUMS", f"{hashlib.sha256(OTHER).hexdigest()}  models/{INCEPTION}\n".encode())
    with pytest.raises(ConnectionError, match=rf"wrong checksum, not md5:{MD5}"):
        find("InceptionV3")
    put(mirror / "models" / INCEPTION)
    found = find("InceptionV3", (299, 299))
    assert found.path.read_bytes() == CONTENT
    assert "unchecked" not in found.source


def test_a_download_that_fails_names_every_address_and_the_way_by_hand(mirror):
    place = fetching.downloads_folder() / "models"
    message = (
        rf"{NAME} could not be downloaded\. http://.*/models/{NAME}: HTTP 404.*; http://127.0.0.1:9/.*By hand.*"
    )
    with pytest.raises(ConnectionError, match=rf"{message}{place}, or .*KERASCV_COURSE_DATA"):
        find()
    assert find(download="if possible") is None


def test_official_addresses_and_checksums_are_those_of_keras(monkeypatch):
    monkeypatch.undo()
    sources = Path(importlib.util.find_spec("keras").origin).parent / "src" / "applications"
    if not sources.is_dir():
        pytest.skip("this Keras keeps its sources elsewhere")
    files = weights.WEIGHTS.values()
    folders = {address.rpartition("/")[0] for file in files for address in file.addresses}
    mobilenet = (sources / "mobilenet_v2.py").read_text()  # importing it would take seconds
    inception = (sources / "inception_v3.py").read_text()
    base = "https://storage.googleapis.com/tensorflow/keras-applications"
    assert folders == {f"{base}/mobilenet_v2", f"{base}/inception_v3"}
    for part in (
        f'"{base}/mobilenet_v2/"',
        '"mobilenet_v2_weights_tf_dim_ordering_tf_kernels"',
        "_no_top.h5",
        "in [96, 128, 160, 192, 224]",
    ):
        assert part in mobilenet
    for part in (f'"{base}/"', f'"inception_v3/{INCEPTION}"', f'"{weights.WEIGHTS["inception_v3"].checksum[4:]}"'):
        assert part in inception


# Arguments


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"backbone": None}, TypeError, "`backbone` of `find_backbone_weights` must be a name in"),
        ({"backbone": ""}, ValueError, "`backbone` .* a name in `keras.applications`"),
        ({"backbone": "../MobileNetV2"}, ValueError, "`backbone` .* a name in `keras.applications`"),
        ({"image_size": (96, 96, 3)}, ValueError, r"`image_size` .* \(height, width\)"),
        ({"image_size": (96, 0)}, ValueError, "`image_size` .* at least 1"),
        ({"image_size": (96.0, 96)}, TypeError, "`image_size` .* an integer"),
        (
            {"download": False},
            ValueError,
            "`download` .* 'always', 'if possible' or 'never'. Received: download=False",
        ),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        find(**changes)


def test_a_data_folder_that_is_none_is_named(folder, monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(folder / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"`KERASCV_COURSE_DATA` of .* an existing folder.*nowhere"):
        find()
