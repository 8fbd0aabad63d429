import { type Exit, say } from './terminal.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** How a program asks for completions: the words of the line so far, the last of them unfinished. One answer a line. */
export const ASK = '--get-yargs-completions'

// The scripts know nothing of the command: each asks it, so that they never grow old. Where it has no answer, the shell
// completes names of files, and options only where one has been begun. yargs answers in the form of the shell that SHELL names: with a description behind a tab for
// fish, behind a colon for zsh.

const BASH = (name: string, id: string): string => `_${id}() {
  local found current="\${COMP_WORDS[COMP_CWORD]}" without='-*'
  [[ "$current" == -* ]] && without=
  mapfile -t found < <(SHELL=bash ${name} ${ASK} "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
  mapfile -t COMPREPLY < <(compgen -W "\${found[*]}" -X "$without" -- "$current")
}
complete -o bashdefault -o default -F _${id} ${name}
`

const ZSH = (name: string, id: string): string => `_${id}() {
  local -a found
  found=("\${(@f)$(SHELL=zsh ${name} ${ASK} "\${(@)words[1,CURRENT]}" 2>/dev/null)}")
  [[ "\${words[CURRENT]}" == -* ]] || found=("\${(@)found:#-*}")
  if [[ -n "\${found[*]}" ]]; then
    _describe ${name} found
  else
    _files
  fi
}
compdef _${id} ${name}
`

const FISH = (name: string, id: string): string => `function __${id}
  set -l words (commandline -opc) (commandline -ct)
  set -l found (SHELL=fish command ${name} ${ASK} $words 2>/dev/null)
  string match -q -- '-*' $words[-1]; or set found (string match -v -- '-*' $found)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c ${name} -f -a '(__${id})'
`

const NAMES = ['netplan', 'nspawn-netplan']

/** Prints the completion of a shell. */
export const completion = (shell: (typeof SHELLS)[number]): Exit => {
  const script = { bash: BASH, zsh: ZSH, fish: FISH }[shell]
  const head = shell === 'zsh' ? `#compdef ${NAMES.join(' ')}\n` : ''
  process.stdout.write(`${head}${NAMES.map(name => script(name, name.replaceAll('-', '_'))).join('\n')}`)
  if (process.stdout.isTTY)
    say(
      {
        bash: 'put it into ~/.bashrc as: source <(netplan completion bash)',
        zsh: 'put it into ~/.zshrc behind compinit as: source <(netplan completion zsh)',
        fish: 'write it to ~/.config/fish/completions/netplan.fish'
      }[shell]
    )
  return 0
}
