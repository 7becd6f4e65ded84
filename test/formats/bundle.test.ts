/** The bundle and its parts: what was written comes back, and damage of any byte is found. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnrolledError } from '../../src/core/errors.ts';
import { type FileSystem, writeWhole } from '../../src/formats/file.ts';
import { readSafetensors, writeSafetensors } from '../../src/formats/wire/safetensors.ts';
import { crc32, readZip, writeZip } from '../../src/formats/wire/zip.ts';
import { layers } from '../../src/layers/all.ts';
import { Tokenizer } from '../../src/text/tokenizer.ts';
import { loadModel, modelFromBytes } from '../../src/train/load.ts';
import { sequential } from '../../src/train/sequential.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bundle-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const x = [
  [1, 2, 0],
  [3, 4, 5],
];
async function trained() {
  const model = sequential([
    layers.embedding({ inputDim: 9, outputDim: 3, maskZero: true }),
    layers.bidirectional({ layer: layers.lstm({ units: 2 }), mergeMode: 'sum' }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'rmsprop', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  await model.fit(x, [0, 1], { epochs: 2, verbose: 0 });
  return model;
}
const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('a bundle', () => {
  it('holds weights, optimizer, settings, tokenizer and notes', async () => {
    const model = await trained();
    model.learningRate = 0.02;
    const tokenizer = new Tokenizer({ oovToken: '[UNK]' });
    tokenizer.fitOnTexts(['one two', 'two three']);
    const path = join(folder, 'model.unrolled');
    await model.save(path, { tokenizer, notes: { classes: ['no', 'yes'] } });
    expect(await readdir(folder)).toEqual(['model.unrolled']); // nothing beside it
    const loaded = await loadModel(path);
    expect((await loaded.model.predict(x)).equals(await model.predict(x))).toBe(true);
    expect(loaded.model.learningRate).toBe(0.02);
    expect(loaded.model.iterations).toBe(2);
    expect(loaded.notes).toEqual({ classes: ['no', 'yes'] });
    expect(loaded.tokenizer?.textsToSequences(['three zero two'])).toEqual(
      tokenizer.textsToSequences(['three zero two']),
    );
    expect(await loaded.model.evaluate(x, [0, 1])).toEqual(await model.evaluate(x, [0, 1]));
    expect([...readZip(await readFile(path), { entries: 9, bytes: 1e6 }, 'x').keys()]).toEqual([
      'metadata.json',
      'config.json',
      'weights.safetensors',
      'optimizer.safetensors',
      'tokenizer.json',
    ]);
  });

  it('of a model that was never compiled has neither', () => {
    const model = sequential([layers.input({ shape: [3, 2] }), layers.gru({ units: 2 })]);
    const loaded = modelFromBytes(model.toBytes());
    expect(loaded.tokenizer).toBeNull();
    expect(() => loaded.model.learningRate).toThrow(/a compiled model/);
    loaded.model.getWeights().forEach((w, i) => expect(w.equals(model.getWeights()[i])).toBe(true));
  });

  it('that is cut short or damaged anywhere is refused as FORMAT, never read', async () => {
    const whole = (await trained()).toBytes();
    const refused = (bytes: Uint8Array) => {
      try {
        modelFromBytes(bytes);
        return 'read';
      } catch (error) {
        return error instanceof UnrolledError ? error.code : String(error);
      }
    };
    for (let length = 0; length < whole.length; length += 97)
      expect(refused(whole.subarray(0, length)), `cut at ${length}`).toBe('FORMAT');
    const content = 30 + 'metadata.json'.length; // headers repeat what the directory says; contents must be whole
    for (let at = content; at < whole.length; at += 131) {
      const damaged = whole.slice();
      damaged[at] ^= 0x40;
      const code = refused(damaged);
      // A few bytes of the archive say nothing (dates, versions); the numbers are then as they were.
      if (code === 'read')
        expect(
          modelFromBytes(damaged)
            .model.getWeights()
            .map((w) => [...w.data]),
        ).toEqual(
          modelFromBytes(whole)
            .model.getWeights()
            .map((w) => [...w.data]),
        );
      else expect(['FORMAT', 'UNSUPPORTED'], `byte ${at}`).toContain(code);
    }
    expect(refused(bytesOf('not a bundle'))).toBe('FORMAT');
    expect(refused(writeZip(new Map([['a.txt', bytesOf('b')]])))).toBe('FORMAT');
  });

  it('of a later version, or with weights missing, says so', () => {
    const entries = readZip(
      sequential([layers.input({ shape: [1, 1] }), layers.gru({ units: 1 })]).toBytes(),
      { entries: 9, bytes: 1e6 },
      'x',
    );
    const metadata = JSON.parse(new TextDecoder().decode(entries.get('metadata.json')));
    const later = new Map(entries).set('metadata.json', bytesOf(JSON.stringify({ ...metadata, version: 99 })));
    expect(() => modelFromBytes(writeZip(later))).toThrow(/expected version 1, received 99. A later version/);
    const empty = new Map(entries).set('weights.safetensors', writeSafetensors(new Map()));
    expect(() => modelFromBytes(writeZip(empty))).toThrow(/expected the weight 'gru\/kernel'/);
    const deep = new Map(entries).set('config.json', bytesOf(`${'['.repeat(5000)}${']'.repeat(5000)}`));
    expect(() => modelFromBytes(writeZip(deep))).toThrow(/nesting of at most/);
  });
});

describe('a disk that refuses', () => {
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  const disk = (removed: string[]): FileSystem => ({
    open: async () => ({
      writeFile: async () => {
        throw full;
      },
      sync: async () => undefined,
      close: async () => undefined,
    }),
    rename: async () => {
      throw new Error('must not be called');
    },
    rm: async (path) => void removed.push(path),
    readFile: async () => new Uint8Array(),
    readdir: async () => [],
  });
  it('leaves the old file, takes the half one away, and says how much is needed', async () => {
    const removed: string[] = [];
    await expect(writeWhole('/models/a.unrolled', new Uint8Array(3 << 20), disk(removed))).rejects.toMatchObject({
      code: 'IO',
      message:
        "cannot write '/models/a.unrolled': the disk is full (ENOSPC). Nothing was lost: what was there before is unchanged. 3.0 MB are needed.",
    });
    expect(removed).toEqual([expect.stringMatching(/^\/models\/a\.unrolled\..*\.tmp$/)]);
  });
  it('takes away what writes that were killed have left beside the path', async () => {
    const place = join(folder, 'killed');
    await mkdir(place);
    const hourAgo = (Date.now() - 3_600_000).toString(36);
    const kept = [`a.bin.${Date.now().toString(36)}-1x.tmp`, `b.bin.${hourAgo}-1x.tmp`, 'a.bin.old.tmp'];
    for (const name of [...kept, `a.bin.${hourAgo}-1x.tmp`]) await writeFile(join(place, name), 'half');
    await writeWhole(join(place, 'a.bin'), Uint8Array.of(1));
    expect((await readdir(place)).sort()).toEqual([...kept, 'a.bin'].sort());
  });
  it.each([
    ['a folder that is not there', 'missing/a.unrolled', /there is no such file or folder/],
    ['a folder in place of the file', '.', /folder|not permitted|denied|busy/i],
  ])('%s', async (_what, name, message) => {
    const model = sequential([layers.input({ shape: [1, 1] }), layers.gru({ units: 1 })]);
    await expect(model.save(join(folder, name))).rejects.toMatchObject({
      code: 'IO',
      message: expect.stringMatching(message),
    });
  });
  it('a file that is not there', async () => {
    await expect(loadModel(join(folder, 'none'))).rejects.toMatchObject({ code: 'IO' });
    await writeFile(join(folder, 'other.txt'), 'hello');
    await expect(loadModel(join(folder, 'other.txt'))).rejects.toThrow(/other.txt': expected a whole zip archive/);
  });
});

describe('safetensors', () => {
  const tensors = new Map([
    ['a', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, Number.NaN) }],
    ['ä/b', { shape: [], data: Float64Array.of(Math.PI) }],
    ['empty', { shape: [0, 4], data: new Int32Array(0) }],
  ]);
  it('come back, also from an odd place in memory', () => {
    const file = writeSafetensors(tensors, { made: 'here' });
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    expect(readSafetensors(shifted.subarray(3), 'x')).toEqual(tensors);
    expect(Number(new DataView(file.buffer).getBigUint64(0, true)) % 8).toBe(0);
  });
  const withHeader = (header: unknown, body = 0) => {
    const text = bytesOf(typeof header === 'string' ? header : JSON.stringify(header));
    const file = new Uint8Array(8 + text.length + body);
    new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
    file.set(text, 8);
    return file;
  };
  it.each([
    ['nothing', new Uint8Array(3), /a header/],
    ['a header longer than the file', new Uint8Array(20).fill(255), /a header within/],
    ['a header that is no JSON', withHeader('{"a":'), /a header of JSON/],
    ['an unknown type', withHeader({ a: { dtype: 'BF16', shape: [1], data_offsets: [0, 2] } }, 2), /a type among F32/],
    ['a negative size', withHeader({ a: { dtype: 'F32', shape: [-1], data_offsets: [0, 4] } }, 4), /a shape/],
    [
      'offsets that do not fit the shape',
      withHeader({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }, 4),
      /8 bytes within 4/,
    ],
    [
      'offsets beyond the end',
      withHeader({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, 4),
      /8 bytes within 4/,
    ],
    ['bytes left over', withHeader({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, 9), /4 bytes of numbers/],
  ])('refuse %s', (_what, file, message) => {
    expect(() => readSafetensors(file, 'weights')).toThrow(message);
  });
});

describe('zip', () => {
  const limits = { entries: 3, bytes: 1000 };
  it('reads stored and deflated entries of other writers', () => {
    const content = bytesOf('abc'.repeat(100));
    const archive = zipSync({ stored: [content, { level: 0 }], packed: [content, { level: 9 }] });
    expect([...readZip(archive, limits, 'x')]).toEqual([
      ['stored', content],
      ['packed', content],
    ]);
    expect(deflateSync(content).length).toBeLessThan(content.length);
  });
  it('holds its limits', () => {
    const many = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`e${i}`, new Uint8Array(1)]));
    expect(() => readZip(zipSync(many), limits, 'x')).toThrow(/at most 3 entries, received 4/);
    expect(() => readZip(zipSync({ bomb: new Uint8Array(2000) }), limits, 'x')).toThrow(/at most 1000 bytes unpacked/);
  });
  it('has the checksum of the standard', () => expect(crc32(bytesOf('123456789'))).toBe(0xcbf43926));
});
