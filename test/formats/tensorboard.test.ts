/** Event files, byte by byte as TensorBoard's own classes and record writer make them (`test/golden/tensorboard.py`). */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { summaryWriter } from '../../src/formats/summary-writer.ts';
import { EventFile, histogramBuckets } from '../../src/formats/tensorboard.ts';

interface Golden {
  time: number;
  histograms: Record<string, number[]>;
  records: string[];
}

const text = readFileSync(new URL('../golden/tensorboard.json', import.meta.url), 'utf8');
const golden = JSON.parse(text) as Golden;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'events-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const graph = {
  nodes: [
    { name: 'input', className: 'InputLayer', shapes: [[null, 7, 3]], parameters: 0, trainable: true },
    { name: 'lstm', className: 'LSTM', shapes: [[null, 4]], parameters: 128, trainable: true },
    { name: 'lstm', className: 'LSTM', shapes: [[null, 4]], parameters: 128, trainable: true },
    { name: 'add', className: 'Add', shapes: [[null, 4]], parameters: 0, trainable: false },
  ],
  edges: [
    { from: 0, to: 1 },
    { from: 0, to: 2 },
    { from: 1, to: 3 },
    { from: 2, to: 3 },
  ],
};

/** The records of a file, by the lengths in their frames. */
function recordsOf(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const records: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = Number(view.getBigUint64(at, true)) + 16;
    records.push(Buffer.from(bytes.subarray(at, at + size)).toString('base64'));
    at += size;
  }
  return records;
}

const only = () => join(folder, readdirSync(folder)[0]);

describe('an event file', () => {
  it('has the bytes that TensorBoard writes', async () => {
    const events = await EventFile.open({ folder }, () => golden.time);
    [0.5, 0, Number.NaN, Number.POSITIVE_INFINITY, 1e-30].forEach((v, step) => events.scalar('epoch_loss', v, step));
    events.scalar('late', -1.5, 2 ** 40);
    for (const [name, values] of Object.entries(golden.histograms)) events.histogram(`${name}/histogram`, values, 3);
    events.text('summary', '**Größe** 大きさ', 0);
    events.kerasModel('keras', { class_name: 'Sequential' }, 0);
    events.graph(graph);
    events.close();
    expect(recordsOf(readFileSync(only()))).toEqual(golden.records);
  });

  it('goes on where it was marked, and forgets what came after', async () => {
    const first = await EventFile.open({ folder }, () => golden.time);
    first.scalar('a', 1, 0);
    const position = first.mark();
    const marked = readFileSync(position.path);
    expect(position.bytes).toBe(marked.length);
    first.scalar('a', 2, 1);
    first.close();
    writeFileSync(position.path, 'half a record', { flag: 'a' });
    const second = await EventFile.open(position, () => golden.time);
    expect(readFileSync(position.path)).toEqual(marked);
    second.scalar('a', 2, 1);
    second.close();
    const whole = await EventFile.open({ folder }, () => golden.time);
    whole.scalar('a', 1, 0);
    whole.scalar('a', 2, 1);
    const { path } = whole.mark();
    whole.close();
    expect(readFileSync(position.path)).toEqual(readFileSync(path));
  });

  it('refuses to go on in a file that is shorter than it was', async () => {
    const path = join(folder, 'events.out.tfevents.1');
    writeFileSync(path, 'short');
    await expect(EventFile.open({ path, bytes: 100 })).rejects.toThrow(/has 5 bytes, and 100 were written before/);
    expect(readFileSync(path, 'utf8')).toBe('short');
  });
});

describe('the buckets of a histogram', () => {
  it('leave out what is not finite', () => {
    const table = histogramBuckets([Number.NaN, 0, 1, Number.NEGATIVE_INFINITY, 2], 2);
    expect([...table]).toEqual([0, 1, 1, 1, 2, 2]);
  });
  it('hold every value', () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i) / 7);
    const table = histogramBuckets(values);
    let total = 0;
    for (let b = 0; b < 30; b++) total += table[b * 3 + 2];
    expect(total).toBe(1000);
    expect(table[29 * 3 + 1]).toBe(Math.max(...values));
  });
});

describe('summaryWriter', () => {
  it('writes what it was given, at flush and close', async () => {
    const writer = summaryWriter(join(folder, 'own', 'run'));
    writer.scalar('loss', 0.5, 0);
    const values = new Float32Array([1, 2]);
    writer.histogram('values', values, 0);
    values.fill(9);
    await writer.flush();
    const path = join(folder, 'own', 'run', readdirSync(join(folder, 'own', 'run'))[0]);
    const flushed = recordsOf(readFileSync(path));
    expect(flushed).toHaveLength(3);
    writer.text('note', 'done', 1);
    await writer.close();
    const all = recordsOf(readFileSync(path));
    expect(all.slice(0, 3)).toEqual(flushed);
    expect(all).toHaveLength(4);
    const bytes = Buffer.from(all[2], 'base64');
    const doubles = [0, 8, 16].map((i) => bytes.readDoubleLE(bucketsAt(bytes) + i));
    expect(doubles).toEqual([1, 1 + 1 / 30, 1]);
  });

  it('refuses what is no event, and use after close', async () => {
    const writer = summaryWriter(folder);
    expect(() => writer.scalar('', 1, 0)).toThrow(/expected a tag/);
    expect(() => writer.scalar('a', 1, 0.5)).toThrow(/whole number as step/);
    expect(() => writer.scalar('a', '1' as unknown as number, 0)).toThrow(/expected a number/);
    await writer.close();
    expect(readdirSync(folder)).toEqual([]);
    expect(() => writer.scalar('a', 1, 0)).toThrow(/an open writer/);
  });

  it('tells where the disk refuses, and tries again', async () => {
    writeFileSync(join(folder, 'file'), '');
    const writer = summaryWriter(join(folder, 'file', 'run'));
    writer.scalar('a', 1, 0);
    await expect(writer.flush()).rejects.toThrow(/cannot make the folder/);
    rmSync(join(folder, 'file'));
    await writer.close();
    expect(readdirSync(join(folder, 'file', 'run'))).toHaveLength(1);
  });
});

/** Where the 90 numbers of a histogram begin: tensor_content has the tag 0x22, and 720 bytes. */
function bucketsAt(record: Buffer): number {
  return record.indexOf(Buffer.from([0x22, 0xd0, 0x05])) + 3;
}
