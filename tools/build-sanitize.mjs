/** Builds build/unrolled-sanitized.node: the addon with the address and undefined-behaviour sanitizers. tools/test-sanitized.mjs runs it. */
import { fileURLToPath } from 'node:url';
import { buildAddon } from './build-addon.mjs';

const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

export function buildSanitized() {
  return buildAddon({
    target: 'unrolled-sanitized.node',
    flags: ['-O1', '-g', '-fno-omit-frame-pointer', ...sanitizers],
    linkFlags: sanitizers,
  });
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await buildSanitized();
