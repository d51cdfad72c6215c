import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// The tests outside src/ use the package by its names, as a user does, and so run what was built.
const built = {
  objectrelay: fileURLToPath(new URL('./dist/index.js', import.meta.url)),
}

export default defineConfig({
  test: {
    // By default vitest leaves one processor to itself, and it does hardly anything: of two, half of the suite's time would be lost.
    maxWorkers: availableParallelism(),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/{properties,simulation,fuzz}/**/*.test.ts'],
          setupFiles: ['test/support/propertySeed.ts', 'test/support/closedFiles.ts'],
          testTimeout: 30_000,
        },
      },
      {
        resolve: { alias: built },
        test: {
          name: 'system',
          include: ['test/{contracts,scenarios,faults,package}/**/*.test.ts'],
          setupFiles: ['test/support/closedFiles.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve: { alias: built },
        test: { name: 'peers', include: ['test/peers/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 120_000 },
      },
    ],
  },
})
