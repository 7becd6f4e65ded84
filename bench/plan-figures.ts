/** The figures of a compiled step, out of what `explain()` prints. */

export interface PlanFigures {
  readonly arena: number;
  readonly state: number;
  readonly io: number;
}

const units: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Bytes of the training step that `text` describes. */
export function planFigures(text: string): PlanFigures {
  const plan = text.split('== train')[1] ?? '';
  const bytes = (pattern: RegExp) => {
    const found = pattern.exec(plan);
    if (!found) throw new Error(`explain() no longer says ${pattern}`);
    return Number(found[1]) * units[found[2]];
  };
  return {
    arena: bytes(/buffers in ([\d.]+) (\w+)/),
    state: bytes(/state ([\d.]+) (\w+)/),
    io: bytes(/io ([\d.]+) (\w+) a step/),
  };
}
