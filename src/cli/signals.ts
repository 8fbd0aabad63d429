const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What is done here is not torn apart by Ctrl-C: a signal that comes meanwhile is heeded after it. */
export const whole = <T>(action: () => T): T => {
  for (const name of SIGNALS) if (process.listenerCount(name) === 0) process.once(name, again)
  return action()
}

/** The listener is gone by now, so this ends the process as the signal would have. */
const again = (name: NodeJS.Signals): void => {
  process.kill(process.pid, name)
}
