"""Operations of `keras.ops` among the layers of a model: for each, Keras 3's configuration of a model of it, and what the model gives, in float64
on JAX, with the gradient of sum(y * g) for its inputs.

Run:  KERAS_BACKEND=jax python test/golden/keras-operations.py       writes keras-operations.json and further-keras-operations.json beside this file
"""

import json
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import keras
import numpy as np
from keras import ops
from keras.src.backend.common import dtypes

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
SHAPE = (3, 4)
ONE = {
    "add": lambda x: ops.add(x, 1.5), "radd": lambda x: 2.0 - x, "divide": lambda x: 1.0 / (ops.square(x) + 1.0), "power": lambda x: ops.power(ops.square(x) + 1.0, 1.5),
    "array": lambda x: ops.add(x, np.arange(4.0)), "floor divide": lambda x: x - ops.floor_divide(x, 0.5), "mod": lambda x: ops.mod(x, 0.75),
    "negative": ops.negative, "absolute": ops.absolute, "sign": lambda x: x * ops.sign(x), "sqrt": lambda x: ops.sqrt(ops.square(x) + 1.0),
    "rsqrt": lambda x: ops.rsqrt(ops.square(x) + 1.0), "reciprocal": lambda x: ops.reciprocal(ops.square(x) + 1.0), "exp": ops.exp, "expm1": ops.expm1,
    "log": lambda x: ops.log(ops.square(x) + 1.0), "log1p": lambda x: ops.log1p(ops.square(x)), "tanh": ops.tanh, "sin": ops.sin, "cos": ops.cos, "erf": ops.erf,
    "floor": lambda x: x - ops.floor(x), "ceil": lambda x: x - ops.ceil(x), "round": lambda x: x - ops.round(x), "relu": ops.relu, "relu6": lambda x: ops.relu6(x * 5.0),
    "sigmoid": ops.sigmoid, "softplus": ops.softplus, "softsign": ops.softsign, "silu": ops.silu, "elu": ops.elu, "selu": ops.selu, "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu approximate": lambda x: ops.gelu(x), "leaky relu": lambda x: ops.leaky_relu(x, 0.1), "hard sigmoid": ops.hard_sigmoid, "hard silu": ops.hard_silu,
    "hard tanh": ops.hard_tanh, "log sigmoid": ops.log_sigmoid, "tanh shrink": ops.tanh_shrink, "sparse plus": ops.sparse_plus,
    "softmax": ops.softmax, "log softmax": ops.log_softmax, "sum": lambda x: ops.sum(x, axis=1), "mean": lambda x: ops.mean(x, axis=-1, keepdims=True), "max": lambda x: ops.max(x, axis=1),
    "min": lambda x: ops.min(x, axis=(1, 2)), "var": lambda x: ops.var(x, axis=1), "std": lambda x: ops.std(x, axis=-1, keepdims=True), "logsumexp": lambda x: ops.logsumexp(x, axis=-1),
    "normalize": lambda x: ops.normalize(x, axis=-1), "cumsum": lambda x: ops.cumsum(x, axis=1), "reshape": lambda x: ops.reshape(x, (-1, 4, 3)), "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
    "expand dims": lambda x: ops.expand_dims(x, 1), "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 2), 2), "flip": lambda x: ops.flip(x, 1), "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "moveaxis": lambda x: ops.moveaxis(x, 1, -1), "tile": lambda x: ops.tile(x, (1, 2, 1)), "repeat": lambda x: ops.repeat(x, 2, axis=1), "split": lambda x: ops.split(x, 2, axis=-1)[1],
    "item": lambda x: x[:, 1], "slices": lambda x: x[:, 1:, ::2], "new axis": lambda x: x[:, None], "ellipsis": lambda x: x[..., -1], "take": lambda x: ops.take(x, np.array([2, 0]), axis=1),
    "clip": lambda x: ops.clip(x, -0.5, 0.5), "where": lambda x: ops.where(x > 0, x, 0.1), "stack": lambda x: ops.stack([x, ops.tanh(x)], axis=1), "concatenate": lambda x: ops.concatenate([x, x * x], axis=-1),
    "stop gradient": lambda x: x * ops.stop_gradient(x), "cast": lambda x: x * ops.cast(x > 0, "float64"),
}
TWO = {
    "add of two": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "maximum": ops.maximum, "minimum": ops.minimum, "divide no nan": lambda x, y: ops.divide_no_nan(x, ops.relu(y) + ops.relu(-y)),
    "matmul": lambda x, y: ops.matmul(x, ops.transpose(y, (0, 2, 1))), "einsum": lambda x, y: ops.einsum("btf,bsf->bts", x, y), "logical": lambda x, y: ops.where(ops.logical_and(x > 0, y > 0), x, y),
}
FURTHER = {
    "softmax of another axis": lambda x: ops.softmax(x, axis=1), "softmax of two axes": lambda x: ops.softmax(x, axis=(1, 2)), "log softmax of the first": lambda x: ops.log_softmax(x, axis=1),
    "largest": lambda x: x[:, 0] * ops.cast(ops.argmax(x, axis=1), "float64"), "smallest": lambda x: ops.mean(x, axis=-1) + ops.cast(ops.argmin(x, axis=-1), "float64"),
    "tensor": lambda x: ops.convert_to_tensor(x * 2.0), "copy": lambda x: ops.copy(x), "fmax": lambda x: ops.maximum(x, 0.2), "trunc": lambda x: x - ops.trunc(x * 2.0),
    "tan": ops.tan, "sinh": ops.sinh, "cosh": ops.cosh, "arcsinh": ops.arcsinh, "arccosh": lambda x: ops.arccosh(ops.square(x) + 1.5), "arctanh": lambda x: ops.arctanh(ops.tanh(x) * 0.5),
    "exp2": ops.exp2, "log2": lambda x: ops.log2(ops.square(x) + 1.0), "log10": lambda x: ops.log10(ops.square(x) + 1.0), "deg2rad": ops.deg2rad,
    "xor": lambda x: x * ops.cast(ops.logical_xor(x > 0, x > 0.5), "float64"), "erfc": lambda x: 1.0 - ops.erf(x), "celu": lambda x: ops.celu(x, 0.7), "squareplus": lambda x: ops.squareplus(x, 2),
    "soft shrink": lambda x: ops.soft_shrink(x, 0.3), "hard shrink": lambda x: ops.hard_shrink(x, 0.3), "threshold": lambda x: ops.threshold(x, 0.1, 0.4), "glu": lambda x: ops.glu(x, axis=-1),
    "amax": lambda x: ops.amax(x, axis=1), "amin": lambda x: ops.amin(x, axis=-1, keepdims=True), "prod": lambda x: ops.prod(x, axis=1), "prod of all axes": lambda x: ops.prod(x, axis=(1, 2)),
    "count": lambda x: ops.max(x, axis=1) * ops.cast(ops.count_nonzero(ops.relu(x), axis=1), "float64"), "average": lambda x: ops.average(x, axis=1), "moments": lambda x: ops.moments(x, axes=[1])[1],
    "norm": lambda x: x / ops.norm(x), "layer norm": lambda x: ops.layer_normalization(x, epsilon=1e-3), "rms norm": lambda x: ops.rms_normalization(x, epsilon=1e-3),
    "roll": lambda x: ops.roll(x, 1, axis=1), "roll back": lambda x: ops.roll(x, -3, axis=2), "diff": lambda x: ops.diff(x, axis=1), "diff twice": lambda x: ops.diff(x, n=2, axis=-1),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 2))), "pad with a value": lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=0.5), "tril": ops.tril, "triu": lambda x: ops.triu(x, k=1),
    "unstack": lambda x: ops.unstack(x, axis=1)[1], "fliplr": ops.fliplr, "hstack": lambda x: ops.hstack([x, x * x]), "split at": lambda x: ops.split(x, [1, 3], axis=-1)[1],
    "turned item": lambda x: x[:, ::-1, 3:0:-2], "dot": lambda x: ops.dot(x, np.arange(8.0).reshape(4, 2)), "tensordot": lambda x: ops.tensordot(x, np.arange(8.0).reshape(4, 2), axes=1),
    "tensordot of axes": lambda x: ops.tensordot(x, np.arange(6.0).reshape(2, 3), axes=[[1], [1]]), "matmul with a vector": lambda x: ops.matmul(x, np.arange(4.0)),
}
FURTHER_TWO = {
    "logaddexp": ops.logaddexp, "heaviside": lambda x, y: x * ops.heaviside(x, y), "hypot": ops.hypot, "fmod": lambda x, y: ops.square(x) - ops.fmod(x, ops.square(y) + 0.5), "weighted average": lambda x, y: ops.average(x, axis=1, weights=ops.square(y)),
    "matmul over heads": lambda x, y: ops.matmul(ops.expand_dims(x, 1), ops.expand_dims(ops.transpose(y, (0, 2, 1)), 1)),
}


