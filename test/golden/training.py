"""Losses of Keras 3 on JAX, float64: KERAS_BACKEND=jax python training.py > training.json

Value and gradient of the prediction over random entries, with masks and sample weights.
"""
import json
import os

os.environ["KERAS_BACKEND"] = "jax"
import jax

jax.config.update("jax_enable_x64", True)
import keras
import numpy as np
from keras.src.backend.common import dtypes

dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # Keras narrows to float32 on JAX, whatever floatx says
keras.config.set_floatx("float64")
rng = np.random.default_rng(7)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def loss_case(title, config, y, p, mask=None, weight=None):
    loss = keras.losses.deserialize(config)

    def value(prediction):
        prediction = keras.ops.convert_to_tensor(prediction)
        if mask is not None:
            keras.src.backend.set_keras_mask(prediction, keras.ops.convert_to_tensor(np.array(mask), dtype="bool"))
        return loss(y, prediction, sample_weight=weight)

    total, gradient = jax.value_and_grad(value)(jax.numpy.asarray(p))
    return {
        "title": title, "loss": config, "y": y.tolist(), "p": p.tolist(), "mask": mask, "weight": None if weight is None else weight.tolist(),
        "value": float(total), "gradient": np.asarray(gradient).tolist(),
    }


B, T, C = 4, 3, 5
MASK = [[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]]
losses = []
for logits in [False, True]:
    for steps in [False, True]:
        shape = (B, T) if steps else (B,)
        mask = MASK if steps else None
        scores = rng.standard_normal((*shape, C)) * 2
        probabilities = scores if logits else softmax(scores)
        labels = rng.integers(0, C, shape)
        one_hot = np.eye(C)[labels]
        binary = rng.standard_normal((*shape, 2)) * 2
        binary = binary if logits else 1 / (1 + np.exp(-binary))
        truth = rng.integers(0, 2, (*shape, 2)).astype(float)
        for weight in [None, rng.random(shape)]:
            def add(class_name, config, y, p):
                title = f"{class_name} {config} steps={steps} weight={weight is not None}"
                losses.append(loss_case(title, {"class_name": class_name, "config": config}, y, p, mask, weight))

            options = {"from_logits": logits}
            add("SparseCategoricalCrossentropy", options, labels, probabilities)
            add("CategoricalCrossentropy", options, one_hot, probabilities)
            add("BinaryCrossentropy", options, truth, binary)
            add("CategoricalCrossentropy", {**options, "label_smoothing": 0.1}, one_hot, probabilities)
            add("BinaryCrossentropy", {**options, "label_smoothing": 0.2}, truth, binary)
            if not logits:
                add("MeanSquaredError", {}, truth, binary)
                add("MeanAbsoluteError", {}, truth, binary)

print(json.dumps({"losses": losses}))
