/** Modules that scripts/embed.mjs makes when the program is bundled or tested. */
declare module 'embed:validator' {
  export interface SchemaError {
    readonly instancePath: string
    readonly keyword: string
    readonly params: Readonly<Record<string, unknown>>
    readonly schemaPath: string
  }
  const validate: ((data: unknown) => boolean) & { errors?: readonly SchemaError[] | null }
  export default validate
}

declare module 'embed:schema' {
  const text: string
  export default text
}

declare module 'embed:pages' {
  const pages: Readonly<Record<string, string>>
  export default pages
}

declare module 'embed:patterns' {
  const patterns: Readonly<Record<string, string>>
  export default patterns
}
