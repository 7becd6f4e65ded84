"""What Keras 3 offers: the constructor arguments of the layers and cells that recurrent models are made of, with their defaults, and of
all activations, initialisers, regularisers and constraints. `test/layers/keras-signatures.test.ts` holds our option tables against it.

Run:  KERAS_BACKEND=jax python test/golden/keras-signatures.py       writes keras-signatures.json beside this file
"""

import inspect
import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
import keras

LAYERS = """
InputLayer Embedding SimpleRNN LSTM GRU ConvLSTM1D ConvLSTM2D ConvLSTM3D RNN Bidirectional Dense Dropout Masking TimeDistributed
Activation ReLU LeakyReLU ELU PReLU Softmax SpatialDropout1D GaussianNoise GaussianDropout AlphaDropout Identity ActivityRegularization
BatchNormalization LayerNormalization RMSNormalization UnitNormalization GroupNormalization Conv1D Conv2D DepthwiseConv1D SeparableConv1D
MaxPooling1D AveragePooling1D GlobalMaxPooling1D GlobalAveragePooling1D Flatten Reshape Permute RepeatVector Cropping1D ZeroPadding1D
UpSampling1D EinsumDense Add Subtract Multiply Average Maximum Minimum Concatenate Dot Attention AdditiveAttention MultiHeadAttention
GroupQueryAttention
""".split()
CELLS = ["SimpleRNNCell", "LSTMCell", "GRUCell"]


def plain(value):
    if value is inspect.Parameter.empty:
        return {"required": True}
    return value if isinstance(value, (bool, int, float, str, type(None))) else json.loads(json.dumps(value))


def arguments(function):
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return {p.name: plain(p.default) for p in parameters if p.kind not in kinds and p.name != "self"}


def call_arguments(layer):
    skipped = ("self", "inputs", "x", "sequence", "sequences", "query", "value", "key")
    return [name for name in arguments(layer.call) if name not in skipped]


def classes(module, base):
    found = {}
    for name in dir(module):
        value = getattr(module, name)
        if inspect.isclass(value) and issubclass(value, base) and value is not base:
            found[value.__name__] = arguments(value.__init__)
    return found


def activations():
    skipped = ("get", "serialize", "deserialize")
    names = [name for name in dir(keras.activations) if not name.startswith("_") and name not in skipped]
    return {name: arguments(getattr(keras.activations, name)) for name in names}


result = {
    "keras": keras.__version__,
    "layers": {name: arguments(getattr(keras.layers, name).__init__) for name in LAYERS + CELLS},
    "calls": {name: call_arguments(getattr(keras.layers, name)) for name in LAYERS + CELLS},
    "activations": activations(),
    "initializers": classes(keras.initializers, keras.initializers.Initializer),
    "regularizers": classes(keras.regularizers, keras.regularizers.Regularizer),
    "constraints": classes(keras.constraints, keras.constraints.Constraint),
}
lines = [f'"{kind}": {{\n' + ",\n".join(f'  "{k}": {json.dumps(v)}' for k, v in part.items()) + "\n}" for kind, part in result.items() if kind != "keras"]
pathlib.Path(__file__).with_suffix(".json").write_text('{\n"keras": "%s",\n%s\n}\n' % (keras.__version__, ",\n".join(lines)))
