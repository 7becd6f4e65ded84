"""Activations of Keras 3 with their derivatives, float64: KERAS_BACKEND=jax python activations.py > activations.json"""
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

x = np.array([-100.0, -6.5, -3.1, -2.5, -1.1, -0.3, 0.2, 0.9, 2.4, 3.2, 6.1, 100.0])
names = [
    "linear", "relu", "sigmoid", "tanh", "hard_sigmoid", "softplus", "softsign", "elu", "selu", "silu", "hard_silu", "gelu", "exponential",
    "mish", "leaky_relu", "relu6", "log_sigmoid", "tanh_shrink", "hard_tanh", "squareplus",
    "celu", "hard_shrink", "soft_shrink", "sparse_sigmoid", "sparse_plus",
]
cases = {}
for name in names:
    function = keras.activations.get(name)
    at = x[:-1] if name == "exponential" else x
    y = [float(function(jax.numpy.asarray(v))) for v in at]
    d = [float(jax.grad(lambda v: function(v))(jax.numpy.asarray(v))) for v in at]
    cases[name] = {"x": at.tolist(), "y": y, "d": d}
rows = np.array([[-1.0, 0.5, 2.0], [100.0, 100.0, -100.0]])
for name in ["softmax", "log_softmax"]:
    cases[name] = {"rows": rows.tolist(), "y": np.asarray(keras.activations.get(name)(jax.numpy.asarray(rows))).tolist()}
print(json.dumps(cases))
