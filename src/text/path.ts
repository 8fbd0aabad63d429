/** A place in a document: the keys and the list indices (from 0) that lead there. */
export type Path = readonly (string | number)[]

/** A path as people read it: `containers.web.forwardPorts[0].hostPort`; keys that are no plain words are quoted as in Nix. */
export const formatPath = (path: Path): string =>
  path
    .map((step, i) => {
      if (typeof step === 'number') return `[${step}]`
      const key = /^[A-Za-z_][A-Za-z0-9_'-]*$/.test(step) ? step : quote(step)
      return i === 0 ? key : `.${key}`
    })
    .join('')

/** A value from the file within a message: in double quotes, control characters escaped, long ones cut. */
export const quote = (text: string): string =>
  JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
