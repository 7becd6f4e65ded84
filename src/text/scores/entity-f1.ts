/** Precision, recall and F1 of entities: one counts where its type, beginning and end are right. Numbers as of the package seqeval. */
import { fail } from '../../core/errors.ts';
import { entitiesOf, type TagScheme } from './entities.ts';

export interface EntityScore {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Entities that the reference has. */
  readonly support: number;
}

export interface EntityReport extends EntityScore {
  /** Of every type, by its name, in alphabetical order. */
  readonly types: Readonly<Record<string, EntityScore>>;
  /** The means over the types. */
  readonly macro: EntityScore;
  /** The means over the types, by how often each is there. */
  readonly weighted: EntityScore;
}

interface Counts {
  right: number;
  found: number;
  there: number;
}

const ratio = (a: number, b: number) => (b === 0 ? 0 : a / b);

function scoreOf({ right, found, there }: Counts): EntityScore {
  const precision = ratio(right, found);
  const recall = ratio(right, there);
  return { precision, recall, f1: ratio(2 * precision * recall, precision + recall), support: there };
}

function average(scores: readonly EntityScore[], weightOf: (score: EntityScore) => number): EntityScore {
  const all = scores.reduce((sum, own) => sum + weightOf(own), 0);
  const mean = (key: 'precision' | 'recall' | 'f1') =>
    ratio(
      scores.reduce((sum, own) => sum + own[key] * weightOf(own), 0),
      all,
    );
  const support = scores.reduce((sum, own) => sum + own.support, 0);
  return { precision: mean('precision'), recall: mean('recall'), f1: mean('f1'), support };
}

/**
 * Scores of tagged texts over all entities (the micro average), and for every type. Shares of nothing are 0.
 *
 * @param references the right tags of every text
 * @param predictions tags of the same lengths
 * @param options `scheme`: what counts as an entity, see `TagScheme`. Default 'lenient'
 * @throws DATA for no text, and for lists of unequal length
 * @example text.entityF1([['B-PER', 'I-PER', 'O']], [['B-PER', 'I-PER', 'O']]).f1 // 1
 */
export function entityF1(
  references: readonly (readonly string[])[],
  predictions: readonly (readonly string[])[],
  { scheme = 'lenient' }: { readonly scheme?: TagScheme } = {},
): EntityReport {
  if (!references.length) fail('DATA', 'entityF1', 'at least one text', 'none');
  if (references.length !== predictions.length)
    fail('DATA', 'entityF1', `${references.length} predictions, one for each text`, String(predictions.length));
  const counts = new Map<string, Counts>();
  const of = (type: string): Counts => {
    const own = counts.get(type) ?? { right: 0, found: 0, there: 0 };
    counts.set(type, own);
    return own;
  };
  references.forEach((reference, i) => {
    const prediction = predictions[i];
    if (prediction.length !== reference.length)
      fail(
        'DATA',
        `entityF1: predictions[${i}]`,
        `${reference.length} tags, as in the reference`,
        String(prediction.length),
      );
    const there = entitiesOf(reference, scheme);
    const found = entitiesOf(prediction, scheme);
    const key = ({ type, start, end }: (typeof there)[number]) => `${start} ${end} ${type}`;
    const right = new Set(there.map(key));
    for (const entity of there) of(entity.type).there++;
    for (const entity of found) {
      const own = of(entity.type);
      own.found++;
      if (right.has(key(entity))) own.right++;
    }
  });
  const names = [...counts.keys()].sort();
  const types = Object.fromEntries(names.map((name) => [name, scoreOf(of(name))]));
  const scores = Object.values(types);
  const total = { right: 0, found: 0, there: 0 };
  for (const own of counts.values()) for (const key of ['right', 'found', 'there'] as const) total[key] += own[key];
  return {
    ...scoreOf(total),
    types,
    macro: average(scores, () => 1),
    weighted: average(scores, ({ support }) => support),
  };
}
