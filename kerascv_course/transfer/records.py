"""The records of training in stages: what a stage is to do, and what it gave."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kerascv_course._tables import Table
from kerascv_course._validation import check_above, check_int, input_error

_RATES = {"head": 1e-3, "all": 1e-5}
_PARTIAL_RATE = 1e-4


@dataclass(frozen=True)
class Stage:
    """A stage of training: what is trained, at which rate, for how long. The head is trained in every stage.

    Args:
        name: "head" trains the head alone and "all" everything; any other name needs `unfreeze_from`.
        unfreeze_from: From where on the backbone is trained: the name of a layer or block ("block_13"), the share
            of its layers counted from the output (0.3), or a number of blocks counted from the output (3).
        learning_rate: Of the optimizer Adam, above 0; by default 1e-3 for the head, 1e-5 for everything and 1e-4
            in between.
        epochs: How often the training images are seen, 1 or more.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, or name and `unfreeze_from` do not fit.

    Example:
        >>> Stage("last blocks", unfreeze_from=3).learning_rate
        0.0001
    """

    name: str
    unfreeze_from: str | float | None = None
    learning_rate: float = None  # type: ignore[assignment]  # filled in below, by the name
    epochs: int = 5

    def __post_init__(self) -> None:
        """Check the fields and fill in the rate."""
        if not isinstance(self.name, str) or not self.name:
            error = ValueError if self.name == "" else TypeError
            raise input_error("Stage", "name", "a string that is not empty", self.name, error=error)
        epochs = check_int("Stage", "epochs", self.epochs, 1)
        rate = _RATES.get(self.name, _PARTIAL_RATE)
        if self.learning_rate is not None:
            rate = check_above("Stage", "learning_rate", self.learning_rate)
        start = self.unfreeze_from
        if isinstance(start, np.integer | np.floating):
            start = start.item()
        if (start is None) != (self.name in _RATES):
            rule = "left out for the stages 'head' and 'all', and given for any other"
            raise input_error("Stage", "unfreeze_from", rule, start, f"The name of the stage is {self.name!r}.")
        is_known = isinstance(start, str | int | float | None) and not isinstance(start, bool)
        if not is_known or (isinstance(start, float) and not 0 < start <= 1) or (type(start) is int and start < 1):
            rule = "a name, a share above 0 and up to 1, or a number of blocks of at least 1"
            raise input_error("Stage", "unfreeze_from", rule, start, error=ValueError if is_known else TypeError)
        for field, value in (("unfreeze_from", start), ("learning_rate", rate), ("epochs", epochs)):
            object.__setattr__(self, field, value)


def is_head(stage: Stage) -> bool:
    """Say whether a stage trains the head alone."""
    return stage.name == "head"


@dataclass(frozen=True)
class StageResult:
    """What a stage trained, what it cost and what it gave.

    Attributes:
        stage: Name of the stage.
        trainable_params: Weights that it trained.
        frozen_params: Weights that it left alone, statistics of batch normalization included.
        learning_rate: Of the optimizer.
        epochs: Epochs that were trained; early stopping may end them before their time.
        seconds: Time of the training, extraction of features included; of the call that finished the stage.
        val_accuracy: Accuracy on the held-out images of the weights that the stage hands on; None without any, and
            for a model that is compiled without an accuracy.
        val_loss: Loss of the same weights on them, without what regularizers add.
        test_accuracy: Accuracy on the test images; None without any.
        extracted_images: Images whose features were computed for it: 0 where they came from the cache, None where
            the stage trained on images.
        improved: Whether the validation loss fell below that of the weights from before the stage. Where it did
            not, those are handed on. True for the first stage, and where nothing is held out.
    """

    stage: str
    trainable_params: int
    frozen_params: int
    learning_rate: float
    epochs: int
    seconds: float
    val_accuracy: float | None
    val_loss: float | None
    test_accuracy: float | None
    extracted_images: int | None
    improved: bool


@dataclass(frozen=True, repr=False)
class StageResults(Table):
    """What `fit_stages` returns: a record and a history for each stage, and remarks; shown as a table."""

    rows: tuple[StageResult, ...]
    notes: tuple[str, ...]
    histories: dict[str, dict[str, list[float]]]

    _columns: ClassVar = {
        "Stage": "stage",
        "Trained": "trainable_params:,",
        "Frozen": "frozen_params:,",
        "Rate": "learning_rate:g",
        "Epochs": "epochs",
        "Seconds": "seconds:,.1f",
        "Validation": "val_accuracy:.1%",
        "Test": "test_accuracy:.1%",
    }
