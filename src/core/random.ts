/**
 * Counter-based random numbers: every number is a function of a key and a position, so draws need no hidden state, do not depend on
 * order or threads, and keys can be split without limit.
 *
 * Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 3.3. Not for secrets.
 */
import { fail } from './errors.ts';

/**
 * Fills `words` with the blocks of the counters (first + 0, 1, 2, ...; c1, c2, c3) under the two words of a key. In one loop, and in parts
 * of 16 bits that stay small integers: most of a model's weights are drawn before the engine has optimised anything.
 */
function philoxBlocks(
  words: Uint32Array,
  first: number,
  c1: number,
  c2: number,
  c3: number,
  key0: number,
  key1: number,
): void {
  for (let i = 0; i < words.length; i += 4) {
    let x0 = (first + i / 4) | 0;
    let x1 = c1 | 0;
    let x2 = c2 | 0;
    let x3 = c3 | 0;
    let k0 = key0 | 0;
    let k1 = key1 | 0;
    for (let round = 0; round < 10; round++) {
      // The high halves of 0xd2511f53 * x0 and 0xcd9e8d57 * x2; `Math.imul` gives the low ones.
      const low0 = x0 & 0xffff;
      const high0 = x0 >>> 16;
      const low2 = x2 & 0xffff;
      const high2 = x2 >>> 16;
      const a0 = Math.imul(0xd251, low0);
      const b0 = Math.imul(0x1f53, high0);
      const a2 = Math.imul(0xcd9e, low2);
      const b2 = Math.imul(0x8d57, high2);
      const carry0 = ((Math.imul(0x1f53, low0) >>> 16) + (a0 & 0xffff) + (b0 & 0xffff)) >>> 16;
      const carry2 = ((Math.imul(0x8d57, low2) >>> 16) + (a2 & 0xffff) + (b2 & 0xffff)) >>> 16;
      const product0 = Math.imul(0xd251, high0) + (a0 >>> 16) + (b0 >>> 16) + carry0;
      const product2 = Math.imul(0xcd9e, high2) + (a2 >>> 16) + (b2 >>> 16) + carry2;
      const next1 = Math.imul(0xcd9e8d57, x2);
      const next3 = Math.imul(0xd2511f53, x0);
      x0 = product2 ^ x1 ^ k0;
      x1 = next1;
      x2 = product0 ^ x3 ^ k1;
      x3 = next3;
      k0 = (k0 + 0x9e3779b9) | 0;
      k1 = (k1 + 0xbb67ae85) | 0;
    }
    words[i] = x0;
    if (i + 1 < words.length) words[i + 1] = x1;
    if (i + 2 < words.length) words[i + 2] = x2;
    if (i + 3 < words.length) words[i + 3] = x3;
  }
}

/** One block: replaces the counter's four words by four random ones under the two words of the key. */
export function philox(counter: Uint32Array, key0: number, key1: number): void {
  philoxBlocks(counter, counter[0], counter[1], counter[2], counter[3], key0, key1);
}

/** The first `count` words of a stream: word i is word i % 4 of the block with the counter (floor(i / 4), 0, stream, 0). */
function philoxWords(key0: number, key1: number, count: number, stream: number): Uint32Array {
  const words = new Uint32Array(count);
  philoxBlocks(words, 0, 0, stream, 0, key0, key1);
  return words;
}

/** The memory of numbers as the words that they are made of: each number then takes the place of its word. */
const wordsOf = ({ buffer, byteOffset, length }: Float32Array) => new Uint32Array(buffer, byteOffset, length);

/** Fills `values` with numbers in [0, 1), multiples of 2^-24, which float32 holds exactly. */
export function philoxUniform(key0: number, key1: number, stream: number, values: Float32Array): Float32Array {
  const words = wordsOf(values);
  philoxBlocks(words, 0, 0, stream, 0, key0, key1);
  for (let i = 0; i < values.length; i++) values[i] = (words[i] >>> 8) * 2 ** -24;
  return values;
}

/** The last word of the counter is 0 for draws and one of these for splits, so that they never meet. */
const splitByNumber = 1;
const splitByLabel = 2;

