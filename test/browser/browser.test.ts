/** The built package in a real browser: ES modules over a static server, the WebAssembly host, in a worker. Needs `npm run build`. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const executable = process.env.UNROLLED_BROWSER ?? '/usr/bin/chromium';
const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };
/** What a bundler would do: names of packages become addresses. */
const packages: Record<string, string> = { fflate: '/node_modules/fflate/esm/browser.js' };

async function answer(path: string): Promise<{ body: Uint8Array | string; type: string }> {
  const type = types[extname(path)] ?? 'application/octet-stream';
  const body = await readFile(join(root, path));
  if (type !== 'text/javascript') return { body, type };
  const source = body
    .toString()
    .replace(/(\bfrom\s*|\bimport\(\s*)'([a-z]+)'/g, (all, before, name) =>
      packages[name] ? `${before}'${packages[name]}'` : all,
    );
  return { body: source, type };
}

describe.skipIf(!existsSync(executable))('in Chromium', () => {
  let server: Server;
  let browser: Browser;

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      try {
        const { body, type } = await answer(new URL(request.url as string, 'http://localhost').pathname);
        response.writeHead(200, { 'content-type': type }).end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({
      executablePath: executable,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  it('trains a model in a worker', async () => {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/test/browser/page.html`);
    await page.waitForFunction(() => document.title === 'done', undefined, { timeout: 60_000 });
    const result = JSON.parse((await page.textContent('#result')) as string);
    expect(result.error, complaints.join('\n')).toBeUndefined();
    expect(result.host).toBe('wasm');
    expect(['simd128', 'relaxed']).toContain(result.isa);
    expect(result.shape).toEqual([64, 1]);
    expect(result.last).toBeLessThan(result.first * 0.7);
    expect(result.accuracy).toBeGreaterThan(0.9);
  }, 90_000);
});
