/** A plugin for rolldown and vite that answers the `embed:` modules declared in src/embed.d.ts. */
export declare const embed: () => {
  name: string
  resolveId: (id: string) => string | undefined
  load: (id: string) => string | undefined
}
