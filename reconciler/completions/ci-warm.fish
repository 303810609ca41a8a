# fish completion for ci-warm: it says itself what may come next, a word and its help on each line.
function __ci_warm_complete
    set --local words (commandline --current-process --cut-at-cursor | string collect)
    set --local found (env _TYPER_COMPLETE_ARGS=$words _TYPER_COMPLETE_FISH_ACTION=get-args \
        _CI_WARM_COMPLETE=complete_fish (commandline --current-process --tokenize)[1] 2>/dev/null)
    if test -n "$found"
        printf '%s\n' $found
    else
        __fish_complete_path (commandline --current-token)
    end
end
complete --command ci-warm --no-files --keep-order --arguments '(__ci_warm_complete)'
