/** The command line as a person uses it: the built program in a process of its own (`npm run build` first). */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unrolled-cli-'));
afterAll(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

function start(args: readonly string[], input: string | null = null): { child: ChildProcess; done: Promise<Outcome> } {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => (out += chunk));
  child.stderr?.on('data', (chunk) => (err += chunk));
  if (input !== null) child.stdin?.end(input);
  const done = new Promise<Outcome>((resolve) => child.on('close', (code) => resolve({ code, out, err })));
  return { child, done };
}

const run = (args: readonly string[], input: string | null = null) => start(args, input).done;

/** A file in which one word decides, so that a small model learns it in seconds. */
function easyFile(name: string, rows: number): string {
  const path = join(folder, name);
  const things = ['phone', 'case', 'cable', 'screen', 'sound'];
  const text = Array.from(
    { length: rows },
    (_, i) => `${i % 2}\tthe ${things[i % 5]} number ${i % 7} is ${i % 2 ? 'wonderful' : 'horrible'}`,
  );
  writeFileSync(path, `${text.join('\n')}\n`);
  return path;
}

const small = [
  '--words',
  '50',
  '--length',
  '10',
  '--embedding',
  '8',
  '--units',
  '8',
  '--batch',
  '16',
  '--learning-rate',
  '0.01',
];

