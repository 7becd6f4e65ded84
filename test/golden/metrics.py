"""Metrics of Keras 3 (JAX backend) over several batches, with and without weights; and under masks, as Keras on the valid entries alone.

Run: KERAS_BACKEND=jax python test/golden/metrics.py    (keras 3.15, numpy; writes metrics.json beside it)

Numbers are multiples of 1/64, so they are exact in float32 and equal values really occur.
"""
import json
import os
from pathlib import Path

os.environ.setdefault('KERAS_BACKEND', 'jax')
import keras
import numpy as np

rng = np.random.default_rng(20261)
UNIT = 64


def units(a):
    return None if a is None else {'shape': list(a.shape), 'units': np.round(a * UNIT).astype(int).ravel().tolist()}


def ids(a):
    return {'shape': list(a.shape), 'ids': a.astype(int).ravel().tolist()}


def grid(*shape, low=0, high=UNIT):
    return (rng.integers(low, high + 1, shape) / UNIT).astype('float32')


def rows(*shape):
    """Positive rows; they need not sum to 1."""
    return grid(*shape, low=1)


def signed(*shape):
    return grid(*shape, low=-3 * UNIT, high=3 * UNIT)


def binary(*shape):
    return rng.integers(0, 2, shape).astype('float32')


def one_hot(*shape):
    return np.eye(shape[-1], dtype='float32')[rng.integers(0, shape[-1], shape[:-1])]


def weights(*shape):
    return grid(*shape, high=2 * UNIT)


def number(value):
    value = np.asarray(keras.ops.convert_to_numpy(value), dtype='float64')
    return value.tolist() if value.ndim else float(value)


cases = []


def add(title, metric, batches, masks=None):
    """batches: (y, p, weight or None). With masks Keras sees the rows that are valid."""
    for i, (y, p, w) in enumerate(batches):
        if masks is None:
            metric.update_state(y, p, sample_weight=w)
        else:
            valid = masks[i].astype(bool)
            metric.update_state(y[valid], p[valid], sample_weight=None if w is None else (
                np.broadcast_to(w.reshape(w.shape + (1,) * (valid.ndim - w.ndim)), valid.shape)[valid]))
    config = metric.get_config()
    cases.append({
        'title': title,
        'metric': {'class_name': type(metric).__name__, 'config': config},
        'batches': [{
            'y': ids(y) if y.dtype.kind == 'i' else units(y), 'p': units(p), 'weight': units(w),
            'mask': None if masks is None else ids(masks[i]),
        } for i, (y, p, w) in enumerate(batches)],
        'result': number(metric.result()),
    })


def three(make_y, make_p, weight_rank=None, sizes=(7, 7, 3), inner=()):
    """Three batches; the last is smaller."""
    batches = []
    for n in sizes:
        y, p = make_y(n), make_p(n)
        w = None if weight_rank is None else weights(*((n,) + inner)[:weight_rank])
        batches.append((y, p, w))
    return batches


m = keras.metrics
sequence = lambda make, *rest: lambda n: make(n, 4, *rest)
flat = lambda make, *rest: lambda n: make(n, *rest)

