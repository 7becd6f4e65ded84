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
const packages: Record<string, string> = { 'fflate/browser': '/node_modules/fflate/esm/browser.js' };

async function answer(path: string): Promise<{ body: Uint8Array | string; type: string }> {
  const type = types[extname(path)] ?? 'application/octet-stream';
  const body = await readFile(join(root, path));
  if (type !== 'text/javascript') return { body, type };
  const source = body
    .toString()
    .replace(/(\bfrom\s*|\bimport\(\s*)["']([a-z/]+)["']/g, (all, before, name) =>
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
        const { pathname, search } = new URL(request.url as string, 'http://localhost');
        const { body, type } = await answer(pathname);
        // The workers of an isolated page must say so too; on another page it means nothing.
        if (search === '?isolated' || pathname.endsWith('.js'))
          response.setHeader('cross-origin-embedder-policy', 'require-corp');
        if (search === '?isolated') response.setHeader('cross-origin-opener-policy', 'same-origin');
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

  /** What the worker of the page reports; on a page of its own, whose memory can be shared, with threads. */
  async function trained(isolated: boolean) {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
    const { port } = server.address() as AddressInfo;
    await page.goto(`http://127.0.0.1:${port}/test/browser/page.html${isolated ? '?isolated' : ''}`);
    await page.waitForFunction(() => document.title === 'done', undefined, { timeout: 60_000 });
    const result = JSON.parse((await page.textContent('#result')) as string);
    expect(result.error, complaints.join('\n')).toBeUndefined();
    await page.close();
    return result;
  }

  it('trains a model in a worker, and on two threads to the same bits', async () => {
    const result = await trained(false);
    expect(result.shared).toBe(false);
    expect(result.host).toBe('wasm');
    expect(['simd128', 'relaxed']).toContain(result.isa);
    expect(result.shape).toEqual([64, 1]);
    expect(result.last).toBeLessThan(result.first * 0.7);
    expect(result.accuracy).toBeGreaterThan(0.9);
    const onThreads = await trained(true);
    expect(onThreads.shared).toBe(true);
    expect(onThreads.weights).toEqual(result.weights);
  }, 90_000);
});