describe('unrolled', () => {
  const model = join(folder, 'easy.unrolled');
  let trained: Outcome;
  beforeAll(async () => {
    trained = await run([
      '--data',
      easyFile('easy.tsv', 200),
      ...small,
      '--epochs',
      '6',
      '--out',
      model,
      'the phone is wonderful',
      'the cable is horrible',
    ]);
  }, 60_000);

  it('trains, compares with the baselines, saves model and curves, and answers', () => {
    expect(trained.err).toBe('');
    expect(trained.code).toBe(0);
    expect(trained.out).toContain('easy.tsv: 160 rows to train on, 40 held out, classes 0, 1');
    expect(trained.out).toMatch(/Total params: /);
    expect(trained.out).toMatch(/Epoch 6\/6/);
    expect(trained.out).toMatch(/Held-out accuracy {2}100\.0 % {2}\(40 of 40;/);
    expect(trained.out).toMatch(/bag of words {5}100\.0 %/);
    expect(trained.out).toMatch(/majority class {3}50\.0 %/);
    expect(trained.out).toMatch(/^1 +0\.\d+ █+░* {2}the phone is wonderful$/m);
    expect(trained.out).toMatch(/^0 +0\.\d+ █+░* {2}the cable is horrible$/m);
    expect(existsSync(model)).toBe(true);
    expect(readFileSync(join(folder, 'easy.svg'), 'utf8')).toContain('>Accuracy<');
    expect(readdirSync(folder).filter((name) => name.includes('partial') || name.includes('tmp'))).toEqual([]);
  });

  it('answers from the saved model, the same, for arguments and for piped lines', async () => {
    const { code, out } = await run(['--model', model, 'the phone is wonderful']);
    expect(code).toBe(0);
    const line = trained.out.split('\n').find((l) => l.endsWith('the phone is wonderful')) as string;
    expect(out).toContain(line);
    const piped = await run(['--model', model], 'the phone is wonderful\n\nzzz\n');
    expect(piped.code).toBe(0);
    expect(piped.out).toContain(line);
    expect(piped.out).toMatch(/zzz {2}\(no word of it is known\)/);
  });

  it('gives the same run for the same seed, another for another', async () => {
    const args = [
      '--data',
      join(folder, 'easy.tsv'),
      ...small,
      '--epochs',
      '1',
      '--layer',
      'lstm',
      '--out',
      join(folder, 'seed.unrolled'),
    ];
    const answers = async (seed: string) => {
      const { code, out } = await run([...args, '--seed', seed, 'the phone is wonderful', 'the sound']);
      expect(code).toBe(0);
      return out.split('\n').filter((line) => /█|░|Held-out/.test(line));
    };
    const first = await answers('7');
    expect(first.length).toBe(3);
    expect(await answers('7')).toEqual(first);
    expect(await answers('8')).not.toEqual(first);
  });

  it('has more than two classes, and a file to test with', async () => {
    const path = join(folder, 'three.tsv');
    const test = join(folder, 'three-test.tsv');
    const rows = (n: number) =>
      Array.from(
        { length: n },
        (_, i) => `${['red', 'green', 'blue'][i % 3]}\tword${i % 4} ${['rose', 'leaf', 'sky'][i % 3]}`,
      );
    writeFileSync(path, `label\ttext\n${rows(120).join('\n')}\n`);
    writeFileSync(test, `label\ttext\n${rows(9).join('\n')}\n`);
    const { code, out } = await run([
      '--data',
      path,
      '--test-data',
      test,
      ...small,
      '--epochs',
      '8',
      '--layer',
      'simple-rnn',
      '--out',
      join(folder, 'three.unrolled'),
      'the sky',
    ]);
    expect(code).toBe(0);
    expect(out).toContain('120 rows to train on, 9 held out, classes blue, green, red');
    expect(out).toMatch(/^blue .*the sky$/m);
  });

  it('keeps the last finished epoch on Ctrl-C, names it, and ends with 130', async () => {
    const out = join(folder, 'stopped.unrolled');
    const { child, done } = start(['--data', easyFile('long.tsv', 600), ...small, '--epochs', '100000', '--out', out]);
    let seen = '';
    await new Promise<void>((resolve) =>
      child.stdout?.on('data', (chunk) => {
        seen += chunk;
        if (/Epoch 4\//.test(seen)) resolve();
      }),
    );
    child.kill('SIGINT');
    const stopped = await done;
    expect(stopped.code).toBe(130);
    expect(stopped.out).toMatch(
      /Interrupted: the model after epoch \d+ of 100000, the last finished one, is saved as .*stopped\.unrolled/,
    );
    expect(existsSync(out)).toBe(true);
    expect((await run(['--model', out, 'the phone is wonderful'])).code).toBe(0);
  });

  it.each([
    ['a file that is not there', ['--data', '/nowhere/x.tsv'], '/nowhere/x.tsv: expected a file that can be read'],
    ['an unknown layer', ['--layer', 'lstn'], "argument 'lstn' is invalid. Allowed choices are lstm, gru, simple-rnn."],
    ['a number that is none', ['--epochs', 'many'], 'expected a whole number from 1 on.'],
    ['an unknown option', ['--epoch', '3'], "unknown option '--epoch'"],
    ['an unknown optimizer', ['--optimizer', 'adamant'], 'adamant'],
    ['a model that is not there', ['--model', '/nowhere/x.unrolled', 'a'], '/nowhere/x.unrolled'],
  ])('refuses %s with exit code 1', async (_name, args, message) => {
    const { code, err } = await run([...args, '--out', join(folder, 'never.unrolled'), '--no-ask']);
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
    expect(code).toBe(1);
  });

  it('refuses a file that is no model, a class alone, and a place that cannot be written', async () => {
    const text = join(folder, 'text.unrolled');
    writeFileSync(text, 'not a model');
    expect((await run(['--model', text, 'a'])).err).toContain('text.unrolled');
    const one = join(folder, 'one.tsv');
    writeFileSync(one, '1\ta\n1\tb\n');
    expect((await run(['--data', one])).err).toContain('expected at least two classes, received only 1 in 2 rows');
    writeFileSync(join(folder, 'blocked'), '');
    const { code, err } = await run([
      '--data',
      join(folder, 'easy.tsv'),
      '--out',
      join(folder, 'blocked', 'x.unrolled'),
    ]);
    expect(code).toBe(1);
    expect(err).toContain('expected a folder that can be written to');
  });

  it.skipIf(process.platform === 'win32')(
    'says so when the disk is full, and leaves nothing half-written',
    async () => {
      const out = join(folder, 'full.unrolled');
      const args = ['--data', join(folder, 'easy.tsv'), ...small, '--epochs', '1', '--out', out];
      // files of more than 1 KB are refused by the system, as on a full disk
      const script = `trap '' XFSZ; ulimit -f 1; exec "$@"`;
      const child = spawn('bash', ['-c', script, 'bash', process.execPath, program, ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let err = '';
      child.stderr.on('data', (chunk) => (err += chunk));
      const code = await new Promise((resolve) => child.on('close', resolve));
      expect(code).toBe(1);
      expect(err).toContain('full.unrolled');
      expect(err).not.toContain('    at ');
      expect(readdirSync(folder).filter((name) => name.startsWith('full'))).toEqual([]);
    },
  );
});