def record(one, two, path):
    random = np.random.default_rng(5)
    cases = []
    for name, function in {**one, **two}.items():
        keras.backend.clear_session()
        inputs = [keras.Input(SHAPE) for _ in range(2 if name in two else 1)]
        model = keras.Model(inputs, function(*inputs))
        xs = [np.round(random.normal(size=(2, *SHAPE)) * 256 + 0.5) / 256 - 1 / 512 for _ in inputs]
        y = np.asarray(model(xs if len(xs) > 1 else xs[0]))
        g = np.round(random.normal(size=y.shape) * 256) / 256
        found = jax.grad(lambda xs: (model(xs if len(xs) > 1 else xs[0]) * g).sum())([jax.numpy.asarray(x) for x in xs])
        stored = lambda a: {"shape": list(np.shape(a)), "data": [float(f"{v:.9g}") for v in np.asarray(a).ravel()]}
        cases.append({"name": name, "config": json.loads(model.to_json()), "x": [stored(x) for x in xs], "y": stored(y), "g": stored(g), "gradients": [stored(d) for d in found]})
    lines = ",\n".join(json.dumps(c) for c in cases)
    path.write_text('{"keras": "%s", "cases": [\n%s\n]}\n' % (keras.__version__, lines))
    print(len(cases))


here = pathlib.Path(__file__)
if "further" not in sys.argv:
    record(ONE, TWO, here.with_suffix(".json"))
record(FURTHER, FURTHER_TWO, here.with_name("further-keras-operations.json"))
