/** Measurements that need a process of their own: the memory of one that has run before is not given back, and a host is chosen once. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pinningPrefix } from './pinning.ts';

/** Marks the line that is the answer. */
const mark = 'answer: ';

export interface ChildOptions {
  /** Processors of the process. Default: those of this one. */
  readonly cpus?: readonly number[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs the module in a process of its own, which answers by `answerAsChild`. @param url its import.meta.url @param question any JSON */
export function childResult<Answer>(url: string, question: unknown, options: ChildOptions = {}): Answer {
  const { cpus = [], environment = {} } = options;
  const [command, ...rest] = [
    ...pinningPrefix(cpus),
    process.execPath,
    '--expose-gc',
    fileURLToPath(url),
    JSON.stringify(question),
  ];
  const { stdout, stderr, status } = spawnSync(command, rest, {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
  const answer = stdout?.split('\n').find((line) => line.startsWith(mark));
  if (status !== 0 || !answer) throw new Error(`${fileURLToPath(url)} ${JSON.stringify(question)}: ${stderr}`);
  return JSON.parse(answer.slice(mark.length)) as Answer;
}

/** Where the module is the program of this process: answers the question that it was given. */
export async function answerAsChild<Question>(
  url: string,
  answer: (question: Question) => Promise<unknown>,
): Promise<void> {
  if (process.argv[1] !== fileURLToPath(url)) return;
  console.log(`${mark}${JSON.stringify(await answer(JSON.parse(process.argv[2])))}`);
}
