/**
 * The search over prefixes of CTC: at every step the most probable prefixes are kept, each with the sum over its alignments.
 *
 * Graves, "Supervised sequence labelling with recurrent neural networks" (2012), section 7.5.3; Hannun, Maas, Jurafsky and Ng, "First-pass
 * large vocabulary continuous speech recognition using bi-directional recurrent DNNs" (2014), algorithm 1.
 *
 * Prefixes are a tree, and each is reached from its parent alone. So a step adds up what stays and what is there already, and of the new ones
 * makes only those that come into the beam: classes are tried in the order of their probability, as long as they can still come in.
 */

/** A node of the tree of prefixes. Probabilities are logarithms. */
export interface Prefix {
  readonly parent: Prefix | null;
  /** The last label; -1 at the root. */
  readonly last: number;
  /** What the language model and the bonus add to the score. */
  readonly extra: number;
  /** The longer ones by their label, as far as they or longer ones are in the beam. */
  readonly next: Map<number, Prefix>;
  /** What each label adds to `extra`; NaN: not asked yet; null: nothing has been asked. */
  gains: Float64Array | null;
  inBeam: boolean;
  /** Of the alignments that end in the blank, of those that end in the last label, and of all. */
  blank: number;
  label: number;
  total: number;
}

export interface PrefixSearch {
  readonly blank: number;
  readonly beamWidth: number;
  /** What a label adds to the score of a prefix; -Infinity: it cannot follow. */
  readonly gain: number | ((prefix: Prefix, next: number) => number);
}

const none = Number.NEGATIVE_INFINITY;

function logAdd(a: number, b: number): number {
  if (a === none) return b;
  if (b === none) return a;
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}

const prefixOf = (parent: Prefix | null, last: number, extra: number): Prefix => ({
  parent,
  last,
  extra,
  next: new Map(),
  gains: null,
  inBeam: false,
  blank: none,
  label: none,
  total: none,
});

export function labelsOf(prefix: Prefix): number[] {
  const labels: number[] = [];
  for (let at = prefix; at.parent; at = at.parent) labels.push(at.last);
  return labels.reverse();
}

/** The best of many candidates: a heap whose root is the worst of them. Of two with the same score the one of the smaller number is better. */
class Best {
  readonly numbers: Float64Array;
  readonly scores: Float64Array;
  count = 0;

  constructor(size: number) {
    this.numbers = new Float64Array(size);
    this.scores = new Float64Array(size);
  }

  /** What a candidate's score must reach. */
  get least(): number {
    return this.count < this.scores.length ? none : this.scores[0];
  }

  private worse(score: number, number: number, at: number): boolean {
    return score < this.scores[at] || (score === this.scores[at] && number > this.numbers[at]);
  }

  private put(at: number, score: number, number: number): void {
    this.scores[at] = score;
    this.numbers[at] = number;
  }

  offer(score: number, number: number): void {
    if (this.count < this.scores.length) {
      let at = this.count++;
      for (let up = (at - 1) >> 1; at > 0 && this.worse(score, number, up); up = (at - 1) >> 1) {
        this.put(at, this.scores[up], this.numbers[up]);
        at = up;
      }
      this.put(at, score, number);
    } else if (!this.worse(score, number, 0)) {
      let at = 0;
      for (;;) {
        let down = 2 * at + 1;
        if (down >= this.count) break;
        if (down + 1 < this.count && this.worse(this.scores[down + 1], this.numbers[down + 1], down)) down++;
        if (this.worse(score, number, down)) break;
        this.put(at, this.scores[down], this.numbers[down]);
        at = down;
      }
      this.put(at, score, number);
    }
  }

  /** Numbers, the best first. */
  sorted(): number[] {
    const order = Array.from({ length: this.count }, (_, i) => i);
    order.sort((a, b) => this.scores[b] - this.scores[a] || this.numbers[a] - this.numbers[b]);
    return order.map((i) => this.numbers[i]);
  }
}

/** Forgets prefixes that nothing in the beam begins with. */
function prune(given: Prefix): void {
  for (let at = given; at.parent && !at.inBeam && at.next.size === 0; at = at.parent) at.parent.next.delete(at.last);
}

/** One step of time. @param step the logarithm of every class's probability */
function advance(beam: readonly Prefix[], step: Float64Array, search: PrefixSearch): Prefix[] {
  const { blank, beamWidth, gain } = search;
  const classes = step.length;
  const best = new Best(beamWidth);
  const blanks = new Float64Array(beam.length);
  const labels = new Float64Array(beam.length);
  /** Of `prefix` with one label more. A label twice in a row needs a blank between. */
  const longer = (prefix: Prefix, c: number) => (c === prefix.last ? prefix.blank : prefix.total) + step[c];

  beam.forEach((prefix, i) => {
    const { parent, last } = prefix;
    blanks[i] = prefix.total + step[blank];
    labels[i] = last < 0 ? none : prefix.label + step[last];
    if (parent?.inBeam) labels[i] = logAdd(labels[i], longer(parent, last));
    const score = logAdd(blanks[i], labels[i]) + prefix.extra;
    if (score > none) best.offer(score, i);
  });

  const ranked = Uint32Array.from({ length: classes }, (_, c) => c).sort((a, b) => step[b] - step[a] || a - b);
  const numberOf = (i: number, c: number) => beam.length + i * classes + c;
  beam.forEach((prefix, i) => {
    for (const c of ranked) {
      if (step[c] === none) break;
      // No later class of this prefix can do better than this one would after a blank.
      if (typeof gain === 'number' && prefix.total + step[c] + prefix.extra + gain < best.least) break;
      if (c === blank || prefix.next.get(c)?.inBeam) continue;
      const from = longer(prefix, c);
      if (from === none) continue;
      const score = from + prefix.extra + (typeof gain === 'number' ? gain : gain(prefix, c));
      if (score > none) best.offer(score, numberOf(i, c));
    }
  });

  const found = best.sorted().map((number) => {
    if (number < beam.length) return { prefix: beam[number], blank: blanks[number], label: labels[number] };
    const parent = beam[Math.floor((number - beam.length) / classes)];
    const c = (number - beam.length) % classes;
    let prefix = parent.next.get(c);
    if (!prefix) {
      prefix = prefixOf(parent, c, parent.extra + (typeof gain === 'number' ? gain : gain(parent, c)));
      parent.next.set(c, prefix);
    }
    return { prefix, blank: none, label: longer(parent, c) };
  });
  for (const prefix of beam) prefix.inBeam = false;
  for (const own of found) {
    own.prefix.inBeam = true;
    own.prefix.blank = own.blank;
    own.prefix.label = own.label;
    own.prefix.total = logAdd(own.blank, own.label);
  }
  for (const prefix of beam) prune(prefix);
  return found.map(({ prefix }) => prefix);
}

/** The prefixes that are kept after the last step, the best first. */
export function searchPrefixes(steps: Iterable<Float64Array>, search: PrefixSearch): Prefix[] {
  const root = prefixOf(null, -1, 0);
  Object.assign(root, { inBeam: true, blank: 0, total: 0 });
  let beam = [root];
  for (const step of steps) beam = advance(beam, step, search);
  return beam;
}
