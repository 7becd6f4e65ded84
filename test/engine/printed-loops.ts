/** The loops of a printed program. */
export interface PrintedLoop {
  /** The names of the instructions that stand in it, without those of loops within it. */
  readonly instructions: string[];
  /** Whether no other loop is in it. */
  innermost: boolean;
}

/** In the order in which they begin. @param text what `explain` gives */
export function printedLoops(text: string): PrintedLoop[] {
  const loops: PrintedLoop[] = [];
  const open: PrintedLoop[] = [];
  for (const line of text.slice(text.indexOf('\nprogram:')).split('\n')) {
    const name = line.trim().split(' ')[0];
    if (name === 'LOOP') {
      for (const around of open) around.innermost = false;
      const loop = { instructions: [], innermost: true };
      loops.push(loop);
      open.push(loop);
    } else if (name === 'NEXT') open.pop();
    else if (/^[A-Z_]+$/.test(name)) open[open.length - 1]?.instructions.push(name);
  }
  return loops;
}

/** The instructions of every loop, sorted. */
export const loopsOf = (text: string): string[][] => printedLoops(text).map(({ instructions }) => instructions.sort());
