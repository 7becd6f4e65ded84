"""Training and inference steps of PyTorch. Reads a JSON object per line, answers with one: milliseconds per step. The argument is the number
of threads.

{"kind": "lstm", "batch": 32, "time": 100, "features": 128, "units": 128, "work": "train", "steps": 5}
Training is forward, mean squared error of the whole output sequence, backward and Adam; the gradient of the input is not asked for.
Every step has a batch of its own, made beforehand, as every contestant that goes through data by itself has.
"lengths" (one a row) packs the sequences, which the loss then sees alone.
"""
import json
import sys
import time

import torch
from torch.nn.utils import rnn

torch.set_num_threads(int(sys.argv[1]))
print(json.dumps({"version": torch.__version__}), flush=True)
current = (None, None)


def build(kind, features, units):
    network = {"gru": torch.nn.GRU, "simple-rnn": torch.nn.RNN}.get(kind, torch.nn.LSTM)
    options = {"bidirectional": {"bidirectional": True}, "two-layer": {"num_layers": 2}}.get(kind, {})
    return network(features, units, batch_first=True, **options)


def prepare(order):
    """The model and the data of the last order are kept."""
    global current
    key = tuple(order[k] for k in ("kind", "batch", "time", "features", "units"))
    if current[0] != key:
        kind, _, _, features, units = key
        torch.manual_seed(0)
        layer = build(kind, features, units)
        current = (key, {"layer": layer, "optimizer": torch.optim.Adam(layer.parameters(), lr=1e-3), "steps": 0, "work": None})
    made = current[1]
    if (made["steps"], made["work"]) != (order["steps"], order["work"]):
        kind, batch, time_steps, features, units = key
        width = 2 * units if kind == "bidirectional" else units
        rows = batch * order["steps"]
        made["steps"], made["work"] = order["steps"], order["work"]
        made["x"] = torch.randn(rows, time_steps, features).split(batch)
        made["y"] = torch.rand(rows, time_steps, width).split(batch) if order["work"] == "train" else [None] * order["steps"]
    return made


def train(layer, optimizer, x, y):
    optimizer.zero_grad(set_to_none=True)
    torch.nn.functional.mse_loss(layer(x)[0], y).backward()
    optimizer.step()


def train_packed(layer, optimizer, x, y, lengths):
    optimizer.zero_grad(set_to_none=True)
    packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    goal = rnn.pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
    torch.nn.functional.mse_loss(layer(packed)[0].data, goal.data).backward()
    optimizer.step()


def infer(layer, x):
    with torch.inference_mode():
        layer(x)


for line in sys.stdin:
    order = json.loads(line)
    made = prepare(order)
    layer, optimizer = made["layer"], made["optimizer"]
    if "lengths" in order:
        lengths = torch.tensor(order["lengths"])
        step = lambda x, y: train_packed(layer, optimizer, x, y, lengths)
    elif order["work"] == "train":
        step = lambda x, y: train(layer, optimizer, x, y)
    else:
        step = lambda x, _: infer(layer, x)
    started = time.perf_counter()
    for x, y in zip(made["x"], made["y"]):
        step(x, y)
    print(json.dumps({"milliseconds": 1000 * (time.perf_counter() - started) / order["steps"]}), flush=True)
