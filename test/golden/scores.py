"""Scores of texts and forecasts.

Run: python test/golden/scores.py    (numpy, scipy, sacrebleu 2, nltk 3, rapidfuzz; writes scores.json beside it)

- BLEU and chrF: sacreBLEU's numbers; BLEU of words without smoothing also NLTK's.
- Edits: rapidfuzz (what jiwer counts with); the most hits among the shortest ways by trying all of them.
- Entities: by the definitions of well-formed tags, written as regular expressions over whole texts; seqeval's lenient rule as the places
  where conlleval lets an entity begin and end.
- CRPS: the integral of (F(x) - [x >= y])^2 itself.
"""
import functools
import json
import math
import re
from pathlib import Path

import nltk.translate.bleu_score as nltk_bleu
import numpy as np
import sacrebleu
from rapidfuzz.distance import Levenshtein
from scipy import integrate, stats

rng = np.random.default_rng(5)
WORDS = ['the', 'cat', 'sat', 'on', 'a', 'mat,', 'mat.', '3.5', '1,000', 'U.S.', "it's", '(so)', 'well-known', '5-6', 'A&amp;B', '€20', 'naïve',
         '„ja“', 'Straße', '東京', '"no"', '$5', '10%', 'x/y', '😀']


def sentence(low=0, high=12):
    return ' '.join(rng.choice(WORDS, rng.integers(low, high + 1)))


def noisy(text):
    words = text.split()
    for _ in range(rng.integers(0, 4)):
        kind = rng.integers(3)
        at = int(rng.integers(0, len(words) + 1))
        if kind == 0:
            words.insert(at, str(rng.choice(WORDS)))
        elif words and at < len(words):
            if kind == 1:
                del words[at]
            else:
                words[at] = str(rng.choice(WORDS))
    return ' '.join(words)


corpora = []
for count in (1, 3, 8, 8):
    references = [[sentence(1) for _ in range(2)] for _ in range(count)]
    corpora.append({'references': references, 'hypotheses': [noisy(r[0]) for r in references]})
corpora.append({'references': [['the cat', 'a cat']], 'hypotheses': ['the cat']})
corpora.append({'references': [['the cat']], 'hypotheses': ['']})
corpora.append({'references': [['the cat sat on a mat.']], 'hypotheses': ['nothing like it']})

bleu = []
for c, corpus in enumerate(corpora):
    streams = list(map(list, zip(*corpus['references'])))
    for tokenizer in ('13a', 'intl', 'char', 'none'):
        for smoothing, value in (('exp', None), ('floor', None), ('floor', 0.3), ('add-k', None), ('add-k', 0.5), ('none', None)):
            if tokenizer != '13a' and smoothing != 'exp':
                continue
            for effective in (False, True):
                for lowercase in (False, True):
                    s = sacrebleu.metrics.BLEU(lowercase=lowercase, tokenize=tokenizer, smooth_method=smoothing, smooth_value=value,
                                               effective_order=effective, max_ngram_order=4).corpus_score(corpus['hypotheses'], streams)
                    # sacreBLEU adds its smoothing to the counts in place
                    bleu.append({
                        'corpus': c,
                        'options': {'tokenizer': tokenizer, 'smoothing': 'addK' if smoothing == 'add-k' else smoothing,
                                    **({} if value is None else {'smoothingValue': value}), 'effectiveOrder': effective, 'lowercase': lowercase},
                        'score': s.score, 'precisions': s.precisions, 'brevityPenalty': s.bp, 'lengths': [s.sys_len, s.ref_len],
                    })
# NLTK counts one n-gram for a hypothesis that is too short to have any, so only longer ones are compared.
long = [[' '.join(rng.choice(WORDS, 9)) for _ in range(2)] for _ in range(6)]
corpora.append({'references': long, 'hypotheses': [' '.join(w for w in refs[0].split() if rng.random() < 0.8) + ' the cat sat on' for refs in long]})
nltk_cases = []
for c, corpus in [(len(corpora) - 1, corpora[-1])]:
    lists = [[r.split() for r in refs] for refs in corpus['references']]
    words = [h.split() for h in corpus['hypotheses']]
    for order in (1, 2, 3, 4):
        score = nltk_bleu.corpus_bleu(lists, words, weights=[1 / order] * order)
        nltk_cases.append({'corpus': c, 'order': order, 'score': 100 * score if score > 1e-50 else 0.0})

chrf = []
for c, corpus in enumerate(corpora):
    streams = list(map(list, zip(*corpus['references'])))
    for options in ({}, {'word_order': 2}, {'char_order': 3, 'beta': 1}, {'lowercase': True, 'word_order': 1}, {'whitespace': True}):
        metric = sacrebleu.metrics.CHRF(**options)
        camel = {'word_order': 'wordOrder', 'char_order': 'charOrder'}
        chrf.append({
            'corpus': c, 'options': {camel.get(k, k): v for k, v in options.items()},
            'score': metric.corpus_score(corpus['hypotheses'], streams).score,
            'sentences': [metric.sentence_score(h, r).score for h, r in zip(corpus['hypotheses'], corpus['references'])],
        })


@functools.cache
def most_hits(a, b):
    """(edits, -hits) of the best way, over all ways."""
    if not a or not b:
        return (len(a) + len(b), 0)
    e, h = most_hits(a[1:], b[1:])
    ways = [(e, h - 1) if a[0] == b[0] else (e + 1, h)]
    for rest in ((a[1:], b), (a, b[1:])):
        e, h = most_hits(*rest)
        ways.append((e + 1, h))
    return min(ways)


