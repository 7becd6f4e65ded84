/**
 * Entities out of tags, one tag for a word: `B-PER I-PER O`. Schemes: BIO (every entity begins with B), IOB1 (B only where an entity follows
 * another one of its type), BIOES (E ends, S stands alone), BILOU (the same with L and U). Ramshaw and Marcus, "Text chunking using
 * transformation-based learning" (1995). Rules as of the Python package seqeval.
 */
import { fail } from '../../core/errors.ts';

/**
 * What counts as an entity. `lenient` takes tags of any scheme and forgives what is not well-formed, as the script of CoNLL-2000 does: an
 * I without a B begins an entity. The others take only what is well-formed in them.
 */
export type TagScheme = 'lenient' | 'BIO' | 'IOB1' | 'BIOES' | 'BILOU';

export interface Entity {
  readonly type: string;
  /** The first word. */
  readonly start: number;
  /** The word after the last one. */
  readonly end: number;
}

interface Tag {
  readonly prefix: string;
  readonly type: string;
}

const outside: Tag = { prefix: 'O', type: '_' };

/** A rule on two neighbours: their prefixes (`*`: any) and whether their types must agree. */
type Rule = readonly [before: string, prefix: string, types: 'same' | 'other' | 'any'];

interface SchemeRules {
  readonly prefixes: string;
  /** The second of the two begins an entity. */
  readonly start: readonly Rule[];
  /** It goes on with the one before. */
  readonly inside: readonly Rule[];
  /** The entity that ends before the second one is complete. */
  readonly end: readonly Rule[];
}

const closed = (single: string, last: string): SchemeRules => ({
  prefixes: `OBI${last}${single}`,
  start: [
    ['*', 'B', 'any'],
    ['*', single, 'any'],
  ],
  inside: [
    ['B', 'I', 'same'],
    ['B', last, 'same'],
    ['I', 'I', 'same'],
    ['I', last, 'same'],
  ],
  end: [
    [single, '*', 'any'],
    [last, '*', 'any'],
  ],
});

const schemes: Readonly<Record<Exclude<TagScheme, 'lenient'>, SchemeRules>> = {
  BIO: {
    prefixes: 'OBI',
    start: [['*', 'B', 'any']],
    inside: [
      ['B', 'I', 'same'],
      ['I', 'I', 'same'],
    ],
    end: [['*', '*', 'any']],
  },
  IOB1: {
    prefixes: 'OBI',
    start: [
      ['O', 'I', 'any'],
      ['I', 'I', 'other'],
      ['B', 'I', 'any'],
      ['I', 'B', 'same'],
      ['B', 'B', 'same'],
    ],
    inside: [
      ['B', 'I', 'same'],
      ['I', 'I', 'same'],
    ],
    end: [
      ['I', 'I', 'other'],
      ['I', 'O', 'any'],
      ['I', 'B', 'any'],
      ['B', 'O', 'any'],
      ['B', 'I', 'other'],
      ['B', 'B', 'same'],
    ],
  },
  BIOES: closed('S', 'E'),
  BILOU: closed('U', 'L'),
};

const holds = (rules: readonly Rule[], before: Tag, tag: Tag): boolean =>
  rules.some(
    ([left, right, types]) =>
      (left === '*' || left === before.prefix) &&
      (right === '*' || right === tag.prefix) &&
      (types === 'any' || (types === 'same') === (before.type === tag.type)),
  );

function tagOf(text: string): Tag {
  const dash = text.indexOf('-');
  return { prefix: text.charAt(0), type: dash < 0 ? text.slice(1) || '_' : text.slice(dash + 1) || '_' };
}

function strictEntities(tags: readonly Tag[], rules: SchemeRules): Entity[] {
  const found: Entity[] = [];
  const at = (i: number): Tag => (i >= 0 && i < tags.length ? tags[i] : outside);
  for (let i = 0; i < tags.length; ) {
    if (!holds(rules.start, at(i - 1), at(i))) {
      i++;
      continue;
    }
    let end = i + 1;
    while (end < tags.length && holds(rules.inside, at(end - 1), at(end))) end++;
    if (holds(rules.end, at(end - 1), at(end))) found.push({ type: at(i).type, start: i, end });
    i = end;
  }
  return found;
}

/** The rules of conlleval: an entity ends where another one, or another type, must begin. */
function lenientEntities(tags: readonly Tag[]): Entity[] {
  const found: Entity[] = [];
  const none = ({ prefix }: Tag) => prefix === 'O' || prefix === '.';
  let start = -1;
  for (let i = 0; i <= tags.length; i++) {
    const before = i > 0 ? tags[i - 1] : outside;
    const tag = i < tags.length ? tags[i] : outside;
    const newType = before.type !== tag.type;
    const complete = before.prefix === 'E' || before.prefix === 'S';
    const ends = complete || ('BI'.includes(before.prefix) && 'BSO'.includes(tag.prefix)) || (!none(before) && newType);
    if (ends && start >= 0) {
      found.push({ type: before.type, start, end: i });
      start = -1;
    }
    const afterEnd = complete || before.prefix === 'O';
    const begins =
      tag.prefix === 'B' || tag.prefix === 'S' || (afterEnd && 'EI'.includes(tag.prefix)) || (!none(tag) && newType);
    if (begins && i < tags.length) start = i;
  }
  return found;
}

/**
 * The entities of one text, in order.
 *
 * @throws ARGUMENT for an unknown scheme, DATA for a tag whose prefix the scheme does not have
 * @example text.entitiesOf(['B-PER', 'I-PER', 'O']) // [{ type: 'PER', start: 0, end: 2 }]
 */
export function entitiesOf(tags: readonly string[], scheme: TagScheme = 'lenient'): Entity[] {
  const rules = scheme === 'lenient' ? null : schemes[scheme];
  if (rules === undefined)
    fail('ARGUMENT', 'entitiesOf: scheme', `one of lenient, ${Object.keys(schemes).join(', ')}`, `'${String(scheme)}'`);
  const read = tags.map((text, i) => {
    if (typeof text !== 'string' || !text.length)
      fail('DATA', `entitiesOf: tags[${i}]`, "a tag such as 'B-PER' or 'O'", `'${String(text)}'`);
    if (rules && !rules.prefixes.includes(text.charAt(0)))
      fail(
        'DATA',
        `entitiesOf: tags[${i}]`,
        `a prefix of ${scheme}, one of ${[...rules.prefixes].join(' ')}`,
        `'${text}'`,
      );
    return tagOf(text);
  });
  return rules ? strictEntities(read, rules) : lenientEntities(read);
}
