/** What each shell needs to ask `longshore __complete` for words. `WORDS` are those of the line, up to the one that is being typed. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_longshore() {
  local line words current behind
  # Bash ends words at colons and equals signs too, which names of images and options have: here they end at spaces.
  read -ra words <<<"\${COMP_LINE:0:COMP_POINT}"
  [[ \${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
  current=\${words[-1]}
  COMPREPLY=()
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(longshore __complete "\${words[@]:1}" 2>/dev/null)
  # What it takes for the word is behind the last of them.
  behind=\${current##*[:=]}
  COMPREPLY=("\${COMPREPLY[@]#"\${current%"$behind"}"}")
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
