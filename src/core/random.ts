/**
 * Counter-based random numbers: every number is a function of a key and a position, so draws need no hidden state, do not depend on
 * order or threads, and keys can be split without limit.
 *
 * Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 3.3. Not for secrets.
 */
import { fail } from './errors.ts';

/** The low and high halves of a * b are needed; `Math.imul` gives the low one. */
function highProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16); // below 2^33
  const cross = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0;
}

/** One block: replaces the counter's four words by four random ones under the two words of the key. */
export function philox(counter: Uint32Array, key0: number, key1: number): void {
  let x0 = counter[0];
  let x1 = counter[1];
  let x2 = counter[2];
  let x3 = counter[3];
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = highProduct(0xd2511f53, x0);
    const low0 = Math.imul(0xd2511f53, x0);
    const high1 = highProduct(0xcd9e8d57, x2);
    const low1 = Math.imul(0xcd9e8d57, x2);
    x0 = (high1 ^ x1 ^ k0) >>> 0;
    x1 = low1 >>> 0;
    x2 = (high0 ^ x3 ^ k1) >>> 0;
    x3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  counter[0] = x0;
  counter[1] = x1;
  counter[2] = x2;
  counter[3] = x3;
}

/** The first `count` words of a stream: word i is word i % 4 of the block with the counter (floor(i / 4), 0, stream, 0). */
function philoxWords(key0: number, key1: number, count: number, stream: number): Uint32Array {
  const words = new Uint32Array(count);
  const block = new Uint32Array(4);
  for (let i = 0; i < count; i += 4) {
    block[0] = i / 4;
    block[1] = 0;
    block[2] = stream;
    block[3] = 0;
    philox(block, key0, key1);
    for (let j = 0; j < 4 && i + j < count; j++) words[i + j] = block[j];
  }
  return words;
}

/** Numbers in [0, 1), multiples of 2^-24, which float32 holds exactly. */
export function philoxUniform(key0: number, key1: number, count: number, stream: number): Float32Array {
  const words = philoxWords(key0, key1, count, stream);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (words[i] >>> 8) * 2 ** -24;
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

  /** Numbers in [0, 1); the same ones as the operation `uniform` with this key and stream. */
  uniform(count: number, stream = 0): Float32Array {
    return philoxUniform(this.words[0], this.words[1], count, stream);
  }

  /** Standard normal numbers, by Box and Muller from pairs of words. */
  normal(count: number): Float32Array {
    return new Float32Array(this.normals(count, 0));
  }

  /** Standard normal numbers, of which those beyond two standard deviations are drawn again (Keras's truncated normal). */
  truncatedNormal(count: number): Float32Array {
    const result = new Float32Array(count);
    let filled = 0;
    for (let stream = 0; filled < count; stream++)
      for (const z of this.normals(count - filled, stream)) if (Math.abs(z) <= 2) result[filled++] = z;
    return result;
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

  private normals(count: number, stream: number): Float64Array {
    const words = philoxWords(this.words[0], this.words[1], count + (count % 2), stream);
    const result = new Float64Array(count);
    for (let i = 0; i < count; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((words[i] + 1) * 2 ** -32)); // the argument is above 0 and at most 1
      const angle = 2 * Math.PI * words[i + 1] * 2 ** -32;
      result[i] = radius * Math.cos(angle);
      if (i + 1 < count) result[i + 1] = radius * Math.sin(angle);
    }
    return result;
  }
}

/** The i-th pair of words as a number in [0, 1) of 53 bits: so fine that no whole number of 32 bits is favoured noticeably. */
function fraction(words: Uint32Array, i: number): number {
  return ((words[2 * i] >>> 5) * 2 ** 26 + (words[2 * i + 1] >>> 6)) * 2 ** -53;
}
