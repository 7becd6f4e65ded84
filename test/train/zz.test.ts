import { test } from 'vitest';
test('smoke', async () => { await import('./smoke.tmp.ts'); }, 60000);
