/** Hypotheses beside their references, checked. */
import { fail } from '../../core/errors.ts';

/** The references of one hypothesis: one text, or several. */
export type References = string | readonly string[];

/** Throws DATA for an empty corpus, for lists of unequal length, and for a hypothesis without a reference. */
export function pairsOf(
  hypotheses: readonly string[],
  references: readonly References[],
  where: string,
): { hypothesis: string; references: readonly string[] }[] {
  if (!Array.isArray(hypotheses) || !Array.isArray(references))
    fail(
      'ARGUMENT',
      where,
      'a list of hypotheses and a list of references',
      `${typeof hypotheses} and ${typeof references}`,
    );
  if (!hypotheses.length) fail('DATA', where, 'at least one hypothesis', 'an empty list');
  if (hypotheses.length !== references.length)
    fail('DATA', where, `${hypotheses.length} references, one for each hypothesis`, String(references.length));
  return hypotheses.map((hypothesis, i) => {
    const own = references[i];
    const list = typeof own === 'string' ? [own] : own;
    if (typeof hypothesis !== 'string') fail('DATA', `${where}: hypotheses[${i}]`, 'a text', typeof hypothesis);
    if (!Array.isArray(list) || !list.length || list.some((text) => typeof text !== 'string'))
      fail(
        'DATA',
        `${where}: references[${i}]`,
        'a text, or a list of texts',
        Array.isArray(own) ? 'an empty list' : typeof own,
      );
    return { hypothesis, references: list };
  });
}
