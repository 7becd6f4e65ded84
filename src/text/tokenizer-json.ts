/**
 * The dictionaries inside a tokenizer's JSON, in the bytes that Python's `json.dumps` writes. They are read and written by hand, because a
 * JavaScript object would move keys that look like numbers (the word "2024") to the front, and the order decides between words of equal count.
 */
import { fail } from '../core/errors.ts';

/** Python escapes all that is not printable ASCII. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function formatCounts(map: ReadonlyMap<string | number, number>): string {
  return `{${[...map].map(([key, count]) => `${quoted(String(key))}: ${count}`).join(', ')}}`;
}

export function formatWords(map: ReadonlyMap<number, string>): string {
  return `{${[...map].map(([id, word]) => `"${id}": ${quoted(word)}`).join(', ')}}`;
}

const entry = /\s*("(?:[^"\\]|\\.)*")\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)\s*(,|$)/y;

function* entries(json: unknown, where: string): Generator<[string, string | number]> {
  const broken = (found: string): never => fail('FORMAT', where, 'a JSON text of a flat dictionary', found);
  if (typeof json !== 'string') return broken(typeof json);
  const open = json.trim();
  if (!open.startsWith('{') || !open.endsWith('}')) return broken(JSON.stringify(open.slice(0, 40)));
  const inner = open.slice(1, -1);
  if (inner.trim() === '') return;
  for (let at = 0; ; ) {
    entry.lastIndex = at;
    const match = entry.exec(inner);
    if (!match) return broken(JSON.stringify(inner.slice(at, at + 40)));
    at = entry.lastIndex;
    const end = match[3] !== ',';
    let pair: [string, string | number];
    try {
      pair = [JSON.parse(match[1]), JSON.parse(match[2])];
    } catch {
      return broken(match[0]);
    }
    yield pair;
    if (end) return;
  }
}

/** Keys with whole numbers, in the order of the text. */
export function parseCounts(json: unknown, where: string): Map<string, number> {
  const map = new Map<string, number>();
  for (const [key, value] of entries(json, where))
    map.set(
      key,
      typeof value === 'number' ? value : fail('FORMAT', `${where}[${JSON.stringify(key)}]`, 'a number', `"${value}"`),
    );
  return map;
}

/** Ids with words. */
export function parseWords(json: unknown, where: string): Map<number, string> {
  const map = new Map<number, string>();
  for (const [key, value] of entries(json, where)) {
    if (typeof value !== 'string' || !/^\d+$/.test(key))
      fail('FORMAT', `${where}["${key}"]`, 'an id with a word', String(value));
    map.set(Number(key), value);
  }
  return map;
}
