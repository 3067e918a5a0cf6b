"""Shell completion of the ``ofox`` command, made from its own parser."""

from __future__ import annotations

import argparse
from typing import Any, Final

SHELLS: Final = ("bash", "zsh", "fish")

_BASH: Final = """\
# ofox completion: eval "$(ofox completion {shell})"
_ofox() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="" word
  COMPREPLY=()
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do [[ "$word" != -* ]] && {{ command="$word"; break; }}; done
  if [[ "$current" == -* ]]; then
    case "$command" in
{cases}
    esac
  elif [[ -z "$command" ]]; then
    COMPREPLY=($(compgen -W "{commands}" -- "$current"))
  fi
}}
complete -o default -F _ofox ofox
"""


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """A script that makes ``shell`` complete commands and options; files are completed as the shell does."""
    commands = _commands(parser)
    if shell == "fish":
        return _fish(commands)
    cases = "\n".join(
        f'      {name}) COMPREPLY=($(compgen -W "{" ".join(_options(sub))}" -- "$current"));;'
        for name, sub in commands.items()
    )
    script = _BASH.format(shell=shell, cases=cases, commands=" ".join(commands))
    # zsh runs bash's completions, once it has been told to.
    return script if shell == "bash" else f"autoload -U +X bashcompinit && bashcompinit\n{script}"


def _fish(commands: dict[str, Any]) -> str:
    lines = ["# ofox completion: ofox completion fish | source"]
    for name, sub in commands.items():
        lines.append(f"complete -c ofox -n __fish_use_subcommand -f -a {name} -d '{_said(sub.description)}'")
        for action in sub._actions:
            for option in (text for text in action.option_strings if text.startswith("--")):
                told = _said(action.help)
                lines.append(f"complete -c ofox -n '__fish_seen_subcommand_from {name}' -l {option[2:]} -d '{told}'")
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> dict[str, Any]:
    action = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(action.choices)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return sorted(text for action in parser._actions for text in action.option_strings if text.startswith("--"))


def _said(text: str | None) -> str:
    return (text or "").replace("'", "")
