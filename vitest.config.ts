import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { embed } from './scripts/embed.mjs'

const config: ViteUserConfig = defineConfig({
  plugins: [embed()],
  test: { include: ['test/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 120_000 }
})

export default config
