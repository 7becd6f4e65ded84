import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { parseLabelledTexts, readLabelledTexts } from '../../src/data/labelled-texts.ts';

const folder = mkdtempSync(join(tmpdir(), 'unrolled-data-'));
afterAll(() => rmSync(folder, { recursive: true }));
const reviews = 'node_modules/wink-sentiment/test/data/amazon_cells_labelled.txt';

describe('parseLabelledTexts', () => {
  it('finds label and text without a header, whichever comes first', () => {
    expect(parseLabelledTexts('1\tgood\n0\tbad\n', 'f')).toMatchObject({
      texts: ['good', 'bad'],
      labels: [1, 0],
      classes: ['0', '1'],
    });
    expect(parseLabelledTexts('good\t1\nbad\t0', 'f')).toMatchObject({ texts: ['good', 'bad'], labels: [1, 0] });
  });

  it('keeps the columns between as extra columns', () => {
    const read = parseLabelledTexts('0\t3\tso so\n1\t9\tgreat\n', 'f');
    expect(read.texts).toEqual(['so so', 'great']);
    expect(read.labels).toEqual([0, 1]);
    expect({ ...read.columns }).toEqual({ 1: ['3', '9'] });
  });

  it('finds columns by the header, in any order and with words as labels', () => {
    const read = parseLabelledTexts('Stars\tText\tLabel\r\n9\tgreat\tpos\r\n1\tbad\tneg\r\n', 'f');
    expect(read).toMatchObject({ texts: ['great', 'bad'], labels: [1, 0], classes: ['neg', 'pos'] });
    expect({ ...read.columns }).toEqual({ stars: ['9', '1'] });
  });

  it('takes columns that are named or counted by the caller', () => {
    expect(parseLabelledTexts('stars\ttext\n9\tgreat\n', 'f', { labelColumn: 'stars' })).toMatchObject({
      labels: [0],
      classes: ['9'],
    });
    expect(parseLabelledTexts('pos\tx\tgreat\nneg\ty\tbad\n', 'f', { labelColumn: 0, textColumn: 2 })).toMatchObject({
      texts: ['great', 'bad'],
      labels: [1, 0],
    });
  });

  it('numbers classes in ascending order', () => {
    expect(parseLabelledTexts('10\ta\n-1\tb\n2\tc\n', 'f')).toMatchObject({
      labels: [2, 0, 1],
      classes: ['-1', '2', '10'],
    });
  });

  it('skips blank lines and a byte order mark, keeps empty texts', () => {
    expect(parseLabelledTexts('\ufeff1\ta\n\n0\t\n\n', 'f')).toMatchObject({ texts: ['a', ''], labels: [1, 0] });
  });

  it.each([
    ['an empty file', '', 'f: expected rows of label and text, received an empty file'],
    ['a header alone', 'label\ttext\n', 'f: expected rows below the header, received none'],
    [
      'one column',
      'good\nbad\n',
      'f, line 1: expected at least two columns separated by tabs, received one column, "good"',
    ],
    [
      'a row with a column too many',
      '1\ta\n\n0\tb\tc\n',
      'f, line 3: expected 2 columns, as in line 1, received 3, starting with "0"',
    ],
    [
      'a label that is no number',
      '1\ta\nx\tb\n0\tc\n',
      'f, line 2, column 0: expected a label that is a whole number, received "x"',
    ],
    ['an empty label', 'label\ttext\n1\ta\n\tb\n', 'f, line 3: expected a label, received an empty field'],
  ])('refuses %s', (_name, content, message) => {
    expect(() => parseLabelledTexts(content, 'f')).toThrow(message);
  });

  it('refuses columns that do not exist', () => {
    expect(() => parseLabelledTexts('1\ta\n', 'f', { labelColumn: 5 })).toThrow(
      'f, labelColumn: expected a column in 0..1, received 5',
    );
    expect(() => parseLabelledTexts('1\ta\n', 'f', { textColumn: 'review' })).toThrow(
      'a header line that names the column "review"',
    );
    expect(() => parseLabelledTexts('1\ta\n', 'f', { labelColumn: 1, textColumn: 1 })).toThrow('column 1 for both');
  });
});

describe('readLabelledTexts', () => {
  it('reads plain and gzipped files alike', async () => {
    const plain = await readLabelledTexts(reviews);
    expect(plain.texts.length).toBe(1000);
    expect(plain.texts[1]).toBe('Good case, Excellent value.');
    expect(plain.labels.reduce((a, b) => a + b, 0)).toBe(500);
    const path = join(folder, 'a.tsv.gz');
    writeFileSync(path, gzipSync(plain.texts.map((text, i) => `${plain.labels[i]}\t${text}\n`).join('')));
    expect((await readLabelledTexts(path)).texts).toEqual(plain.texts);
  });

  it('says what is wrong with a file', async () => {
    await expect(readLabelledTexts(join(folder, 'none.tsv'))).rejects.toMatchObject({ code: 'IO' });
    const broken = join(folder, 'broken.tsv.gz');
    writeFileSync(broken, 'not gzip');
    await expect(readLabelledTexts(broken)).rejects.toMatchObject({ code: 'FORMAT' });
    const latin = join(folder, 'latin.tsv');
    writeFileSync(latin, Buffer.from([0x31, 0x09, 0xe9, 0x0a]));
    await expect(readLabelledTexts(latin)).rejects.toThrow('UTF-8');
  });
});
