import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    // The verifiers of the compiler run after every phase.
    env: { UNROLLED_VERIFY: '1' },
  },
});
