"""Records what Keras's Tokenizer, pad_sequences and to_categorical answer, as text.json.

Run: KERAS_BACKEND=jax python test/golden/text.py   (keras 3.15)
"""
import json
import pathlib
import random
from collections import defaultdict

import keras
from keras.src.legacy.preprocessing.text import Tokenizer, text_to_word_sequence, tokenizer_from_json
from keras.utils import pad_sequences, to_categorical

random.seed(7)
WORDS = "the a film was good bad it's really 2024 42 été Straße don't end-of-line İstanbul 映画 😀 constructor __proto__".split()
PUNCTUATION = ["", "", "", ".", ",", "!", "?", "\t", "\n", " - ", '"', "[x]", "@", "~"]


def text(length):
    return "".join(random.choice(WORDS) + random.choice(PUNCTUATION) + random.choice([" ", "  "]) for _ in range(length))


TEXTS = [text(random.randint(0, 12)) for _ in range(20)] + ["", "   ", "...", "NaN null undefined", "A a Á á"]
UNSEEN = [text(6) + " zebra" for _ in range(5)] + ["", "zebra"]
LISTS = [["The", "film"], ["a b", "film", "film"], []]
OPTIONS = [
    {},
    {"num_words": 6},
    {"oov_token": "<OOV>"},
    {"num_words": 6, "oov_token": "<OOV>"},
    {"oov_token": "film"},
    {"lower": False},
    {"filters": "é😀", "lower": False},
    {"split": ","},
    {"char_level": True},
    {"char_level": True, "num_words": 10, "oov_token": "?"},
    {"num_words": 1, "oov_token": "x"},
]

cases = []
for options in OPTIONS:
    t = Tokenizer(**options)
    t.fit_on_texts(TEXTS[:12])
    t.fit_on_texts(TEXTS[12:])
    if not options.get("char_level"):
        t.fit_on_texts(LISTS)
    sequences = t.texts_to_sequences(UNSEEN)
    probe = [s + [0, 3, 10_000] for s in sequences]
    case = {
        "options": options,
        "json": t.to_json(),
        "document_count": t.document_count,
        "word_index": list(t.word_index.items()),
        "sequences": sequences,
        "lists": None if options.get("char_level") else t.texts_to_sequences(LISTS),
        "texts": t.sequences_to_texts(probe),
        "probe": probe,
        "matrix": {m: t.sequences_to_matrix(probe, mode=m).tolist() for m in ["binary", "count", "freq", "tfidf"]},
    }
    # a tokenizer that went through JSON and learns on
    again = tokenizer_from_json(case["json"])
    again.word_docs = defaultdict(int, again.word_docs)
    again.index_docs = defaultdict(int, again.index_docs)
    again.fit_on_texts(["zebra 7 film 7"])
    case["again"] = list(again.word_index.items())
    t.fit_on_sequences([[1, 1, 2], [3], []])
    case["after_sequences"] = {
        "document_count": t.document_count,
        "index_docs": sorted(t.index_docs.items()),
        "tfidf": t.sequences_to_matrix([[1, 1, 2]], mode="tfidf").tolist(),
    }
    cases.append(case)

words = [{"text": s, "words": text_to_word_sequence(s)} for s in TEXTS]

RAGGED = [[1, 2, 3], [], [4], [5, 6, 7, 8, 9]]
VECTORS = [[[1, 2], [3, 4]], [], [[5, 6]]]
pads = []
for sequences in (RAGGED, VECTORS):
    for maxlen in (None, 1, 3, 7):
        for padding in ("pre", "post"):
            for truncating in ("pre", "post"):
                for value in (0, -1):
                    x = pad_sequences(sequences, maxlen=maxlen, padding=padding, truncating=truncating, value=value)
                    pads.append(
                        {
                            "sequences": sequences,
                            "options": {"maxlen": maxlen, "padding": padding, "truncating": truncating, "value": value},
                            "shape": list(x.shape),
                            "data": x.reshape(-1).tolist(),
                        }
                    )
for dtype in ("int32", "float32"):
    x = pad_sequences([[1.75, -1.75], [0.5]], dtype=dtype, value=2.5)
    pads.append({"sequences": [[1.75, -1.75], [0.5]], "options": {"value": 2.5, "dtype": dtype}, "shape": list(x.shape), "data": x.reshape(-1).tolist()})
x = pad_sequences([[], []])
pads.append({"sequences": [[], []], "options": {}, "shape": list(x.shape), "data": []})

categorical = []
for labels, classes in (([0, 2, 1], None), ([0, 2, 1], 5), ([[0], [3]], None), ([[0, 1], [2, 2]], None), ([[[1], [0]]], None), ([1.0, 0.0], None), ([1], None)):
    y = to_categorical(labels, classes)
    categorical.append({"labels": labels, "classes": classes, "shape": list(y.shape), "data": y.reshape(-1).tolist()})

out = {"keras": keras.__version__, "tokenizers": cases, "texts": TEXTS, "lists": LISTS, "unseen": UNSEEN, "words": words, "pads": pads, "categorical": categorical}
pathlib.Path(__file__).with_name("text.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")
