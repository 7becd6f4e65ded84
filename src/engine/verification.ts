/**
 * The verifiers of the compiler's two languages, after every phase, where UNROLLED_VERIFY is 1: in the tests. Elsewhere they would only go over
 * the compiler's own work a second time; what a machine must know of a program to run it safely it checks itself when it loads it.
 */
import { type Graph, verifyGraph } from '../ir/graph.ts';
import { type Program, verifyProgram } from '../ir/program.ts';
import { environment } from '../vm/builtin.ts';

const verifies = environment('UNROLLED_VERIFY') === '1';

export function verified(graph: Graph): Graph {
  if (verifies) verifyGraph(graph);
  return graph;
}

export function verifiedProgram(program: Program): Program {
  if (verifies) verifyProgram(program);
  return program;
}
