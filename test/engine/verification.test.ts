import { expect, it } from 'vitest';
import { verified, verifiedProgram } from '../../src/engine/verification.ts';
import { Graph } from '../../src/ir/graph.ts';
import { ProgramBuilder } from '../../src/ir/program.ts';

it('runs in the tests: a graph and a program that are broken are found after the phase that made them', () => {
  const graph = new Graph('broken');
  const x = graph.input('x', { dtype: 'f32', shape: [2] });
  graph.outputs = graph.add('neg', [x], {}, [x.type]).outputs;
  expect(verified(graph)).toBe(graph);
  graph.nodes.reverse();
  expect(() => verified(graph)).toThrow(/before it is made/);

  const program = new ProgramBuilder().finish({ arena: 0, state: 0, io: 0 });
  expect(verifiedProgram(program)).toBe(program);
  expect(() => verifiedProgram({ ...program, slots: [{ segment: 0, offset: 9 }] })).toThrow(/outside its segment/);
});
