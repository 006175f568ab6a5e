"""completion: the scripts that let a shell complete minidock's command lines.

Each is a thin shim around `minidock __complete` (completing.py): it hands the words over and shows what comes back.
"""

from __future__ import annotations

from .commands import Entry, Noun, verb

completion = Noun(
    "completion",
    "Print the script for a shell's completion",
    {
        "bash": Entry("completion:bash", "For bash"),
        "fish": Entry("completion:fish", "For fish"),
        "zsh": Entry("completion:zsh", "For zsh"),
    },
    usage="COMMAND",
)

# bash cuts words at : and = too (COMP_WORDBREAKS), and replaces only the piece behind the last one. So we cut the line
# at blanks ourselves, and take from each candidate what stands before that piece.
BASH = r"""# bash completion for minidock: source this, or put it into /etc/bash_completion.d/minidock
_minidock() {
    local line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[^:=]/} current="" before="" word files=""
    local -a words
    read -r -a words <<<"$line"
    case $line in
        *[[:space:]]) ;;
        *)
            current=${words[-1]}
            unset 'words[-1]'
            ;;
    esac
    [ -z "$breaks" ] || before=${current%"${current##*["$breaks"]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        case $word in
            :files) files=yes ;;
            :end) ;;
            *) COMPREPLY+=("${word#"$before"}") ;;
        esac
    done < <("${words[0]}" __complete -- "${words[@]:1}" "$current" 2>/dev/null)
    if [ -n "$files" ]; then
        compopt -o default 2>/dev/null
    fi
}
complete -F _minidock minidock
"""

ZSH = r"""#compdef minidock
# zsh completion for minidock: source this, or put it as _minidock into a directory of $fpath
_minidock() {
    local -a found
    local word brief files
    while IFS=$'\t' read -r word brief; do
        case $word in
            :files) files=yes ;;
            :end) ;;
            *) found+=("${word//:/\\:}${brief:+:$brief}") ;;
        esac
    done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT-1]}" "${words[CURRENT]}" 2>/dev/null)
    (( ${#found} )) && _describe -V minidock found
    if [[ -n $files ]]; then
        [[ $PREFIX != --*=* ]] || compset -P '*='
        _files
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _minidock "$@"
else
    compdef _minidock minidock
fi
"""

FISH = r"""# fish completion for minidock: put this into ~/.config/fish/completions/minidock.fish
function __minidock_complete
    set -l words (commandline -opc)
    set -l begun (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] "$begun" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$begun"
            case ':end'
            case '*'
                echo $line
        end
    end
end
complete -c minidock -f -k -a '(__minidock_complete)'
"""


@verb("bash", "For bash", examples="source <(minidock completion bash)")
def bash() -> None:
    print(BASH, end="")


@verb("zsh", "For zsh", examples="source <(minidock completion zsh)")
def zsh() -> None:
    print(ZSH, end="")


@verb("fish", "For fish", examples="minidock completion fish > ~/.config/fish/completions/minidock.fish")
def fish() -> None:
    print(FISH, end="")
