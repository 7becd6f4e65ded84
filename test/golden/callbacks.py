"""What Keras's callbacks decide for random logs and options, what its progress bar prints, and how Python formats numbers.

    KERAS_BACKEND=jax python test/golden/callbacks.py     writes callbacks.json

Needs keras 3.15 and jax. The callbacks see a model that only records what is done to it. ModelCheckpoint with save_best_only and a save_freq in
steps fails in Keras before the first epoch has ended, because the direction is chosen at its end; here it is chosen before.
"""

import json
import math
import os
import random
import tempfile
import time
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras  # noqa: E402
from keras.src.utils import io_utils  # noqa: E402
from keras.src.utils import progbar as progbar_module  # noqa: E402

SEED = 20
warnings.simplefilter("ignore")
said = []
io_utils.print_msg = lambda message, line_break=True: said.append(message + "\n" if line_break else message)


class Model:
    """Its weights are the number of the epoch in which they were read."""

    def __init__(self, learning_rate=0.01):
        self.optimizer = keras.optimizers.SGD(learning_rate)
        self.epoch = 0
        self.set_to = None
        self.saved = []
        self.stop_training = False

    def get_weights(self):
        return self.epoch

    def set_weights(self, weights):
        self.set_to = weights

    def save(self, path, overwrite=True):
        self.saved.append(path)

    save_weights = save


