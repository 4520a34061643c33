"""Write `notebooks/claims.md`: which claims of the courses hold, from what the solved notebooks printed.

    python publishing/make_claims.py

A claim names the line that decides it. Effect, interval and seeds are read from there; nothing is computed anew.
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import nbformat

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "notebooks" / "claims.md"
NUMBER = r"[+-]\d+\.\d+"
EFFECT = re.compile(rf"({NUMBER}) points")
INTERVAL = re.compile(rf"({NUMBER}) to ({NUMBER})")
HEAD = """\
# Claims of the courses, tried

Each line is a claim of the courses that a notebook follows, and what came out when it was tried: the effect in
percentage points with its 95 % interval, paired over the seeds or the folds. A claim **holds** where the whole
interval speaks for it, it **does not hold** where the whole interval speaks against it; otherwise it is
**undecided**, which is no proof of either. The data are CIFAR-10's photographs, in copies compressed by JPEG, and
MNIST's digits; networks and sizes are those of the notebook, not those of the course: follow the link before you
quote a line. Of {count} claims at 95 %, about {false:.0f} would be decided by chance alone if there were no effect
in any.

Written by `publishing/make_claims.py` from the outputs of the solved notebooks.

| Claim | After | Verdict | Effect, 95 % interval | Seeds | Where |
|---|---|---|---|---|---|
"""
COURSES = ("Boracchi", "Di Stefano", "Manco", "Lorente")


class Claim(NamedTuple):
    """A claim, and the line of a solved notebook that decides it."""

    text: str
    page: str
    line: str  # how the line begins
    speaks: int = 1  # the sign of an effect that speaks for the claim
    said: str = (
        ""  # how the line begins that says the verdict, where it allows for a margin or several comparisons
    )
    course: str = ""  # whose claim it is; by default those that the notebook follows
    place: int = 0  # which of the lines that begin so


class Found(NamedTuple):
    """What a solved notebook says of a claim."""

    verdict: str
    effect: str
    low: str
    high: str
    seeds: str
    heading: str


LENET, DEEP, CHANGES = "02_lenet_cifar10", "04_residual_learning", "05_augmentation"
VIEWS, TRANSFER, BLOCKS = "06_test_time_augmentation", "07_transfer_learning", "08_inception_by_blocks"
RETRIEVAL, DESIGN, TINYNET = "10_image_retrieval", "11_design_a_cnn", "12_tinynet"
SEARCH, WORDS, PROJECT = "13_random_search", "14_bag_of_visual_words", "15_project_template"
CLAIMS = [
    Claim("LeNet-5 reads digits better than a dense network", LENET, "LeNet-5 is better than dense network"),
    Claim("ReLU is better than tanh", LENET, "1 relu"),
    Claim("Max pooling is better than average pooling", LENET, "2 max pooling"),
    Claim("Three 3 x 3 convolutions are better than two 5 x 5", LENET, "3 three 3x3"),
    Claim("One dense layer does as well as three", LENET, "4 one dense layer"),
    Claim("Batch normalization helps", LENET, "5 batch norm"),
    Claim("One cycle of the learning rate helps", LENET, "6 one cycle"),
    Claim("Mirrored images help", LENET, "7 mirrored  "),
    Claim("All of it together is better than LeNet-5", LENET, "7 mirrored is better than LeNet-5"),
    Claim("A deeper plain network has more training error", DEEP, "plain:"),
    Claim("A deeper residual network has less training error", DEEP, "residual:", -1),
    Claim("Shortcuts let depth help more", DEEP, "plain minus residual:"),
    Claim("Mirroring alone helps, 50 images of each class", CHANGES, "flip is better than none", course="Lorente"),
    Claim("Shifting alone helps", CHANGES, "translation is better than none", course="Lorente"),
    Claim("Turning alone helps", CHANGES, "rotation is better than none", course="Lorente"),
    Claim("Zooming alone helps", CHANGES, "zoom is better than none", course="Lorente"),
    Claim("Contrast alone helps", CHANGES, "contrast is better than none"),
    Claim("Mixup helps", CHANGES, "mixup is better than none"),
    Claim("All changes together help", CHANGES, "all together is better than none"),
    Claim("Mirroring is enough: all together are no better", CHANGES, "all together is better than flip", -1,
          course="Lorente"),
    Claim("Class weights find more of a rare class", CHANGES, "class weights is better than nothing"),
    Claim("Balancing finds more of a rare class", CHANGES, "balancing is better than nothing"),
    Claim("Balancing with changed copies finds more of it", CHANGES, "balancing and augmentation is better"),
    Claim("The mean with the mirror image is better", VIEWS, "mirrored is better than one view"),
    Claim("Ten crops are better than one view", VIEWS, "ten crops is better than one view"),
    Claim("Random shifts, averaged, are better", VIEWS, "random shifts is better than one view"),
    Claim("Random rotations, averaged, are better", VIEWS, "random rotations is better than one view"),
    Claim("Views help most where the model is unsure", VIEWS, "The slides' claim, as gains"),
    Claim("Transfer is better than training from scratch, 10 images of each class", TRANSFER,
          "10 images of each class: transfer is better"),
    Claim("The same with 500 images of each class", TRANSFER, "500 images of each class: transfer is better"),
    Claim("Unfreezing the last blocks helps after the head", TRANSFER, "last blocks is better than head"),
    Claim("Unfreezing everything at a low rate helps", TRANSFER, "all is better than head"),
    Claim("Batch normalization should stay frozen", TRANSFER, "inference is better than train"),
    Claim("Without the last five blocks a network is nearly as good", BLOCKS, "five blocks less is better",
          said="five blocks less are nearly as good", course="Lorente"),
    Claim("Mirroring alone helps a pretrained network", BLOCKS, "flip is better than none", course="Lorente"),
    Claim("Shifting alone helps it", BLOCKS, "translation is better than none", course="Lorente"),
    Claim("Turning alone helps it", BLOCKS, "rotation is better than none", course="Lorente"),
    Claim("Zooming alone helps it", BLOCKS, "zoom is better than none", course="Lorente"),
    Claim("All together are no better than the best change", BLOCKS, "together is better than",
          said="together no better than the best", course="Lorente"),
    Claim("The nearest image in the latent space names the class better than the head", RETRIEVAL,
          "1-NN, l1 is better than the head"),
    Claim("Two 3 x 3 convolutions are better than a 5 x 5", DESIGN, "two 3x3 is better than 5x5"),
    Claim("3 x 3 is better than 5 x 5", DESIGN, "baseline is better than 5x5"),
    Claim("A kernel must see neighbours: 3 x 3 is better than 1 x 1", DESIGN, "baseline is better than 1x1"),
    Claim("Twice the filters are better", DESIGN, "twice the filters is better than baseline"),
    Claim("Half the filters are worse", DESIGN, "baseline is better than half the filters"),
    Claim("In a CNN of three blocks ReLU is better than tanh", DESIGN, "baseline is better than tanh"),
    Claim("ReLU is better than the sigmoid", DESIGN, "baseline is better than sigmoid"),
    Claim("A leaky ReLU is better than a ReLU", DESIGN, "leaky ReLU is better than baseline"),
    Claim("With ReLU, He's initialisation is better than Glorot's", DESIGN, "He is better than baseline"),
    Claim("Glorot's is better than random normal", DESIGN, "baseline is better than random normal"),
    Claim("With zero weights nothing is learnt", DESIGN, "baseline is better than zero"),
    Claim("Three blocks are better than one", DESIGN, "baseline is better than one block"),
    Claim("Three blocks are better than two", DESIGN, "baseline is better than two blocks"),
    Claim("Four blocks are better than three", DESIGN, "four blocks is better than baseline"),
    Claim("The rate of the range test is better than ten times as much", DESIGN,
          "baseline is better than ten times the rate"),
    Claim("It is better than a tenth", DESIGN, "baseline is better than a tenth of the rate"),
    Claim("SGD with momentum is better than Adam, each at the rate of its range test", DESIGN,
          "SGD with momentum is better than baseline", course="Lorente"),
    Claim("Momentum helps SGD, each at the rate of its range test", DESIGN,
          "SGD with momentum is better than SGD:"),
    Claim("A larger input is better: 32 against 16 pixels", DESIGN, "baseline is better than half the side"),
    Claim("Dropout helps", DESIGN, "dropout is better than baseline"),
    Claim("A weight penalty helps", DESIGN, "weight penalty is better than baseline"),
    Claim("Clipping gradients helps", DESIGN, "clipping is better than baseline"),
    Claim("What helped alone helps together", DESIGN, "all that helped is better than baseline"),
    Claim("One cycle is better than a constant rate, each at the best of four rates", TINYNET,
          "plain is better than constant rate", course="Lorente"),
    Claim("Batch normalization helps TinyNet", TINYNET, "plain is better than no batch norm"),
    Claim("Residual blocks are better than plain ones", TINYNET, "residual is better than plain"),
    Claim("Plain blocks are better than depthwise ones", TINYNET, "plain is better than depthwise"),
    Claim("With batch normalization, dropout helps", TINYNET, "dropout is better than plain"),
    Claim("Without batch normalization, dropout helps", TINYNET,
          "dropout, no batch norm is better than no batch norm"),
    Claim("Hiding what Grad-CAM marks changes more answers than a random block", TINYNET,
          "hottest block is better than random block"),
    Claim("It changes more answers than hiding the centre", TINYNET, "hottest block is better than centre"),
    Claim("The winner of a random search is better than the second, with new seeds", SEARCH,
          "1. RMSprop 0.001 relu 0.6 is better than 2. Adam 0.001 tanh"),
    Claim("The course's best values are better than those of our search, 4 epochs", SEARCH,
          "the course's best is better than our search's best"),
    Claim("The same after 12 epochs", SEARCH, "the course's best is better than our search's best", place=1),
    Claim("Dense SIFT is better than SIFT at keypoints", WORDS, "words is better than words, keypoints"),
    Claim("DAISY is better than SIFT", WORDS, "words, DAISY is better than words"),
    Claim("Sixteen times the words are better", WORDS, "many words is better than few words"),
    Claim("The spatial pyramid helps", WORDS, "words, 2 levels is better than words:"),
    Claim("A third level helps", WORDS, "words, 3 levels is better than words, 2 levels"),
    Claim("VLAD is better than counting words", WORDS, "VLAD is better than words"),
    Claim("Fisher vectors are better than VLAD", WORDS, "Fisher is better than VLAD"),
    Claim("The power norm is better than l2", WORDS, "linear, power is better than linear, l2"),
    Claim("The intersection kernel is better than the linear one", WORDS,
          "intersection, l1 is better than linear, power"),
    Claim("The RBF kernel is better than the linear one", WORDS, "RBF, power is better than linear, power"),
    Claim("A linear SVM is better than five neighbours", WORDS,
          "linear, power is better than 5 neighbours, power"),
    Claim("LeNet-5 is better than the best bag, 50 images of each class", WORDS, "LeNet-5 is better than"),
    Claim("The same with 2,000 images of each class", WORDS, "LeNet-5 is better than", place=2),
    Claim("MobileNetV2's features are better than the best bag, 50 images of each class", WORDS,
          "MobileNetV2, ImageNet is better than"),
    Claim("A CNN is better than an MLP on the pixels", WORDS, "LeNet-5 is better than MLP on pixels"),
    Claim("An SVM on the MLP's hidden layer is better than the MLP", WORDS,
          "MLP features, SVM is better than MLP on pixels"),
    Claim("Patches that decide together are better than the whole image", WORDS,
          "MLP on patches, together is better than MLP on pixels"),
    Claim("Augmentation helps a CNN on depth maps of parcels", PROJECT, "CNN, augmented is better than CNN"),
    Claim("Transfer is better than a CNN of one's own there", PROJECT, "Transfer is better than CNN"),
]  # fmt: skip


def verdict(low: float, high: float) -> str:
    """Return what an interval of the effect that speaks for a claim says of it."""
    return "holds" if low > 0 else "does not hold" if high < 0 else "undecided"


def look_up(claim: Claim, notebook: nbformat.NotebookNode) -> Found:
    """Return what a solved notebook says of a claim.

    Raises:
        ValueError: If no line begins so, or the line has no effect with an interval.
    """
    heading, lines, said = "", [], ""
    outputs = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        text = "".join(output.get("text", "") for output in cell.get("outputs", ()))
        outputs.append(
            str([output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())]) + text
        )
        for line in text.splitlines():
            if line.strip().startswith(claim.line):
                lines.append((line, heading, text))
            if claim.said and line.startswith(claim.said):
                said = said or re.split(r": | \(", line)[1]
    if not lines:
        raise ValueError(f"{claim.page} has no line that begins with {claim.line!r}.")
    line, place, around = lines[claim.place]
    effect, interval = EFFECT.search(line), INTERVAL.search(line)
    if effect is None or interval is None or (claim.said and not said):
        raise ValueError(f"{claim.page}: no effect with an interval, or no verdict: {line!r}")
    ends = sorted(claim.speaks * float(end) for end in interval.groups())
    seeds = re.search(r"over (\d+ folds|\d+(?= seeds))", line) or re.search(r"(\d+) seeds", around)
    seeds = seeds or re.search(r"'seeds': (\d+)", "".join(outputs))
    return Found(said or verdict(*ends), effect[1], *interval.groups(), seeds[1] if seeds else "", place)


def followed(notebook: nbformat.NotebookNode) -> str:
    """Return the courses that a notebook follows, as its head says."""
    heads = re.findall(r"\*Follows (.+?)\*", "\n".join(cell.source for cell in notebook.cells), re.DOTALL)
    return ", ".join(course for course in COURSES if course in heads[0])


def is_full(notebook: nbformat.NotebookNode) -> bool:
    """Tell whether a notebook was executed at its full size."""
    texts = (output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    return any("profile: full" in text for text in texts)


def table() -> str:
    """Return the page."""
    rows = []
    pages = {claim.page for claim in CLAIMS}
    solved = {name: nbformat.read(ROOT / "notebooks" / "solutions" / f"{name}.ipynb", 4) for name in pages}
    for claim in CLAIMS:
        if not is_full(solved[claim.page]):
            continue
        found = look_up(claim, solved[claim.page])
        link = f"solutions/{claim.page}.ipynb#{quote(found.heading.replace(' ', '-'))}"
        course = claim.course or followed(solved[claim.page])
        effect = f"{found.effect} ({found.low} to {found.high})"
        where = f"[{claim.page[:2]}, {found.heading}]({link})"
        rows.append(f"| {claim.text} | {course} | {found.verdict} | {effect} | {found.seeds} | {where} |\n")
    return HEAD.format(count=len(rows), false=len(rows) / 20) + "".join(rows)


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="utf-8", newline="\n")
    print(f"{TARGET.name}: {table().count(chr(10)) - HEAD.count(chr(10))} claims")
