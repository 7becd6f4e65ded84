/**
 * Writes native/generated/treaty.h from dist/ir/kernels.js: numbers of instructions and chain operations, the place of every field, and
 * the table that the verifier of the machine reads. One table crosses the language border; this file is its only other side.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const root = new URL('../', import.meta.url);

const size = (fields) => fields.reduce((n, f) => n + (f.kind === 'ref' ? 2 : 1), 0);
const kinds = (fields) => fields.map((f) => ({ ref: 'r', int: 'i', f32: 'f' })[f.kind]).join('');

/** `prefix_name = index` for each field, from `at` on. */
function places(prefix, fields, at) {
  const out = [];
  for (const field of fields) {
    out.push(`${prefix}${field.name} = ${at}`);
    at += field.kind === 'ref' ? 2 : 1;
  }
  return out;
}

export async function generateTreaty() {
  const kernels = new URL('dist/ir/kernels.js', root);
  const program = new URL('dist/ir/program.js', root);
  const { instructions, chainOperations, Init, LANES, MOST_SEGMENTS, Precision, Reduction, Segment } = await import(
    pathToFileURL(kernels.pathname).href
  );
  const { PROGRAM_MAGIC, PROGRAM_VERSION } = await import(pathToFileURL(program.pathname).href);
  const lines = [
    '// Written by tools/generate-treaty.mjs from src/ir/kernels.ts at build. Not to be edited or committed.',
    '#pragma once',
    'namespace unrolled {',
    `enum { LANES = ${LANES}, MAXIMUM_SEGMENTS = ${MOST_SEGMENTS}, PROGRAM_MAGIC = ${PROGRAM_MAGIC}, PROGRAM_VERSION = ${PROGRAM_VERSION} };`,
  ];
  const table = (prefix, object) =>
    lines.push(
      `enum { ${Object.entries(object)
        .map(([k, v]) => `${prefix}_${k} = ${v}`)
        .join(', ')} };`,
    );
  table('segment', Segment);
  table('init', Init);
  table('reduce', Reduction);
  table('precision', Precision);
  lines.push(`enum Opcode : int { ${instructions.map((r) => `OP_${r.name}`).join(', ')}, OPCODES };`);
  lines.push(`enum ChainOpcode : int { ${chainOperations.map((r) => `CHAIN_${r.name}`).join(', ')}, CHAIN_OPCODES };`);
  for (const row of instructions) {
    const end = 2 + size(row.fields);
    const members = places('', row.fields, 2);
    if (row.repeats.length) members.push(`${row.repeats[0].name} = ${end}`);
    for (const repeat of row.repeats) {
      members.push(...places(`${repeat.name}_`, repeat.fields, 0), `${repeat.name}_integers = ${size(repeat.fields)}`);
    }
    if (members.length) lines.push(`namespace ${row.name.toLowerCase()}_field { enum { ${members.join(', ')} }; }`);
  }
  lines.push(
    '/** Kinds of the fields of an instruction and of its repeats: i integer, r reference, f float. */',
    'struct TreatyRow { const char* name; const char* kinds; int repeats; const char* repeatKinds[2]; };',
    'static const TreatyRow treatyRows[OPCODES] = {',
    ...instructions.map(
      (r) =>
        `  {"${r.name}", "${kinds(r.fields)}", ${r.repeats.length}, {${[0, 1].map((i) => `"${kinds(r.repeats[i]?.fields ?? [])}"`).join(', ')}}},`,
    ),
    '};',
    '/** memory: 0 none, 1 load, 2 store. */',
    'struct ChainRow { const char* name; int arity; int memory; };',
    'static const ChainRow chainRows[CHAIN_OPCODES] = {',
    ...chainOperations.map((r) => `  {"${r.name}", ${r.arity}, ${{ load: 1, store: 2 }[r.memory] ?? 0}},`),
    '};',
    '}  // namespace unrolled',
    '',
  );
  const target = new URL('native/generated/treaty.h', root);
  const text = lines.join('\n');
  mkdirSync(new URL('./', target), { recursive: true });
  let old = '';
  try {
    old = readFileSync(target, 'utf8');
  } catch {}
  if (old !== text) writeFileSync(target, text);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await generateTreaty();