for weight_rank in (None, 1):
    tag = '' if weight_rank is None else ', weighted'
    # the accuracy family
    add('accuracy' + tag, m.Accuracy(), three(flat(binary, 3), flat(binary, 3), weight_rank))
    for threshold in (0.5, 0.25):
        add(f'binary accuracy at {threshold}{tag}', m.BinaryAccuracy(threshold=threshold), three(flat(binary, 1), flat(grid, 1), weight_rank))
    add('binary accuracy of several labels' + tag, m.BinaryAccuracy(), three(flat(binary, 3), flat(grid, 3), weight_rank))
    add('categorical accuracy' + tag, m.CategoricalAccuracy(), three(flat(one_hot, 5), flat(rows, 5), weight_rank))
    indices = lambda n: rng.integers(0, 5, (n,)).astype('int32')
    add('sparse categorical accuracy' + tag, m.SparseCategoricalAccuracy(), three(indices, flat(rows, 5), weight_rank))
    few = lambda n: (rng.integers(0, 5, (n, 8)) / UNIT).astype('float32')  # many equal ones
    eight = lambda n: rng.integers(0, 8, (n,)).astype('int32')
    for k in (1, 3, 5):
        add(f'top {k}{tag}', m.TopKCategoricalAccuracy(k=k), three(flat(one_hot, 8), few, weight_rank))
        add(f'sparse top {k}{tag}', m.SparseTopKCategoricalAccuracy(k=k), three(eight, few, weight_rank))
    ranked = lambda n: np.stack([rng.permutation(8) for _ in range(n)]).astype('float32')
    add('sparse top 3 of sorted ids' + tag, m.SparseTopKCategoricalAccuracy(k=3, from_sorted_ids=True), three(eight, ranked, weight_rank))
    # counts
    for cls in (m.TruePositives, m.TrueNegatives, m.FalsePositives, m.FalseNegatives):
        for thresholds in (None, 0.3, [0.75, 0.25, 0.5], [0.0, 0.5, 1.0]):
            add(f'{cls.__name__} at {thresholds}{tag}', cls(thresholds=thresholds), three(flat(binary, 2), flat(grid, 2), weight_rank))
    for cls in (m.Precision, m.Recall):
        for options in ({}, {'thresholds': 0.7}, {'thresholds': [0.9, 0.2]}, {'top_k': 2}, {'top_k': 2, 'thresholds': 0.5},
                        {'class_id': 1}, {'top_k': 2, 'class_id': 3}, {'thresholds': [0, 0.25, 0.5, 0.75, 1.0], 'top_k': 3}):
            add(f'{cls.__name__} {options}{tag}', cls(**options), three(flat(binary, 5), flat(grid, 5), weight_rank))
    for cls, key in ((m.SensitivityAtSpecificity, 'specificity'), (m.SpecificityAtSensitivity, 'sensitivity'),
                     (m.PrecisionAtRecall, 'recall'), (m.RecallAtPrecision, 'precision')):
        for value in (0.3, 0.6, 0.99):
            add(f'{cls.__name__} {value}{tag}', cls(**{key: value}), three(flat(binary, 1), lambda n: rows(n, 1), weight_rank))
        add(f'{cls.__name__} of class 1, 1 and 7 thresholds{tag}', cls(**{key: 0.4}, num_thresholds=7, class_id=1), three(flat(binary, 3), flat(rows, 3), weight_rank))
        add(f'{cls.__name__}, one threshold{tag}', cls(**{key: 0.4}, num_thresholds=1), three(flat(binary, 1), flat(rows, 1), weight_rank))
    # areas
    for curve in ('ROC', 'PR', 'PRGAIN'):
        for method in ('interpolation', 'minoring', 'majoring'):
            add(f'AUC {curve} {method}{tag}', m.AUC(curve=curve, summation_method=method), three(flat(binary, 1), flat(grid, 1), weight_rank))
        add(f'AUC {curve} of 9 thresholds{tag}', m.AUC(curve=curve, num_thresholds=9), three(flat(binary, 1), flat(grid, 1), weight_rank))
        add(f'AUC {curve} of given thresholds{tag}', m.AUC(curve=curve, thresholds=[0.6, 0.1, 0.3]), three(flat(binary, 1), flat(grid, 1), weight_rank))
        add(f'AUC {curve} of several labels{tag}', m.AUC(curve=curve, multi_label=True, num_labels=3), three(flat(binary, 3), flat(grid, 3), weight_rank))
    add('AUC with label weights' + tag, m.AUC(multi_label=True, num_labels=3, label_weights=[0.5, 2.0, 1.0]), three(flat(binary, 3), flat(grid, 3), weight_rank))
    add('AUC over all labels with weights of labels' + tag, m.AUC(label_weights=[0.5, 2.0, 1.0]), three(flat(binary, 3), flat(grid, 3), weight_rank))
    add('AUC from logits' + tag, m.AUC(from_logits=True), three(flat(binary, 1), flat(signed, 1), weight_rank))
    add('AUC, thresholds of its own and labels' + tag, m.AUC(multi_label=True, num_labels=2, thresholds=[0.2, 0.7]), three(flat(binary, 2), flat(grid, 2), weight_rank))
    # F
    for average in (None, 'micro', 'macro', 'weighted'):
        for threshold in (None, 0.6):
            add(f'F1 {average} {threshold}{tag}', m.F1Score(average=average, threshold=threshold), three(flat(one_hot, 4), flat(grid, 4), weight_rank))
            add(f'F2 {average} {threshold}{tag}', m.FBetaScore(average=average, beta=2.0, threshold=threshold), three(flat(binary, 4), flat(grid, 4), weight_rank))
    # numbers
    for aggregation in ('uniform_average', 'variance_weighted_average', None):
        for regressors in (0, 2):
            add(f'R2 {aggregation} {regressors}{tag}', m.R2Score(class_aggregation=aggregation, num_regressors=regressors), three(flat(signed, 3), flat(signed, 3), weight_rank))
    for cls in (m.MeanSquaredError, m.RootMeanSquaredError, m.MeanAbsoluteError, m.MeanAbsolutePercentageError, m.LogCoshError,
                m.CosineSimilarity, m.PearsonCorrelation, m.ConcordanceCorrelation, m.CategoricalHinge):
        add(cls.__name__ + tag, cls(), three(flat(signed, 4), flat(signed, 4), weight_rank))
    add('mean squared logarithmic error' + tag, m.MeanSquaredLogarithmicError(), three(flat(grid, 4), flat(grid, 4), weight_rank))
    for cls in (m.Hinge, m.SquaredHinge):
        add(cls.__name__ + tag, cls(), three(lambda n: binary(n, 3), flat(signed, 3), weight_rank))
        add(cls.__name__ + ' of -1 and 1' + tag, cls(), three(lambda n: 2 * binary(n, 3) - 1, flat(signed, 3), weight_rank))
    for cls in (m.KLDivergence, m.Poisson):
        add(cls.__name__ + tag, cls(), three(flat(rows, 4), flat(rows, 4), weight_rank))
    for options in ({}, {'from_logits': True}, {'label_smoothing': 0.125}, {'from_logits': True, 'label_smoothing': 0.25}):
        p = flat(signed, 3) if options.get('from_logits') else flat(rows, 3)
        add(f'binary crossentropy {options}{tag}', m.BinaryCrossentropy(**options), three(flat(binary, 3), p, weight_rank))
        add(f'categorical crossentropy {options}{tag}', m.CategoricalCrossentropy(**options), three(flat(one_hot, 3), p, weight_rank))
    triple = lambda n: rng.integers(0, 3, (n,)).astype('int32')
    for options in ({}, {'from_logits': True}, {'ignore_class': 1}):
        p = flat(signed, 3) if options.get('from_logits') else flat(rows, 3)
        add(f'sparse categorical crossentropy {options}{tag}', m.SparseCategoricalCrossentropy(**options), three(triple, p, weight_rank))

