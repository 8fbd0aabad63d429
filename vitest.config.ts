import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { embed } from './scripts/embed.mjs'

const report = process.env['NETPLAN_TEST_REPORT']

const config: ViteUserConfig = defineConfig({
  plugins: [embed()],
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    ...(report === undefined ? {} : { reporters: ['default', 'json'], outputFile: { json: report } })
  }
})

export default config