edits = []
for _ in range(40):
    a = ''.join(rng.choice(list('abc'), rng.integers(0, 9)))
    b = ''.join(rng.choice(list('abc'), rng.integers(0, 9)))
    cost, hits = most_hits(a, b)
    assert cost == Levenshtein.distance(a, b)
    edits.append({'a': a, 'b': b, 'edits': cost, 'hits': -hits})
rates = []
for _ in range(6):
    references = [sentence(1) for _ in range(3)]
    hypotheses = [noisy(r) for r in references]
    rates.append({
        'references': references, 'hypotheses': hypotheses,
        'words': sum(Levenshtein.distance(r.split(), h.split()) for r, h in zip(references, hypotheses)) / sum(len(r.split()) for r in references),
        'characters': sum(Levenshtein.distance(r, h) for r, h in zip(references, hypotheses)) / sum(map(len, references)),
    })

# ---- entities

PATTERNS = {'BIOES': r'(B-(\w)(?: I-\2)* E-\2(?= |$)|S-(\w))', 'BILOU': r'(B-(\w)(?: I-\2)* L-\2(?= |$)|U-(\w))', 'BIO': r'(B-(\w)(?: I-\2)*)'}
PREFIXES = {'BIO': 'BI', 'IOB1': 'BI', 'BIOES': 'BIES', 'BILOU': 'BILU', 'lenient': 'BIES'}


def by_pattern(tags, scheme):
    text = ' '.join(tags)
    found = []
    for match in re.finditer(r'(?:(?<= )|^)' + PATTERNS[scheme], text):
        start = text[:match.start()].count(' ')
        found.append((match.group(1)[2], start, start + match.group(1).count(' ') + 1))
    return found


def iob1(tags):
    """Runs of one type are entities; B parts a run. Written for tags in which B stands only there."""
    found, start = [], None
    for i, tag in enumerate(list(tags) + ['O']):
        if start is not None and (tag == 'O' or tag[2:] != tags[start][2:] or tag[0] == 'B'):
            found.append((tags[start][2:], start, i))
            start = None
        if tag != 'O' and start is None:
            start = i
    return found


def conlleval(tags):
    found, start = [], None
    previous = ('O', '_')
    for i, text in enumerate(list(tags) + ['O']):
        tag = (text[0], text[2:] or '_')
        p, q = previous[0], tag[0]
        end = p in 'ES' and p != 'O' or (p == 'B' and q in 'BSO') or (p == 'I' and q in 'BSO') or (p != 'O' and previous[1] != tag[1])
        if end:
            found.append((previous[1], start, i))
        if q in 'BS' or (p in 'ESO' and q in 'EI') or (q != 'O' and previous[1] != tag[1]):
            start = i
        previous = tag
    return found


def extract(tags, scheme):
    return conlleval(tags) if scheme == 'lenient' else iob1(tags) if scheme == 'IOB1' else by_pattern(tags, scheme)


def random_tags(scheme, length):
    tags = []
    while len(tags) < length:
        tag = 'O' if rng.random() < 0.25 else f'{rng.choice(list(PREFIXES[scheme]))}-{rng.choice(["X", "Y"])}'
        if scheme == 'IOB1' and tag[0] == 'B' and (not tags or tags[-1][1:] != tag[1:]):
            tag = 'I' + tag[1:]
        tags.append(tag)
    return tags


def share(a, b):
    return a / b if b else 0.0


entities = []
for scheme in PREFIXES:
    for _ in range(4):
        references = [random_tags(scheme, int(rng.integers(1, 12))) for _ in range(4)]
        predictions = [[t if rng.random() < 0.8 else 'O' for t in tags] if scheme != 'IOB1' else random_tags(scheme, len(tags)) for tags in references]
        sets = [[(i, *e) for i, tags in enumerate(texts) for e in extract(tags, scheme)] for texts in (references, predictions)]
        report = {}
        for kind in sorted({e[1] for e in sets[0] + sets[1]}) + [None]:
            there, found = ({e for e in s if kind in (None, e[1])} for s in sets)
            p, r = share(len(there & found), len(found)), share(len(there & found), len(there))
            report['all' if kind is None else kind] = [p, r, share(2 * p * r, p + r), len(there)]
        entities.append({'scheme': scheme, 'references': references, 'predictions': predictions, 'report': report})

# ---- forecasts


def crps(cdf, y, low, high, breaks):
    f = lambda x: (cdf(x) - (x >= y)) ** 2
    points = sorted({low, high, y, *breaks})
    return sum(integrate.quad(f, a, b, limit=200)[0] for a, b in zip(points, points[1:]))


ensembles = []
for _ in range(5):
    members = np.round(rng.normal(size=rng.integers(1, 8)), 3)
    y = float(np.round(rng.normal(), 3))
    cdf = lambda x: (members <= x).mean()
    fair = abs(members - y).mean() - (abs(members[:, None] - members).sum() / (2 * len(members) * (len(members) - 1)) if len(members) > 1 else 0)
    ensembles.append({'y': y, 'members': members.tolist(), 'crps': crps(cdf, y, -9, 9, members.tolist()), 'fair': float(fair)})
gaussians = []
for _ in range(5):
    y, mean, deviation = (float(np.round(v, 3)) for v in (rng.normal(), rng.normal(), rng.uniform(0.2, 2)))
    gaussians.append({'y': y, 'mean': mean, 'deviation': deviation, 'crps': crps(stats.norm(mean, deviation).cdf, y, -25, 25, [])})

out = {'corpora': corpora, 'bleu': bleu, 'nltk': nltk_cases, 'chrf': chrf, 'edits': edits, 'rates': rates, 'entities': entities,
       'ensembles': ensembles, 'gaussians': gaussians}
Path(__file__).with_name('scores.json').write_text(json.dumps(out, ensure_ascii=False, separators=(',', ':'), allow_nan=False) + '\n')
print({k: len(v) for k, v in out.items()})
