/** What each shell needs to ask `longshore __complete` for words. `WORDS` are those of the line, up to the one that is being typed. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_longshore() {
  local line words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  # Bash takes a colon for a word's end, and names of images have them.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    local cur prev cword
    _get_comp_words_by_ref -n : cur prev words cword
    words=("\${words[@]:1:cword}")
  fi
  COMPREPLY=()
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(longshore __complete "\${words[@]}" 2>/dev/null)
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "\${words[-1]}"; fi
}
complete -o default -F _longshore longshore
`,
  zsh: `#compdef longshore
_longshore() {
  local -a found
  found=("\${(@f)$(longshore __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if (( \${#found} )) && [[ -n \${found[1]} ]]; then compadd -Q -- "\${found[@]}"; else _default; fi
}
if [[ "$funcstack[1]" = "_longshore" ]]; then _longshore "$@"; else compdef _longshore longshore; fi
`,
  fish: `function __longshore_complete
  set -l words (commandline -opc) (commandline -ct)
  longshore __complete $words[2..-1] 2>/dev/null
end
complete -c longshore -f -a '(__longshore_complete)'
`,
};
