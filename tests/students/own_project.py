"""What a student might write who has never seen this package's tests: own photographs, an own network, a report.

Run by `test_students_script.py` on three backends: `python own_project.py FOLDER`.
"""

import os
import sys

import keras
import numpy as np
import pandas as pd
from keras import layers
from PIL import Image, ImageDraw

from kerascv_course import datasets, evaluation, explain, latent, plotting, report, runtime, training, transfer
from kerascv_course.augmentation import pipeline, test_time_augmentation

work = sys.argv[1]
photos = os.path.join(work, "my photos")
runtime.seed_everything(0)
rng = np.random.default_rng(0)

# ---------- the photographs, as they come from a telephone
COUNTS = {"circle": 36, "Square": 24, "no entry": 12}


def take_photo(kind):
    w, h = rng.integers(40, 90, 2)
    im = Image.new("RGB", (int(w), int(h)), tuple(int(v) for v in rng.integers(0, 90, 3)))
    d, c, r = ImageDraw.Draw(im), (w // 2 + rng.integers(-6, 7), h // 2 + rng.integers(-6, 7)), min(w, h) // 3
    box = [int(c[0] - r), int(c[1] - r), int(c[0] + r), int(c[1] + r)]
    colour = {"circle": (240, 60, 60), "Square": (60, 240, 60), "no entry": (70, 70, 250)}[kind]
    (d.rectangle if kind == "Square" else d.ellipse)(box, fill=colour)
    if kind == "no entry":
        d.rectangle([box[0] + r // 3, int(c[1]) - r // 5, box[2] - r // 3, int(c[1]) + r // 5], fill="white")
    return im


for kind, n in COUNTS.items():
    os.makedirs(os.path.join(photos, kind), exist_ok=True)
    for i in range(n):
        suffix = ("jpg", "png", "bmp", "JPEG")[i % 4]
        im = take_photo(kind)
        im = im.convert("P") if suffix == "bmp" else im
        im.save(os.path.join(photos, kind, f"IMG_{i:04}.{suffix}"))

data = datasets.load_image_folder(photos, image_size=32, test_split=0.25)
names = list(data.class_names)
print(data.class_counts, data.x_train.shape, data.x_test.shape)
copies = datasets.duplicates_across(data.x_train, data.x_test)
print("copies in both parts:", len(copies))

# ---------- an own network, rare classes weighted
counts = pd.Series(data.y_train).value_counts().sort_index()
class_weight = {int(k): float(len(data.y_train) / (len(counts) * n)) for k, n in counts.items()}


class MyNet(keras.Model):
    def __init__(self, filters, classes, **kwargs):
        super().__init__(**kwargs)
        self.scale = layers.Rescaling(1.0 / 255)
        self.conv1 = layers.Conv2D(filters, 3, strides=2, activation="relu")
        self.norm = layers.BatchNormalization(momentum=0.8)
        self.conv2 = layers.Conv2D(2 * filters, 3, activation="relu")
        self.pool = layers.GlobalMaxPooling2D()
        self.drop = layers.Dropout(0.2)
        self.out = layers.Dense(classes)

    def call(self, x, training=False):
        x = self.conv2(self.norm(self.conv1(self.scale(x)), training=training))
        return self.out(self.drop(self.pool(x), training=training))


def make_net():
    net = MyNet(8, len(names))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer=keras.optimizers.Adam(3e-3), loss=loss, metrics=["acc"])
    return net


(x_fit, y_fit), (x_val, y_val) = datasets.split_validation(data.x_train, pd.Series(data.y_train), 0.2, seed=1)
best = training.find_learning_rate(make_net(), (x_fit, y_fit), steps=20, batch_size=8, verbose=0)
print("rate finder:", best)
stop = keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
options = {"epochs": 8, "class_weight": class_weight, "callbacks": stop, "verbose": 0, "folder": work + "/net"}
net = make_net()
history = training.fit(net, (x_fit, y_fit), batch_size=8, validation_data=(x_val, y_val), **options)
again = make_net()  # the cell, run once more
training.fit(again, (x_fit, y_fit), batch_size=8, validation_data=(x_val, y_val), **options)
assert np.allclose(net.predict(data.x_test, verbose=0), again.predict(data.x_test, verbose=0), atol=1e-5)

# the same with a pipeline of tf.data, half precision and mixed images aside
import tensorflow as tf  # noqa: E402

ds = tf.data.Dataset.from_tensor_slices((x_fit.astype("float32"), y_fit)).shuffle(64, seed=0).batch(8).prefetch(2)
from_pipeline = make_net()
training.fit(from_pipeline, ds, epochs=2, validation_data=(x_val, y_val), class_weight=class_weight, verbose=0)

probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(net.predict(data.x_test, verbose=0)))
print(evaluation.classification_report(data.y_test, probabilities, class_names=names))
matrix = evaluation.confusion_matrix(data.y_test, probabilities)

# ---------- transfer, in stages
inputs = keras.Input((32, 32, 3))
x = layers.Conv2D(8, 3, strides=2, activation="relu", name="block1_conv1")(inputs)
base = keras.Model(inputs, layers.Conv2D(12, 3, activation="relu", name="block2_conv1")(x), name="base")
stages = [transfer.Stage("head", learning_rate=0.01, epochs=3), transfer.Stage("last", 1, 3e-3, epochs=3)]
flip = pipeline("flip", brightness=0.1, seed=0)
model = transfer.TransferModel(base, len(names), preprocess_input=lambda x: x / 127.5 - 1)
more = {"class_weight": class_weight, "augmentation": flip, "views": 2, "folder": work + "/stages", "verbose": 0}
results = model.fit_stages(stages, data, **more)
print(results)

other = keras.models.clone_model(base)
flat = keras.Model(other.inputs, layers.Dense(len(names))(layers.Flatten()(other.outputs[0])))
flat.compile(
    keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
scaled = (data.x_train / 127.5 - 1, data.y_train)
print(transfer.fit_stages(flat, stages, scaled, backbone="block2_conv1", callbacks=stop, verbose=0))

# ---------- kept, and looked into
path = os.path.join(work, "model.keras")
model.save(path)
model = keras.models.load_model(path)
accuracy = float((model.predict(data.x_test, verbose=0).argmax(1) == data.y_test).mean())
assert abs(accuracy - results.rows[-1].test_accuracy) < 1e-6
cams = explain.grad_cam(model, data.x_test[:4])
averaged = test_time_augmentation(model, data.x_test, views=pipeline("flip", seed=1), count=3)
own_cams = explain.grad_cam(net, data.x_test[:4])
features = latent.extract_features(model, data.x_train, layer="pool", cache=True, verbose=0)
index = latent.ImageIndex(features, data.x_train, [names[k] for k in data.y_train], metric="cosine")
index.save(os.path.join(work, "index.npz"))
index = latent.ImageIndex.load(os.path.join(work, "index.npz"))
queries = latent.extract_features(model, data.x_test, layer="pool", verbose=0)
nearest = index.classify(queries)
print("nearest neighbour:", np.mean(np.array(nearest) == np.array(names)[data.y_test]))

# ---------- the report
sections = {
    "Data": [
        data.class_counts,
        plotting.plot_images(data.x_train[:8], titles=[names[k] for k in data.y_train[:8]]),
    ],
    "Own network": [plotting.plot_history(history), plotting.plot_confusion_matrix(matrix, names)],
    "In stages": [results],
    "Where they look": [plotting.plot_heatmaps(data.x_test[:4], found.heatmaps) for found in (cams, own_cams)],
    "Neighbours": ["The nearest image has the right class in most cases."],
}
page = report.write_report(
    os.path.join(work, "report.html"),
    "Signs",
    sections,
    authors=["A. Student"],
    date="26 November 2026",
    summary="See below.",
)
print("report:", os.path.getsize(page), "bytes; accuracy", round(accuracy, 2), "and", averaged.probabilities.shape)
