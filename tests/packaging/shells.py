"""Completion as a person gets it: each shell with the script of `ci-warm completion`, and what it offers then."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import missing

_BASH = r"""
source "$1"
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
_ci_warm "$2"
printf '%s\n' "${COMPREPLY[@]}"
"""
_FISH = 'source $argv[1]; complete --do-complete "$argv[2]"'
_ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
reply() { local text; REPLY=""; while zpty -r shell text; do REPLY+=$text; [[ $REPLY == *$1* ]] && return; done }
zpty -w shell "PROMPT=; unsetopt zle_bracketed_paste; fpath=(${1:h} \$fpath); autoload -Uz compinit; compinit -u -d $3"
zpty -w shell "compadd() {
  local -a found; builtin compadd -O found \"\$@\"; (( \$#found )) && print -rl -- \$found >>$4; builtin compadd \"\$@\"
}"
zpty -w shell "offered() { _main_complete; print -r -- END >>$4 }"
zpty -w shell "zle -C offer list-choices offered; bindkey '^X' offer"
zpty -w shell "print -r -- REA''DY"
reply READY
zpty -n -w shell "$2"$'\x18'
until [[ -e $4 ]] && grep -q '^END$' $4; do zpty -r -t shell text; zselect -t 5; done
zpty -d shell
"""


def offered(shell: str, script: Path, words: list[str], folder: Path) -> list[str]:
    """What the shell offers after these words; the last one is not finished."""
    program = shutil.which(shell)
    if program is None:
        missing(f"no {shell} (apt-get install {shell})")
    assert program is not None
    environment = {**os.environ, "HOME": str(folder), "TERM": "dumb", "XDG_CONFIG_HOME": str(folder)}
    if shell == "bash":
        argv = [program, "--norc", "-c", _BASH, "bash", str(script), *words]
    elif shell == "fish":
        argv = [program, "--no-config", "-c", _FISH, "--", str(script), " ".join(words)]
    else:
        said = folder / "said"
        argv = [program, "-f", "-c", "zmodload zsh/zselect\n" + _ZSH, "zsh", str(script), " ".join(words)]
        argv += [str(folder / "dump"), str(said)]
    ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert ran.stderr == "", ran.stderr
    lines = (folder / "said").read_text() if shell == "zsh" else ran.stdout
    # zsh adds one match several times, for each way in which it may be shown.
    return list(dict.fromkeys(line.partition("\t")[0] for line in lines.splitlines() if line and line != "END"))
