"""Training steps of single layers in PyTorch on one thread. Reads a JSON object per line, answers with one: milliseconds per step, and the bytes
that are kept for the way back and for the weights with their gradients and Adam's two slots.

{"layer": "conv1d", "batch": 32, "time": 100, "features": 64, "steps": 5}
A step is forward, mean squared error of all outputs, backward and Adam. In front of layers without weights stands a linear one, here and there.
Answers {"milliseconds": null} for a layer that PyTorch does not have.
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
print(json.dumps({"version": torch.__version__}), flush=True)


class Of(nn.Module):
    """A function as a layer."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


first = lambda x, layer: layer(x)[0]
along = lambda x, layer: layer(x.transpose(1, 2)).transpose(1, 2)


def grouped(x, q, k, v, o):
    split = lambda y, heads: y.view(y.shape[0], y.shape[1], heads, -1).transpose(1, 2)
    y = F.scaled_dot_product_attention(split(q(x), 4), split(k(x), 2), split(v(x), 2), enable_gqa=True)
    return o(y.transpose(1, 2).flatten(2))


def additive(x, scale):
    scores = scale(torch.tanh(x.unsqueeze(2) + x.unsqueeze(1))).squeeze(-1)
    return torch.softmax(scores, -1) @ x


# name -> whether a linear layer stands in front, and the layer for a number of features
LAYERS = {
    "dense": (False, lambda f: nn.Linear(f, f)),
    "embedding": (False, lambda f: nn.Embedding(10_000, f)),
    "simpleRNN": (False, lambda f: Of(first, nn.RNN(f, f, batch_first=True))),
    "lstm": (False, lambda f: Of(first, nn.LSTM(f, f, batch_first=True))),
    "gru": (False, lambda f: Of(first, nn.GRU(f, f, batch_first=True))),
    "bidirectional": (False, lambda f: Of(first, nn.LSTM(f, f // 2, batch_first=True, bidirectional=True))),
    "timeDistributed": (False, lambda f: nn.Linear(f, f)),
    "einsumDense": (False, lambda f: nn.Linear(f, f)),
    "conv1d": (False, lambda f: Of(along, nn.Conv1d(f, f, 3, padding=1))),
    "depthwiseConv1d": (False, lambda f: Of(along, nn.Conv1d(f, f, 3, padding=1, groups=f))),
    "separableConv1d": (False, lambda f: Of(along, nn.Sequential(nn.Conv1d(f, f, 3, padding=1, groups=f, bias=False), nn.Conv1d(f, f, 1)))),
    "batchNormalization": (True, lambda f: Of(along, nn.BatchNorm1d(f))),
    "layerNormalization": (True, lambda f: nn.LayerNorm(f)),
    "rmsNormalization": (True, lambda f: nn.RMSNorm(f)),
    "groupNormalization": (True, lambda f: Of(along, nn.GroupNorm(4, f))),
    "unitNormalization": (True, lambda f: Of(lambda x: F.normalize(x, dim=-1))),
    "maxPooling1d": (True, lambda f: Of(along, nn.MaxPool1d(2))),
    "averagePooling1d": (True, lambda f: Of(along, nn.AvgPool1d(2))),
    "globalMaxPooling1d": (True, lambda f: Of(lambda x: x.amax(1))),
    "globalAveragePooling1d": (True, lambda f: Of(lambda x: x.mean(1))),
    "activation": (True, lambda f: nn.GELU()),
    "relu": (True, lambda f: nn.ReLU()),
    "prelu": (True, lambda f: Of(along, nn.PReLU(f))),
    "softmax": (True, lambda f: nn.Softmax(-1)),
    "dropout": (True, lambda f: nn.Dropout(0.3)),
    "spatialDropout1d": (True, lambda f: Of(along, nn.Dropout1d(0.3))),
    "gaussianNoise": (True, lambda f: Of(lambda x: x + torch.randn_like(x) * 0.1)),
    "flatten": (True, lambda f: nn.Flatten()),
    "permute": (True, lambda f: Of(lambda x: x.transpose(1, 2).contiguous())),
    "cropping1d": (True, lambda f: Of(lambda x: x[:, 1:-1])),
    "zeroPadding1d": (True, lambda f: Of(lambda x: F.pad(x, (0, 0, 1, 1)))),
    "upSampling1d": (True, lambda f: Of(lambda x: x.repeat_interleave(2, 1))),
    "add": (True, lambda f: Of(lambda x: x + x.flip(-1))),
    "multiply": (True, lambda f: Of(lambda x: x * x.flip(-1))),
    "concatenate": (True, lambda f: Of(lambda x: torch.cat([x, x.flip(-1)], -1))),
    "dot": (True, lambda f: Of(lambda x: x @ x.transpose(1, 2))),
    "attention": (True, lambda f: Of(lambda x: torch.softmax(x @ x.transpose(1, 2), -1) @ x)),
    "additiveAttention": (True, lambda f: Of(additive, nn.Linear(f, 1, bias=False))),
    "multiHeadAttention": (False, lambda f: Of(lambda x, m: m(x, x, x, need_weights=False)[0], nn.MultiheadAttention(f, 4, batch_first=True))),
    "groupQueryAttention": (False, lambda f: Of(grouped, nn.Linear(f, f), nn.Linear(f, f // 2), nn.Linear(f, f // 2), nn.Linear(f, f))),
}
ready = {}


def prepare(order):
    key = (order["layer"], order["batch"], order["time"], order["features"])
    if key not in ready:
        torch.manual_seed(0)
        front, make = LAYERS[order["layer"]]
        f, shape = order["features"], key[1:]
        model = nn.Sequential(nn.Linear(f, f), make(f)) if front else make(f)
        x = torch.randint(0, 10_000, shape[:2]) if order["layer"] == "embedding" else torch.randn(shape)
        y = torch.rand(model(x).shape)
        ready[key] = (model, torch.optim.Adam(model.parameters(), lr=1e-3), x, y)
    return ready[key]


def train(model, optimizer, x, y):
    optimizer.zero_grad(set_to_none=True)
    F.mse_loss(model(x), y).backward()
    optimizer.step()


def kept(model, optimizer, x, y):
    """Bytes of all that is saved for the way back, each storage once, and of the weights four times."""
    seen = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        F.mse_loss(model(x), y).backward()
    return sum(seen.values()) + 3 * sum(p.numel() * 4 for p in model.parameters())


for line in sys.stdin:
    order = json.loads(line)
    if order["layer"] not in LAYERS:
        print(json.dumps({"milliseconds": None}), flush=True)
        continue
    made = prepare(order)
    if order["steps"] == 0:
        print(json.dumps({"milliseconds": kept(*made)}), flush=True)
        continue
    started = time.perf_counter()
    for _ in range(order["steps"]):
        train(*made)
    print(json.dumps({"milliseconds": 1000 * (time.perf_counter() - started) / order["steps"]}), flush=True)
