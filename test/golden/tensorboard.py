"""The bytes of an event file, made by TensorBoard's own message classes and record writer.

    python test/golden/tensorboard.py                writes tensorboard.json
    python test/golden/tensorboard.py check FOLDER   reads the runs below a folder with TensorBoard's reader and prints them as JSON

Needs tensorboard 2.21 and numpy.
"""

import base64
import json
import os
import sys

sys.path.pop(0)  # this folder: the script has the name of the package

import numpy as np
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2, graph_pb2, summary_pb2
from tensorboard.plugins.histogram import summary_v2 as histogram_summary
from tensorboard.plugins.scalar import summary_v2 as scalar_summary
from tensorboard.plugins.text import summary_v2 as text_summary
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

SEED = 7
TIME = 1_700_000_000.25


def graph():
    definition = graph_pb2.GraphDef()
    for name, op, inputs, shape, parameters, trainable in [
        ("input", "InputLayer", [], [-1, 7, 3], 0, True),
        ("lstm", "LSTM", ["input"], [-1, 4], 128, True),
        ("lstm_1", "LSTM", ["input"], [-1, 4], 128, True),
        ("add", "Add", ["lstm", "lstm_1"], [-1, 4], 0, False),
    ]:
        node = definition.node.add(name=name, op=op, input=inputs)
        dims = node.attr["_output_shapes"].list.shape.add()
        for size in shape:
            dims.dim.add(size=size)
        node.attr["parameters"].i = parameters
        node.attr["trainable"].b = trainable
    definition.versions.producer = 22
    return definition


class Memory:
    def __init__(self):
        self.parts = []

    def write(self, part):
        self.parts.append(part)

    def flush(self):
        pass


def write():
    random = np.random.default_rng(SEED)
    cases = {
        "normal": random.normal(size=50),
        "single": np.full(4, 0.25),
        "empty": np.zeros(0),
        "integers": np.arange(31.0),
    }
    events = [event_pb2.Event(wall_time=TIME, file_version="brain.Event:2")]

    def summary(step, value):
        events.append(event_pb2.Event(wall_time=TIME, step=step, summary=value))

    for step, value in enumerate([0.5, 0.0, float("nan"), float("inf"), 1e-30]):
        summary(step, scalar_summary.scalar_pb("epoch_loss", value))
    summary(2**40, scalar_summary.scalar_pb("late", -1.5))
    for name, data in cases.items():
        summary(3, histogram_summary.histogram_pb(f"{name}/histogram", data))
    summary(0, text_summary.text_pb("summary", "**Größe** 大きさ"))
    keras = summary_pb2.Summary()
    value = keras.value.add(tag="keras", tensor=tensor_util.make_tensor_proto('{"class_name":"Sequential"}'))
    value.metadata.plugin_data.plugin_name = "graph_keras_model"
    value.metadata.plugin_data.content = b"1"
    summary(0, keras)
    events.append(event_pb2.Event(wall_time=TIME, graph_def=graph().SerializeToString(deterministic=True)))

    memory = Memory()
    writer = RecordWriter(memory)
    for event in events:
        writer.write(event.SerializeToString(deterministic=True))
    golden = {
        "time": TIME,
        "histograms": {name: data.tolist() for name, data in cases.items()},
        "records": [base64.b64encode(part).decode() for part in memory.parts],
    }
    path = os.path.join(os.path.dirname(__file__), "tensorboard.json")
    with open(path, "w") as file:
        json.dump(golden, file)


def plain(array):
    return [v.decode() if isinstance(v, bytes) else v for v in np.asarray(array).ravel().tolist()]


def check(folder):
    runs = {}
    for base, _, names in os.walk(folder):
        if not any("tfevents" in name for name in names):
            continue
        reader = event_accumulator.EventAccumulator(base, size_guidance={k: 0 for k in ("tensors", "scalars", "graph")})
        reader.Reload()
        tags = reader.Tags()
        runs[os.path.relpath(base, folder)] = {
            "graph": [[n.name, n.op, list(n.input)] for n in reader.Graph().node] if tags["graph"] else None,
            "tensors": {
                tag: {
                    "plugin": reader.SummaryMetadata(tag).plugin_data.plugin_name,
                    "events": [[e.step, plain(tensor_util.make_ndarray(e.tensor_proto))] for e in reader.Tensors(tag)],
                }
                for tag in tags["tensors"]
            },
        }
    print(json.dumps(runs))


if __name__ == "__main__":
    check(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[1] == "check" else write()
