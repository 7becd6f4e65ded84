"""Training of embeddings of which a batch touches few rows: PyTorch's sparse gradients in float64, and models of Keras in float32.

    KERAS_BACKEND=jax python test/golden/touched-rows.py > test/golden/touched-rows.json
"""

import json

import keras
import numpy as np
import torch

ROWS, COLUMNS, BATCH, TIME, STEPS = 60, 6, 3, 5, 4
random = np.random.default_rng(11)


def drawn(*shape):
    """Whole thousandths, which JSON holds in few characters and float32 rounds once."""
    return random.integers(-500, 500, shape) / 1000


def stored(x):
    return {"shape": list(x.shape), "data": [float(f"{v:.8g}") for v in np.asarray(x, np.float64).reshape(-1)]}


# The third batch is padding alone.
ids = random.integers(1, ROWS, (STEPS, BATCH, TIME))
ids[:, 0, :2] = 0
ids[:, 1, 1] = ids[:, 1, 3]
ids[2] = 0
targets = random.integers(0, 2, (STEPS, BATCH, 1))
table = drawn(ROWS, COLUMNS)


def sparse(make):
    embedding = torch.nn.Embedding(ROWS, COLUMNS, sparse=True, dtype=torch.float64)
    with torch.no_grad():
        embedding.weight.copy_(torch.tensor(table))
    optimizer = make(embedding.parameters())
    for step in range(STEPS):
        optimizer.zero_grad()
        torch.tanh(embedding(torch.tensor(ids[step]))).square().sum().backward()
        assert embedding.weight.grad.is_sparse
        optimizer.step()
    return stored(embedding.weight.detach().numpy())


UNITS = 4
weights = [table, drawn(COLUMNS, 4 * UNITS), drawn(UNITS, 4 * UNITS), drawn(4 * UNITS), drawn(UNITS, 1), drawn(1)]


def trained(optimizer):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((TIME,), dtype="int32"),
            layers.Embedding(ROWS, COLUMNS, mask_zero=True),
            layers.LSTM(UNITS),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights([w.astype("float32") for w in weights])
    model.compile(optimizer=optimizer, loss="binary_crossentropy")
    for step in range(STEPS):
        model.train_on_batch(ids[step], targets[step].astype("float32"))
    return stored(np.asarray(model.get_weights()[0]))


optimizers = keras.optimizers
cases = [
    optimizers.SGD(0.5),
    optimizers.SGD(0.5, clipnorm=0.01),
    optimizers.SGD(0.5, global_clipnorm=0.05),
    optimizers.SGD(0.5, momentum=0.9),
    optimizers.SGD(0.5, gradient_accumulation_steps=2),
    optimizers.Adagrad(0.1),
    optimizers.Adam(0.01),
    optimizers.AdamW(0.01, weight_decay=0.1),
    optimizers.RMSprop(0.01),
    optimizers.Ftrl(0.1),
]
print(
    json.dumps(
        {
            "ids": ids.tolist(),
            "targets": targets.tolist(),
            "table": stored(table),
            "weights": [stored(w) for w in weights],
            "sparse": {
                "sgd": sparse(lambda p: torch.optim.SGD(p, lr=0.1)),
                "adagrad": sparse(lambda p: torch.optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.1, eps=1e-30)),
            },
            "models": [{"optimizer": keras.optimizers.serialize(o), "table": trained(o)} for o in cases],
        }
    )
)
