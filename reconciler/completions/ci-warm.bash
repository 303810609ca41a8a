# bash completion for ci-warm: it says itself what may come next.
_ci_warm() {
  local IFS=$'\n'
  mapfile -t COMPREPLY < <(
    COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _CI_WARM_COMPLETE=complete_bash "$1" 2>/dev/null
  )
}
complete -o default -o nosort -F _ci_warm ci-warm
