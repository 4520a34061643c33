"""Write the first crops of `load_patches()` as class folders of PNG files, beside this script.

`python data/make_patches.py` makes `data/patches/{train,test}/<class>/<number>.png` again: 8 training and 4 test
crops of each class. The pixels are always the same.
"""

import shutil
from pathlib import Path

from PIL import Image

from kerascv_course.datasets.patches import load_patches

PER_CLASS = {"train": 8, "test": 4}


def main(folder: Path = Path(__file__).parent / "patches") -> None:
    """Write the class folders; what was in the folder before is deleted."""
    data = load_patches()
    if folder.exists():
        shutil.rmtree(folder)
    for split, images, labels in (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        for label, name in enumerate(data.class_names):
            (folder / split / name).mkdir(parents=True)
            for number, image in enumerate(images[labels == label][: PER_CLASS[split]]):
                Image.fromarray(image).save(folder / split / name / f"{number:02d}.png", optimize=True)


if __name__ == "__main__":
    main()