# sequences: no weight, one for a sample, one for a step
for weight_rank in (None, 1, 2):
    tag = f', weights of rank {weight_rank}'
    tags = lambda n: rng.integers(0, 3, (n, 4)).astype('int32')
    add('sparse categorical accuracy of steps' + tag, m.SparseCategoricalAccuracy(), three(tags, sequence(rows, 3), weight_rank, inner=(4,)))
    add('categorical accuracy of steps' + tag, m.CategoricalAccuracy(), three(sequence(one_hot, 3), sequence(rows, 3), weight_rank, inner=(4,)))
    add('binary accuracy of steps' + tag, m.BinaryAccuracy(), three(sequence(binary, 1), sequence(grid, 1), weight_rank, inner=(4,)))
    add('mean squared error of steps' + tag, m.MeanSquaredError(), three(sequence(signed, 2), sequence(signed, 2), weight_rank, inner=(4,)))
    add('root mean squared error of steps' + tag, m.RootMeanSquaredError(), three(sequence(signed, 2), sequence(signed, 2), weight_rank, inner=(4,)))
    if weight_rank != 1:  # Keras puts a weight of samples beside the wrong axis here
        add('AUC of steps' + tag, m.AUC(), three(sequence(binary, 1), sequence(grid, 1), weight_rank, inner=(4,)))
        add('precision of steps' + tag, m.Precision(), three(sequence(binary, 2), sequence(grid, 2), weight_rank, inner=(4,)))

# masks: as Keras on the valid rows alone
for weighted in (False, True):
    tag = ', masked and weighted' if weighted else ', masked'

    def masked(title, metric, make_y, make_p):
        masks = [rng.integers(0, 2, (n, 4)) for n in (7, 7, 3)]
        masks[0][0] = 0
        masks[1][1] = 1
        add(title + tag, metric, [(y, p, w) for y, p, w in three(make_y, make_p, 2 if weighted else None, inner=(4,))], masks)

    masked('sparse categorical accuracy', m.SparseCategoricalAccuracy(), lambda n: rng.integers(0, 3, (n, 4)).astype('int32'), sequence(rows, 3))
    masked('categorical crossentropy', m.CategoricalCrossentropy(), sequence(one_hot, 3), sequence(rows, 3))
    masked('root mean squared error', m.RootMeanSquaredError(), sequence(signed, 2), sequence(signed, 2))
    masked('AUC', m.AUC(), sequence(binary, 1), sequence(grid, 1))
    masked('AUC of labels', m.AUC(multi_label=True, num_labels=2), sequence(binary, 2), sequence(grid, 2))
    masked('precision', m.Precision(), sequence(binary, 1), sequence(grid, 1))
    masked('recall at thresholds', m.Recall(thresholds=[0.2, 0.8]), sequence(binary, 2), sequence(grid, 2))
    masked('F1', m.F1Score(average='macro'), sequence(one_hot, 3), sequence(grid, 3))
    masked('R2', m.R2Score(), sequence(signed, 2), sequence(signed, 2))
    masked('adjusted R2', m.R2Score(num_regressors=2), sequence(signed, 2), sequence(signed, 2))

# nothing found, nothing there
zeros = lambda n: np.zeros((n, 2), 'float32')
ones = lambda n: np.ones((n, 2), 'float32')
for cls in (m.Precision, m.Recall, m.AUC, m.F1Score):
    add(f'{cls.__name__} without positive labels', cls(), three(zeros, flat(grid, 2)))
    add(f'{cls.__name__} without negative labels', cls(), three(ones, flat(grid, 2)))
    add(f'{cls.__name__} where nothing is found', cls(), three(flat(binary, 2), zeros))
for curve in ('PR', 'PRGAIN'):
    add(f'AUC {curve} without positive labels', m.AUC(curve=curve), three(zeros, flat(grid, 2)))
    add(f'AUC {curve} where nothing is found', m.AUC(curve=curve), three(flat(binary, 2), zeros))

Path(__file__).with_name('metrics.json').write_text(json.dumps({'unit': UNIT, 'cases': cases}, separators=(',', ':'), default=number, allow_nan=False) + '\n')
print(len(cases), 'cases')
