"""`kerascv-course doctor`: what it looks at, and the advice where something is missing."""

import importlib.util
import os
import shutil
from collections import namedtuple
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import kerascv_course
from kerascv_course import runtime
from kerascv_course.cli import doctor

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch, tmp_path):
    """Imitate a machine on which nothing is set and nothing was downloaded."""
    for name in (runtime.PROFILE_VARIABLE, "KERASCV_COURSE_DATA", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(runtime, "find_gpus", lambda *, memory_growth=False: ())
    return tmp_path


def finding(subject):
    (found,) = [entry for entry in doctor.examine() if entry.subject == subject]
    return found


@pytest.mark.smoke
def test_the_report_covers_each_subject_once_and_in_order():
    assert [entry.subject for entry in doctor.examine()] == [
        "kerascv_course",
        "Python",
        "Keras",
        "GPU",
        "Colab",
        "Profile",
        "Free disk",
        "CIFAR-10",
        "Pre-trained weights",
        "Extra notebooks",
        "Extra tensorboard",
        "Extra tuning",
    ]


def test_versions_are_those_of_the_installed_packages():
    assert finding("kerascv_course").found == kerascv_course.__version__
    assert finding("Keras").found == f"{keras.__version__} on {keras.config.backend()} {tf.__version__}"


def test_the_gpu_is_named_and_its_absence_explained(monkeypatch):
    assert finding("GPU").found == "none"
    assert "lite profile" in finding("GPU").advice
    monkeypatch.setattr(runtime, "find_gpus", lambda *, memory_growth=False: ("NVIDIA T4",))
    assert finding("GPU") == doctor.Finding("GPU", "NVIDIA T4")
    assert finding("Profile").found == "gpu (chosen by the device)"


def test_colab_is_named_in_a_command_too_which_has_no_module_of_it(monkeypatch):
    assert finding("Colab").found == "no"
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260819-060051_RC00")
    assert finding("Colab").found == "yes"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert finding("Colab").found == "no, Kaggle"


def test_the_profile_says_who_chose_it(monkeypatch):
    assert finding("Profile") == doctor.Finding("Profile", "lite (chosen by the device)")
    monkeypatch.setenv("KERASCV_COURSE_PROFILE", "smoke")
    assert finding("Profile") == doctor.Finding("Profile", "smoke (chosen by KERASCV_COURSE_PROFILE)")


def test_a_bad_profile_is_a_finding_and_not_a_crash(monkeypatch):
    monkeypatch.setenv("KERASCV_COURSE_PROFILE", "huge")
    assert finding("Profile").found == "not valid"
    assert "'smoke', 'lite', 'full' or 'gpu'. Received: KERASCV_COURSE_PROFILE='huge'" in finding("Profile").advice


def test_missing_cifar10_comes_with_both_ways_to_get_it():
    assert finding("CIFAR-10").found == "not at hand"
    assert "download" in finding("CIFAR-10").advice
    assert "KERASCV_COURSE_DATA" in finding("CIFAR-10").advice


def test_cifar10_is_found_where_the_variable_points(monkeypatch, tmp_path):
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(b"")
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path))
    assert finding("CIFAR-10") == doctor.Finding("CIFAR-10", str(archive))


def test_a_data_folder_that_does_not_exist_is_a_finding_and_not_a_crash(monkeypatch, tmp_path):
    monkeypatch.setenv("KERASCV_COURSE_DATA", str(tmp_path / "nowhere"))
    assert finding("CIFAR-10").found == "not found"
    assert "`KERASCV_COURSE_DATA`" in finding("CIFAR-10").advice
    assert "an existing folder" in finding("CIFAR-10").advice


def test_low_disk_space_is_told_with_a_way_out(monkeypatch, own_cache_folder):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10 * 1024**3, 8 * 1024**3, 2 * 1024**3))
    assert finding("Free disk") == doctor.Finding("Free disk", f"2.0 GiB at {own_cache_folder}")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10 * 1024**3, 9 * 1024**3, 1024**3))
    assert finding("Free disk").found == f"1.0 GiB at {own_cache_folder}"
    assert "KERASCV_COURSE_CACHE" in finding("Free disk").advice
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10 * 1024**3, 8 * 1024**3, 2 * 1024**3 - 1))
    assert finding("Free disk").advice


def test_the_disk_of_a_cache_folder_still_to_be_made_is_that_of_its_nearest_parent(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or Usage(0, 0, 3 * 1024**3))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERASCV_COURSE_CACHE", str(tmp_path / "file" / "deeper"))
    assert finding("Free disk").found.startswith("3.0 GiB")
    assert asked == [tmp_path]


def test_a_cache_folder_on_no_drive_at_all_is_a_finding_and_not_a_crash(monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda self: False)
    entry = doctor._disk()
    assert entry.found.startswith("no such drive")
    assert "KERASCV_COURSE_CACHE" in entry.advice


def test_weights_at_hand_are_listed(tmp_path):
    assert finding("Pre-trained weights").found == "none"
    models = tmp_path / "keras" / "models"
    models.mkdir(parents=True)
    (models / "vgg16_notop.h5").write_bytes(b"")
    assert finding("Pre-trained weights") == doctor.Finding("Pre-trained weights", "vgg16_notop.h5")


def test_a_missing_extra_is_named_with_its_command(monkeypatch):
    assert finding("Extra notebooks") == doctor.Finding("Extra notebooks", "installed")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("nbclient", "jupytext") else real(name)
    )
    assert finding("Extra notebooks") == doctor.Finding(
        "Extra notebooks", "lacks jupytext, nbclient", 'pip install "kerascv_course[notebooks]"'
    )
    assert finding("Extra tensorboard").found == "installed"


def test_looking_writes_nothing(monkeypatch, plain_machine, own_cache_folder):
    monkeypatch.chdir(plain_machine)
    monkeypatch.setenv("KERASCV_COURSE_CACHE", str(own_cache_folder / "not" / "yet"))
    before = dict(os.environ)
    doctor.examine()
    assert list(plain_machine.rglob("*")) == []
    assert list(own_cache_folder.rglob("*")) == []
    assert dict(os.environ) == before
