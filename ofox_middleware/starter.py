"""``ofox init``: a commented configuration for the providers whose keys are set, or for a LiteLLM proxy's models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from ofox_middleware.cards import ModelCard
from ofox_middleware.catalog import Catalog
from ofox_middleware.errors import SettingsError

_REST: Final = """
# What a request gets that names no preference: balanced, quality, speed, cost, or one of your own below.
preference: balanced

# Preferences of your own: weights of quality, cost and time, and the least share of the best quality.
# profiles:
#   frugal: {quality: 0.2, cost: 0.7, time: 0.1, floor: 0.5}

# Models that are never used.
# exclude: ["*preview*"]

# The model names that ask for routing.
auto_models: [auto]

# Whether and how many other models are tried when the pick fails, and how long one may stay silent (seconds).
fallback: true
max_attempts: 3
first_byte_timeout_s: 60

# Where OfoxMiddleware serves the console, and what it asks for (unset: it answers this machine only).
# console_path: /ofox
# console_token: at-least-16-characters

# Shares what is known of the models' health between workers.
# redis_url: redis://127.0.0.1:6379/0
"""


def starter(catalog: Catalog, environ: Mapping[str, str], litellm_config: Path | None = None) -> str:
    """The text of a configuration file.

    Args:
        catalog: knows prices, and which models to take for a provider whose key is set.
        environ: where keys are looked for; they are never written down.
        litellm_config: a LiteLLM proxy's YAML; its chat groups become the pool.

    Raises:
        SettingsError: the file cannot be read, or there is no model to name.
    """
    if litellm_config is not None:
        models, source = _groups(litellm_config), f"the groups of {litellm_config.name}"
    else:
        models = {name: name for name in catalog.shortlist(environ)}
        source = "current models of the providers whose keys are set"
    if not models:
        raise SettingsError(
            "there is no model to write down: set a provider's key, such as OPENAI_API_KEY, or name a LiteLLM "
            "configuration with --litellm FILE."
        )
    rows = {name: _row(name, model) for name, model in models.items()}
    width = max(len(row) for row in rows.values())
    lines = [
        f"# Written by `ofox init` from {source}.",
        "# What it means: ofox check FILE. To serve it: ofox serve --config FILE",
        "",
        "# The pool: names, * globs, or cards with facts of your own. Prices in USD per million tokens.",
        "models:",
        *(f"  - {row:<{width}}  # {_facts(catalog, models[name])}" for name, row in rows.items()),
    ]
    return "\n".join(lines) + "\n" + _REST


def _groups(path: Path) -> dict[str, str]:
    """The chat groups of a LiteLLM proxy's configuration, each with the model of its first deployment."""
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: is not YAML: {error}.") from None
    entries: Any = config.get("model_list") if isinstance(config, dict) else None
    if not isinstance(entries, list):
        raise SettingsError(f"{path}: has no model_list, so it is not a LiteLLM proxy's configuration.")
    groups: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not _is_chat(entry):
            continue
        params, name = entry.get("litellm_params"), entry.get("model_name")
        model = params.get("model") if isinstance(params, dict) else None
        if isinstance(name, str) and isinstance(model, str) and name != "auto":
            groups.setdefault(name, model)
    return groups


def _row(name: str, model: str) -> str:
    """A member of the pool in YAML. Keys and addresses stay where they are: in the environment, in LiteLLM's file."""
    if name == model or "*" in name:
        return json.dumps(name)
    return f"{{name: {json.dumps(name)}, model: {json.dumps(model)}}}"


def _is_chat(entry: Mapping[str, Any]) -> bool:
    info = entry.get("model_info")
    mode = info.get("mode", "chat") if isinstance(info, dict) else "chat"
    return mode in {"chat", "completion", "responses"}


def _facts(catalog: Catalog, name: str) -> str:
    if "*" in name:
        return f"{len(catalog.expand(name))} models"
    facts = catalog.facts(ModelCard(name=name))
    price = "price unknown"
    if facts.input_usd is not None and facts.output_usd is not None:
        price = f"${facts.input_usd * 1e6:g} in, ${facts.output_usd * 1e6:g} out"
    window = "" if facts.max_input_tokens is None else f", {facts.max_input_tokens:,} tokens"
    return f"{price}{window}"