/** FNV-1a over the UTF-16 units of a text. */
function hash(text: string, start: number): number {
  let h = start;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/**
 * A key: immutable; the same call on the same key always gives the same numbers. Split it for every independent use.
 *
 * @example
 * const key = RandomKey.from(42);
 * const order = key.split('shuffle').split(epoch).permutation(1000);
 */
export class RandomKey {
  /** Both as unsigned 32-bit numbers: all there is to save. */
  readonly words: readonly [number, number];

  constructor(word0: number, word1: number) {
    this.words = [word0 >>> 0, word1 >>> 0];
  }

  /** A key from a seed: a whole number of up to 53 bits. */
  static from(seed: number): RandomKey {
    if (!Number.isSafeInteger(seed)) fail('ARGUMENT', 'RandomKey.from', 'a seed that is a whole number', String(seed));
    return new RandomKey(seed, Math.floor(seed / 2 ** 32));
  }

  /** An independent key. Different labels and numbers give different keys. */
  split(label: string | number): RandomKey {
    if (typeof label === 'number' && !Number.isSafeInteger(label))
      fail('ARGUMENT', 'RandomKey.split', 'a label or a whole number', String(label));
    const block =
      typeof label === 'number'
        ? Uint32Array.of(label >>> 0, Math.floor(label / 2 ** 32) >>> 0, 0, splitByNumber)
        : Uint32Array.of(hash(label, 0x811c9dc5), hash(label, 0x050c5d1f), label.length, splitByLabel);
    philox(block, this.words[0], this.words[1]);
    return new RandomKey(block[0], block[1]);
  }

  /** The key as the operation `uniform` takes it. */
  toInt32(): Int32Array {
    return Int32Array.from(this.words);
  }

  /**
   * Numbers in [0, 1); the same ones as the operation `uniform` with this key and stream.
   *
   * @param into an array of this size that gets them. Default: a new one
   */
  uniform(count: number, stream = 0, into: Float32Array = new Float32Array(count)): Float32Array {
    return philoxUniform(this.words[0], this.words[1], stream, roomFor(count, into, 'uniform'));
  }

  /**
   * Standard normal numbers, by Box and Muller from pairs of words.
   *
   * @param into an array of this size that gets them. Default: a new one
   */
  normal(count: number, into: Float32Array = new Float32Array(count)): Float32Array {
    this.normals(roomFor(count, into, 'normal'), 0, Number.POSITIVE_INFINITY);
    return into;
  }

  /**
   * Standard normal numbers, of which those beyond two standard deviations are drawn again (Keras's truncated normal).
   *
   * @param into an array of this size that gets them. Default: a new one
   */
  truncatedNormal(count: number, into: Float32Array = new Float32Array(count)): Float32Array {
    const values = roomFor(count, into, 'truncatedNormal');
    let filled = 0;
    for (let stream = 0; filled < count; stream++) filled += this.normals(values.subarray(filled), stream, 2);
    return values;
  }

  /** Whole numbers from `low` (included) to `high` (excluded). */
  integers(count: number, low: number, high: number): Int32Array {
    if (!Number.isInteger(low) || !Number.isInteger(high) || low < -(2 ** 31) || high > 2 ** 31 || high <= low)
      fail('ARGUMENT', 'RandomKey.integers', '32-bit bounds with low < high', `${low} and ${high}`);
    const words = philoxWords(this.words[0], this.words[1], 2 * count, 0);
    return Int32Array.from({ length: count }, (_, i) => low + Math.floor(fraction(words, i) * (high - low)));
  }

  /** The numbers 0..n-1 in random order (Fisher and Yates). */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    const words = philoxWords(this.words[0], this.words[1], 2 * n, 0);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(fraction(words, i) * (i + 1));
      const kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
    return order;
  }

  /** Fills `values` with as many normal numbers as they have room for, less those beyond `limit`; gives how many there are. */
  private normals(values: Float32Array, stream: number, limit: number): number {
    const [key0, key1] = this.words;
    const words = wordsOf(values);
    const { length } = values;
    philoxBlocks(words, 0, 0, stream, 0, key0, key1);
    // The partner of the last word, where it has none here, is in its block.
    const block = new Uint32Array(4);
    if (length % 2) philoxBlocks(block, Math.floor(length / 4), 0, stream, 0, key0, key1);
    let filled = 0;
    for (let i = 0; i < length; i += 2) {
      const word = i + 1 < length ? words[i + 1] : block[length % 4];
      const radius = Math.sqrt(-2 * Math.log((words[i] + 1) * 2 ** -32)); // the argument is above 0 and at most 1
      const angle = 2 * Math.PI * word * 2 ** -32;
      const first = radius * Math.cos(angle);
      const second = radius * Math.sin(angle);
      // Both words have been read: their places, and those before, are free.
      if (Math.abs(first) <= limit) values[filled++] = first;
      if (i + 1 < length && Math.abs(second) <= limit) values[filled++] = second;
    }
    return filled;
  }
}

function roomFor(count: number, into: Float32Array, method: string): Float32Array {
  if (into.length !== count)
    fail('ARGUMENT', `RandomKey.${method}: into`, `an array of ${count} numbers`, String(into.length));
  return into;
}

/** The i-th pair of words as a number in [0, 1) of 53 bits: so fine that no whole number of 32 bits is favoured noticeably. */
function fraction(words: Uint32Array, i: number): number {
  return ((words[2 * i] >>> 5) * 2 ** 26 + (words[2 * i + 1] >>> 6)) * 2 ** -53;
}
