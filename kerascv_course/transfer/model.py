"""A pretrained backbone with a new head that takes raw images."""

import os
from collections.abc import Sequence
from operator import methodcaller
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kerascv_course._models import check_linked, find_backbone, input_shape, one_output
from kerascv_course._ranges import BYTES, RawImageModel
from kerascv_course._validation import check_choice, check_int, check_number, check_size, input_error
from kerascv_course.transfer.backbones import Preprocess, build_backbone, load_weights, preprocessing_of
from kerascv_course.transfer.records import Stage, StageResults
from kerascv_course.transfer.stages import fit_stages

_FUNCTION = "TransferModel"


@keras.saving.register_keras_serializable(package="kerascv_course")
class TransferModel(RawImageModel):
    """A backbone with a new head: a Keras model that takes raw images and is trained in stages.

    Resizing, the conversion of grey images to three channels and the backbone's own `preprocess_input` are part of
    the model. It is compiled, trained and saved as any other; the file that `save` writes holds an ordinary
    functional model, which loads where this package is not installed. `copy.deepcopy` and `pickle` keep weights,
    what is frozen and the state of the optimizer.

    Args:
        backbone: A name of `keras.applications`, as in "MobileNetV2", or a built Keras model of one image, which
            is used itself, not copied. It may end in maps or in a vector.
        num_classes: Number of classes, or 1 for two classes and a sigmoid.
        image_size: Side, or (height, width), in pixels to which images are resized; for a model as backbone by
            default the size that it takes.
        pooling: "avg" or "max" of each map, or None to flatten them; of no effect on a backbone that ends in a
            vector.
        dropout: Share of the features that are dropped in training, from 0 to below 1.
        weights: "imagenet", which are downloaded unless they are at hand; the path of a weights file of the
            backbone; or None for random ones. A model as backbone keeps its own unless a path is given.
        preprocess_input: For a model as backbone: what is done to images from 0 to 255 before it; nothing by
            default. A name brings its own.
        name: Name of the model.

    Attributes:
        weights_source: Where the weights of the backbone are from, in words.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or not known, or the weights are of another model.
        FileNotFoundError: If there is no weights file at the path.
        ConnectionError: If the weights are not at hand and cannot be downloaded.

    Example:
        >>> model = TransferModel("MobileNetV2", num_classes=5, image_size=64, weights=None)
        >>> photographs = np.zeros((2, 48, 32, 3), "uint8")
        >>> model.predict(photographs, verbose=0).shape
        (2, 5)

    Source: Boracchi, Di Stefano (transfer learning); Lorente (removing blocks).
    """

    def __init__(
        self,
        backbone: str | keras.Model = "MobileNetV2",
        num_classes: int = 10,
        *,
        image_size: int | tuple[int, int] | None = None,
        pooling: str | None = "avg",
        dropout: float = 0.5,
        weights: str | os.PathLike[str] | None = "imagenet",
        preprocess_input: Preprocess | None = None,
        name: str | None = None,
    ) -> None:
        num_classes = check_int(_FUNCTION, "num_classes", num_classes, 1)
        check_choice(_FUNCTION, "pooling", pooling, ("avg", "max", None))
        dropout = check_number(_FUNCTION, "dropout", dropout, 0, 0.99)
        check_preprocess(_FUNCTION, preprocess_input)
        if isinstance(backbone, str):
            size = check_size(_FUNCTION, "image_size", 224 if image_size is None else image_size)
            network, source = build_backbone(_FUNCTION, backbone, size, weights)
            preprocess_input = preprocess_input or preprocessing_of(backbone)
        else:
            network, source, size = _check_network(backbone, weights, image_size)
        channels = network.input_shape[-1]
        # With open channels, grey images fit as well: multiplied by three ones they have three.
        inputs = keras.Input((None, None, 1 if channels == 1 else None), name=BYTES)
        x = inputs if channels == 1 else ops.multiply(inputs, np.ones(channels, "float32"))
        x = layers.Resizing(*size, name="resize")(x)
        x = preprocess_input(x) if preprocess_input else x
        x = network(x)
        if len(x.shape) == 4:
            kinds = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, None: layers.Flatten}
            x = kinds[pooling](name="pool")(x)
        if dropout:
            # On PyTorch only a layer with a seed draws from its own generator, which `training.fit` sets.
            x = layers.Dropout(dropout, seed=0, name="dropout")(x)
        activation = "sigmoid" if num_classes == 1 else "softmax"
        outputs = layers.Dense(num_classes, activation=activation, dtype="float32", name="predictions")(x)
        name = name or f"transfer_{network.name}".replace(".", "_")
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.weights_source = source

    @property
    def backbone(self) -> keras.Model:
        """The pretrained part: a Keras model of its own."""
        return find_backbone(_FUNCTION, self)

    def fit_stages(self, stages: Sequence[Stage], data: Any, **options: Any) -> StageResults:
        """Train in stages; the same as `transfer.fit_stages(model, stages, data, ...)`, which see."""
        return fit_stages(self, stages, data, **options)

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile as Keras does."""
        super().compile(*args, **options)
        # The arguments themselves, not a copy made from text: a loss may be a function of the caller's own.
        self.compile_alike = methodcaller("compile", *args, **options)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with the arguments that a file holds, where a transfer model is loaded from it."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how `pickle` and `copy.deepcopy` make an equal model."""
        plain = keras.Model(self.input, self.output, name=self.name)
        values = [ops.convert_to_numpy(variable) for variable in _state(self)]
        return _restored, (type(self), plain, self.weights_source, self.compiled and self.compile_alike, values)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **options: Any) -> None:
        """Save as Keras does, to a path that ends in `.keras`; it loads where this package is not installed.

        `keras.models.load_model` returns an ordinary model, which `transfer.fit_stages` trains further; where
        this package is imported, one that looks at the range of its images too.
        """
        path = str(filepath)
        if not path.endswith(".keras") and options.get("zipped") is not False and not path.startswith("hf://"):
            way_out = "For the weights alone there is `save_weights('name.weights.h5')`."
            raise input_error(f"{_FUNCTION}.save", "filepath", "a path that ends in '.keras'", path, way_out)
        plain = type(keras.Model(self.input, self.output))
        _SavedModel.__module__, _SavedModel.__name__ = plain.__module__, plain.__name__
        saved = _SavedModel(self.input, self.output, name=self.name)
        if self.compiled:
            self.compile_alike(saved)
            saved.optimizer = self.optimizer
        saved.save(filepath, overwrite=overwrite, **options)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration of the ordinary functional model."""
        return keras.Model(self.input, self.output, name=self.name).get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "TransferModel":
        """Return a transfer model of that configuration."""
        return _restored(cls, keras.Model.from_config(config, custom_objects=custom_objects))


@keras.saving.register_keras_serializable("kerascv_course", "RawImageModel")
class _SavedModel(RawImageModel):
    """What a file holds: by its registered name this class, and by its module and name an ordinary model."""


def _check_network(
    network: Any, weights: str | os.PathLike[str] | None, image_size: Any
) -> tuple[keras.Model, str, tuple[int, int]]:
    """Return a model that was given as backbone, the source of its weights, and the size that it gets."""
    if not isinstance(network, keras.Model):
        rule = "a name of `keras.applications` or a Keras model"
        raise input_error(_FUNCTION, "backbone", rule, network, error=TypeError)
    shape = backbone_shape(_FUNCTION, network)
    size = shape[:2] if image_size is None else check_size(_FUNCTION, "image_size", image_size)
    if None in size or any(own not in (None, given) for own, given in zip(shape[:2], size, strict=True)):
        rule = f"{shape[:2]}, the size that the backbone takes, or left out"
        rule = "given where the backbone takes any size" if None in shape[:2] else rule
        raise input_error(_FUNCTION, "image_size", rule, image_size)
    if weights is None or weights == "imagenet":  # the defaults of a name; a model has its own
        return network, "the model that was given as backbone", size
    return network, load_weights(_FUNCTION, network, weights), size


def check_preprocess(function: str, value: Any) -> None:
    """Raise unless it is a function, or None."""
    if value is not None and not callable(value):
        raise input_error(function, "preprocess_input", "a function or None", value, error=TypeError)


def backbone_shape(function: str, network: Any) -> tuple[Any, ...]:
    """Return the shape of the image that goes into a model given as backbone, or raise where it cannot be one."""
    check_linked(function, network, "backbone")
    one_output(function, network, network.outputs, "backbone")
    shape = input_shape(function, network, "backbone") or ()
    if len(shape) != 3 or shape[2] is None or len(network.output_shape) not in (2, 4):
        rule = "a model of one image that ends in maps or in a vector"
        raise input_error(function, "backbone", rule, network.name)
    return shape


def _restored(
    kind: type[TransferModel],
    plain: keras.Model,
    weights_source: str = "",
    compile_alike: Any = None,
    values: Sequence[np.ndarray] = (),
) -> TransferModel:
    """Make a transfer model of the layers of an ordinary one, in the state of its original."""
    model = kind.__new__(kind)
    ends = {"inputs": plain.input, "outputs": plain.output, "name": plain.name}
    super(TransferModel, model).__init__(**ends)
    model.weights_source = weights_source
    if compile_alike:
        compile_alike(model)
        model.optimizer.build(model.trainable_variables)
    variables = _state(model)
    if len(variables) == len(values):  # else the optimizer was built when other layers were frozen
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return model


def _state(model: keras.Model) -> list[Any]:
    """Return what changes in training: weights, what draws random numbers, and the state of the optimizer."""
    return [*model.variables, *(model.optimizer.variables if model.compiled else ())]
