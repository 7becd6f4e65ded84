"""Models of Keras 3 (JAX backend) compiled with metrics and weighted metrics: evaluate, and two epochs of fit with validation data.

Run: KERAS_BACKEND=jax python test/golden/metrics-models.py    (keras 3.15; writes metrics-models.json beside it)
"""
import json
import os
from pathlib import Path

os.environ.setdefault('KERAS_BACKEND', 'jax')
import keras
import numpy as np

keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)
m = keras.metrics


def f(a):
    return {'shape': list(a.shape), 'data': np.asarray(a, dtype='float64').ravel().tolist()}


def ids(a):
    return {'shape': list(a.shape), 'ids': a.astype(int).ravel().tolist()}


def stored(a):
    return ids(a) if a.dtype.kind == 'i' else f(a)


def numbers(logs):
    """Lists become name_0, name_1 and so on."""
    flat = {}
    for name, value in logs.items():
        value = np.asarray(value, dtype='float64')
        flat.update({name: float(value)} if value.ndim == 0 else {f'{name}_{i}': float(v) for i, v in enumerate(value)})
    return flat


def case(name, model, x, y, weight, compile_arguments):
    optimizer = lambda: keras.optimizers.SGD(0.1)
    model.compile(optimizer=optimizer(), **compile_arguments())
    arguments = dict(sample_weight=weight, batch_size=4, verbose=0)
    evaluated = numbers(model.evaluate(x, y, return_dict=True, **arguments))
    config = json.loads(model.to_json())
    weights = model.get_weights()
    model.compile(optimizer=optimizer(), **compile_arguments())
    history = model.fit(x, y, epochs=2, shuffle=False, validation_data=(x, y, weight), **arguments).history
    as_list = lambda v: None if v is None else [stored(a) for a in (v if isinstance(v, list) else [v])]
    return {
        'name': name, 'config': config, 'weights': [f(w) for w in weights], 'x': stored(x), 'y': as_list(y), 'weight': as_list(weight),
        'evaluated': evaluated, 'fit': [numbers({k: v[e] for k, v in history.items()}) for e in range(2)],
    }


cases = []
x = rng.normal(size=(11, 3)).astype('float32')
weight = rng.uniform(0.2, 2, 11).astype('float32')
binary = lambda: dict(
    loss='binary_crossentropy',
    metrics=['accuracy', m.AUC(name='area'), m.Precision(name='precision'), m.Recall(thresholds=0.4, name='recall'),
             m.F1Score(average='micro', threshold=0.5, name='f1'), 'mae', 'mean_squared_error', 'AUC',
             m.TruePositives(thresholds=[0.3, 0.6], name='hits'), keras.losses.mean_absolute_error],
    weighted_metrics=['accuracy', m.AUC(curve='PR', name='pr')],
)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation='sigmoid', name='d')], name='binary')
cases.append(case('one output', model, x, rng.integers(0, 2, (11, 1)).astype('float32'), weight, binary))

inputs = keras.Input((3,), name='in')
hidden = keras.layers.Dense(4, activation='tanh', name='h')(inputs)
kind = keras.layers.Dense(3, activation='softmax', name='kind')(hidden)
size = keras.layers.Dense(2, name='size')(hidden)
two = keras.Model(inputs, [kind, size], name='two')
arguments = lambda: dict(
    loss=['sparse_categorical_crossentropy', 'mse'],
    metrics=[['accuracy', m.SparseTopKCategoricalAccuracy(k=2, name='top2')], [m.R2Score(name='r2'), m.RootMeanSquaredError(name='rmse')]],
    weighted_metrics=[['accuracy'], ['mae']],
)
y = [rng.integers(0, 3, (11,)).astype('int32'), rng.normal(size=(11, 2)).astype('float32')]
cases.append(case('two outputs', two, x, y, [weight, weight[::-1].copy()], arguments))

steps = keras.Sequential([keras.Input((5, 3)), keras.layers.SimpleRNN(4, return_sequences=True, name='r'),
                          keras.layers.Dense(3, activation='softmax', name='d')], name='steps')
cases.append(case('steps', steps, rng.normal(size=(11, 5, 3)).astype('float32'), rng.integers(0, 3, (11, 5)).astype('int32'),
                  rng.uniform(0.2, 2, (11, 5)).astype('float32'),
                  lambda: dict(loss='sparse_categorical_crossentropy', metrics=['acc'], weighted_metrics=['sparse_categorical_crossentropy', 'acc'])))

Path(__file__).with_name('metrics-models.json').write_text(json.dumps({'cases': cases}, separators=(',', ':'), allow_nan=False) + '\n')
for c in cases:
    print(c['name'], c['evaluated'])
    print(json.dumps(c['config']['compile_config']['metrics'])[:600])