def number(value):
    """JSON has no NaN and no infinity."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else str(value)


def sequence(draw, length):
    """On a coarse grid, so that equal values and changes of exactly min_delta occur."""
    level = draw.random() * 2
    values = []
    for _ in range(length):
        level += draw.choice([-0.2, -0.1, -0.05, -0.001, 0, 0, 0.05, 0.1, 0.001])
        values.append(float("nan") if draw.random() < 0.03 else round(level, 3))
    return values


def monitored(draw):
    monitor = draw.choice(["loss", "val_loss", "val_accuracy", "absent"])
    mode = draw.choice(["auto", "min", "max"]) if monitor.endswith("loss") else draw.choice(["min", "max"])
    return monitor, mode


def logs_of(draw, length):
    columns = {name: sequence(draw, length) for name in ["loss", "val_loss", "val_accuracy"]}
    return [{name: values[i] for name, values in columns.items()} for i in range(length)]


def early_stopping(draw):
    monitor, mode = monitored(draw)
    options = dict(
        monitor=monitor,
        mode=mode,
        min_delta=draw.choice([0, 0, 0.05, 0.1, -0.1]),
        patience=draw.choice([0, 1, 2, 3]),
        baseline=draw.choice([None, None, 0.5, 1.0]),
        restore_best_weights=draw.random() < 0.6,
        start_from_epoch=draw.choice([0, 0, 2, 5]),
        verbose=draw.choice([0, 1]),
    )
    logs = logs_of(draw, draw.randint(1, 14))
    model = Model()
    callback = keras.callbacks.EarlyStopping(**options)
    callback.set_model(model)
    said.clear()
    callback.on_train_begin()
    steps = []
    for epoch, own in enumerate(logs):
        model.epoch = epoch
        callback.on_epoch_end(epoch, dict(own))
        steps.append([number(callback.best), callback.wait, callback.best_epoch, model.stop_training])
        if model.stop_training:
            break
    callback.on_train_end()
    return dict(
        options=options,
        logs=[{k: number(v) for k, v in own.items()} for own in logs],
        steps=steps,
        stopped=callback.stopped_epoch,
        set_to=model.set_to,
        said="".join(said),
    )


def reduce_lr(draw):
    monitor, mode = monitored(draw)
    options = dict(
        monitor=monitor,
        mode=mode,
        factor=draw.choice([0.1, 0.5, 0.9]),
        min_delta=draw.choice([1e-4, 0, 0.05, 0.1]),
        patience=draw.choice([0, 1, 2, 3]),
        cooldown=draw.choice([0, 0, 1, 3]),
        min_lr=draw.choice([0.0, 0.0, 0.002, 0.01]),
    )
    logs = logs_of(draw, draw.randint(4, 20))
    model = Model(0.01)
    callback = keras.callbacks.ReduceLROnPlateau(**options)
    callback.set_model(model)
    callback.on_train_begin()
    steps = []
    for epoch, own in enumerate(logs):
        own = dict(own)
        callback.on_epoch_end(epoch, own)
        steps.append(
            [number(callback.best), callback.wait, number(own["learning_rate"]), number(model.optimizer.learning_rate)]
        )
    return dict(options=options, logs=[{k: number(v) for k, v in own.items()} for own in logs], steps=steps)


def checkpoint(draw, folder):
    monitor, mode = monitored(draw)
    weights = draw.random() < 0.3
    save_freq = draw.choice(["epoch", "epoch", 1, 3, 4, 7])
    places = ["{epoch:02d}", "{epoch}-{val_loss:.2f}", "{epoch:03d}-{loss:.4e}", "best", "{val_accuracy}", "{{{epoch:>4}}}"]
    if save_freq != "epoch":
        places = ["{epoch:02d}-{batch:04d}", "{epoch}-{batch}-{loss:.3f}", "last"]
    options = dict(
        filepath=draw.choice(places) + (".weights.h5" if weights else ".keras"),
        monitor=monitor,
        mode=mode,
        save_best_only=draw.random() < 0.6,
        save_weights_only=weights,
        save_freq=save_freq,
        initial_value_threshold=draw.choice([None, None, 0.8]),
        verbose=draw.choice([0, 1]),
    )
    epochs = draw.randint(1, 6)
    batches = draw.randint(1, 10)
    model = Model()
    callback = keras.callbacks.ModelCheckpoint(**options)
    callback.set_model(model)
    if save_freq != "epoch":
        callback._set_monitor_op()
    said.clear()
    plan = logs_of(draw, epochs)
    parts = [logs_of(draw, batches) for _ in range(epochs)]
    for own in plan + [one for part in parts for one in part]:
        for name, value in own.items():
            own[name] = 1.5 if math.isnan(value) else value
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            model.batch = batch
            callback.on_train_batch_end(batch, dict(parts[epoch][batch]))
        callback.on_epoch_end(epoch, dict(plan[epoch]))
    return dict(
        options=options, logs=plan, batch_logs=parts, saved=model.saved, best=number(callback.best), said="".join(said)
    )


def csv_file(draw, folder):
    separator = draw.choice([",", ";", "\t"])
    names = draw.choice([["loss"], ["loss", "accuracy"], ["loss", "val_loss", "a,b", 'c"d'], ["z", "loss", "val_z", "x;y"]])
    path = os.path.join(folder, "log.csv")
    if os.path.exists(path):
        os.remove(path)
    append = draw.random() < 0.5
    runs = []
    for _ in range(2):
        callback = keras.callbacks.CSVLogger(path, separator=separator, append=append)
        callback.on_train_begin()
        logs = []
        for epoch in range(draw.randint(1, 3)):
            own = {n: draw.choice([0.5, 1.0, 1e-5, 123456789.0, 1e16, 1 / 3, 2e-300, float("nan"), float("inf")]) for n in names}
            if epoch and draw.random() < 0.4:
                own.pop(names[-1])
            logs.append({k: number(v) for k, v in own.items()})
            callback.on_epoch_end(epoch, own)
        callback.on_train_end()
        runs.append(logs)
    with open(path, newline="") as file:
        return dict(separator=separator, append=append, runs=runs, text=file.read())


def formats(draw):
    cases = []
    for specification in ["", "02d", "5d", "+d", "<6d", "^7d", "*>5d", "=+5d", ",d", "_d", "06,d", ".2f", "08.3f", "+.1f"]:
        for value in [0, 7, 42, 1234567]:
            cases.append([value, True, specification, format(value, specification)])
    floats = [0.0, 0.5, 2.5, 0.125, 0.15625, -0.03125, 1 / 3, 1e-5, 1.5e-7, 123456.789, 1e16, 9.9999995, 1e100, -7.0]
    floats += [draw.uniform(-2, 2) * 10 ** draw.randint(-8, 8) for _ in range(20)]
    for specification in ["", ".2f", ".0f", "8.3f", "<9.2f", "=+10.1f", ".4e", ".0e", ".3g", "g", ".2%", "%", ".6", ".1", ",.2f", "010.2f", "G"]:
        for value in floats:
            cases.append([value, False, specification, format(value, specification)])
    return cases


def progress(draw, verbose):
    """The bar with a clock of its own."""
    now = [1000.0]
    progbar_module.time.time = lambda: now[0]
    target = draw.choice([None, 1, 9, 10, 128, 5000])
    bar = progbar_module.Progbar(target, verbose=verbose, stateless_metrics=set())
    bar._dynamic_display = True
    steps = []
    current = 0
    last = target or draw.choice([3, 40])
    while current < last:
        now[0] += draw.choice([0.00003, 0.01, 0.06, 0.7, 1.5, 30.0])
        current = min(last, current + draw.choice([1, 1, 2, 7, 700]))
        logs = {"accuracy": draw.choice([0.0, 0.15625, 0.5, draw.random()]), "loss": draw.choice([0.0005, 2.0, draw.random() * 3])}
        finalize = current == last
        if finalize:
            logs["val_loss"] = draw.random()
            if target is None:
                bar.target = current
        said.clear()
        bar.update(current, list(logs.items()), finalize=finalize)
        steps.append(dict(time=now[0] - 1000.0, current=current, logs=logs, finalize=finalize, said="".join(said)))
    return dict(target=target, verbose=verbose, steps=steps)


def main():
    draw = random.Random(SEED)
    clock = time.time
    with tempfile.TemporaryDirectory() as folder:
        golden = dict(
            early_stopping=[early_stopping(draw) for _ in range(60)],
            reduce_lr=[reduce_lr(draw) for _ in range(40)],
            checkpoint=[checkpoint(draw, folder) for _ in range(40)],
            csv=[csv_file(draw, folder) for _ in range(12)],
            formats=formats(draw),
            progress=[progress(draw, verbose) for verbose in [1, 1, 1, 1, 1, 1, 2, 2]],
        )
    time.time = clock
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "callbacks.json")
    with open(path, "w") as file:
        json.dump(golden, file)


if __name__ == "__main__":
    main()
