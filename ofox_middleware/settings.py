"""Configuration: ``OFOX_*`` variables, a YAML file and keyword arguments; and the routing config of one request."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from ofox_middleware.cards import ModelCard
from ofox_middleware.errors import InvalidRoutingConfig, SettingsError
from ofox_middleware.settings_file import config_path, line_of, read_yaml
from ofox_middleware.types import Preference, Profile

BUILTIN_PROFILES: dict[str, Profile] = {
    Preference.QUALITY.value: Profile(quality=1.0, tie=0.01),
    Preference.COST.value: Profile(cost=1.0, floor=0.85),
    Preference.SPEED.value: Profile(time=1.0, floor=0.85),
    Preference.BALANCED.value: Profile(quality=0.85, cost=0.07, time=0.08),
}
"""What the four preferences mean (section 3 of the README). Floors and the weights of ``balanced`` are calibrated by
``benchmarks/quality`` on its training sets."""


def _not_empty(names: list[str]) -> list[str]:
    if not names:
        raise ValueError("must name at least one model")
    if not all(name.strip() for name in names):
        raise ValueError("must not hold an empty name")
    return names


class RoutingConfig(BaseModel):
    """``model_routing_config`` of one request; the field table of the README.

    Attributes:
        models: candidates, exact names or ``*`` globs; ``None`` means the operator's pool.
        preference: a built-in preference or a profile that the operator named; ``None`` means the default.
        max_cost_usd: candidates expected to cost more are skipped; USD.
        exclude: names or globs to leave out.
        fallback: whether the next candidate is tried when the pick fails.
        session_id: keeps a conversation on one model while that is the better deal.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    models: Annotated[list[str], AfterValidator(_not_empty)] | None = None
    preference: str | None = None
    max_cost_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    exclude: list[str] = Field(default_factory=list)
    fallback: bool | None = None
    session_id: Annotated[str, Field(min_length=1, max_length=512)] | None = None

    @classmethod
    def read(cls, value: Any) -> RoutingConfig:
        """The config in ``value``, the decoded ``model_routing_config`` (``None`` when the request has none).

        Raises:
            InvalidRoutingConfig: naming the field at fault in ``param``.
        """
        if value is None:
            return DEFAULT_ROUTING
        if not isinstance(value, dict):
            raise InvalidRoutingConfig("model_routing_config must be an object.", param="model_routing_config")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = ".".join(["model_routing_config", *(str(part)[:64] for part in first["loc"])])
            said = _said(first["type"], first["msg"], first["loc"], cls.model_fields)
            raise InvalidRoutingConfig(f"{field}: {said}.", param=field) from None


DEFAULT_ROUTING = RoutingConfig()


def _said(kind: str, message: str, loc: Sequence[int | str], fields: Iterable[str]) -> str:
    """pydantic's message as a person would say it; ``fields`` are known where ``loc`` is a field's name."""
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        meant = difflib.get_close_matches(str(loc[0]), list(fields), n=1) if len(loc) == 1 else []
        return f"is not a known field (did you mean {meant[0]}?)" if meant else "is not a known field"
    if kind == "dataclass_type":
        return "must be a name or a card with a name"
    return message.removeprefix("Value error, ")


def _dated(card: Any) -> Any:
    """``card`` with its date as text: unquoted, YAML makes a date of it."""
    released = card.get("release_date") if isinstance(card, Mapping) else None
    return {**card, "release_date": str(released)} if isinstance(released, date) else card


def _listed(value: Any) -> Any:
    """A list written as text, as environment variables have it: JSON (which YAML reads too) or comma-separated."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError("is neither a JSON list nor comma-separated names") from None
    return [part.strip() for part in text.split(",") if part.strip()]


class Settings(BaseSettings):
    """Everything an operator can set.

    Order, strongest first: keyword arguments, ``OFOX_*`` variables, the YAML file that ``config`` (``OFOX_CONFIG``)
    names, defaults. Lists in variables may be JSON or comma-separated.

    Raises:
        SettingsError: naming the argument, the variable, or the file, line and field that is wrong.

    Attributes:
        config: the YAML file to read.
        watch_config: whether a change of that file is taken on while requests run.
        models: the operator's pool: names, ``*`` globs or cards. Unset: every chat group of the proxy at the LiteLLM
            door; at the ASGI door the shipped shortlist, limited to providers whose keys are in the environment.
        preference: what a request gets that names none.
        profiles: the operator's own preferences by name, beside the four built-in ones.
        auto_models: the model names that ask for routing; compared exactly.
        exclude: names or globs that are never used.
        dry_run: whether ``x-ofox-dry-run: true`` is answered with the decision.
        fallback: whether other candidates are tried by default when the pick fails.
        max_attempts: models tried at most for one request, the pick included.
        first_byte_timeout_s: seconds an attempt may stay silent at most before the next candidate is tried. At the ASGI
            door a model gets less, by how fast it usually is.
        hedge: under ``speed``, at the ASGI door: a stream that begins later than 95% of its model's do is asked of the
            next model too, and the quicker one answers; at most 5% more requests.
        total_timeout_s: seconds for all attempts together; ``None`` is no limit of ours.
        max_body_bytes: larger request bodies pass through untouched.
        share_within: candidates whose score is within this share of the best share the traffic at random.
        seed: makes that choice repeatable.
        expected_output_tokens: what an answer is taken to be long when the caller set no limit.
        context_margin: share of a context window kept free for errors of the token estimate.
        classifier_timeout_s: seconds a custom classifier may take.
        difficulty_weights: a file written by ``ofox tune``; ``None`` uses the shipped weights.
        session_ttl_s: seconds without a request after which a conversation's pin is forgotten.
        max_sessions: pins kept at most.
        session_margin: how much better, as a share, another model must be before a conversation moves.
        adapt_params: whether parameters that the chosen model rejects, and that can be done without, are taken out of
            requests or said otherwise: sampling and labels, the output limit's name, the nearest reasoning effort. In
            LiteLLM those that a 400 told of, and its ``drop_params``, for requests without tools and schemas.
        refusal_ttl_s: seconds for which a model that answered a 400 such as "unsupported parameter" or "context length"
            comes last for requests of that kind; longer each time it is seen again. 0 remembers nothing.
        redis_url: shares health between workers through Redis; ``None`` keeps it in this process.
        decision_log: a SQLite file in which decisions and savings are kept; ``ofox serve`` has one anyway.
        log_prompts: whether logs may hold prompt text.
        console_path: where the ASGI door and the LiteLLM proxy serve the console, such as ``/ofox``; unset: nowhere.
        console_token: what the console asks for, at least 16 characters; unset, it answers this machine only.
    """

    model_config = SettingsConfigDict(env_prefix="OFOX_", extra="forbid", frozen=True, env_ignore_empty=True)

    config: Path | None = None
    watch_config: bool = True
    models: Annotated[list[ModelCard] | None, NoDecode] = None
    preference: str = Preference.BALANCED.value
    profiles: dict[str, Profile] = Field(default_factory=dict)
    auto_models: Annotated[list[str], NoDecode, AfterValidator(_not_empty)] = Field(default_factory=lambda: ["auto"])
    exclude: Annotated[list[str], NoDecode] = Field(default_factory=list)
    dry_run: bool = True
    fallback: bool = True
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    first_byte_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    hedge: bool = False
    total_timeout_s: Annotated[float, Field(gt=0)] | None = None
    max_body_bytes: Annotated[int, Field(ge=1)] = 8 * 1024 * 1024
    share_within: Annotated[float, Field(ge=0, lt=1)] = 0.05
    seed: int | None = None
    expected_output_tokens: Annotated[int, Field(ge=1)] = 300
    context_margin: Annotated[float, Field(ge=0, lt=1)] = 0.1
    classifier_timeout_s: Annotated[float, Field(gt=0)] = 0.05
    difficulty_weights: Path | None = None
    session_ttl_s: Annotated[float, Field(gt=0)] = 3600.0
    max_sessions: Annotated[int, Field(ge=0)] = 10_000
    session_margin: Annotated[float, Field(ge=0)] = 0.05
    adapt_params: bool = False
    refusal_ttl_s: Annotated[float, Field(ge=0)] = 600.0
    redis_url: str | None = None
    decision_log: Path | None = None
    log_prompts: bool = False
    console_path: Annotated[str, Field(pattern=r"^(/[\w.~-]+)+$")] | None = None
    console_token: Annotated[SecretStr, Field(min_length=16)] | None = None

    @field_validator("auto_models", "exclude", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return _listed(value)

    @field_validator("models", mode="before")
    @classmethod
    def _cards(cls, value: Any) -> Any:
        value = _listed(value)
        if not isinstance(value, (list, tuple)):
            return value
        return [ModelCard(name=item) if isinstance(item, str) else _dated(item) for item in value]

    @field_validator("models")
    @classmethod
    def _distinct(cls, cards: list[ModelCard] | None) -> list[ModelCard] | None:
        if cards is None:
            return None
        names = [card.name for card in cards]
        _not_empty(names)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return cards

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
            self.profile(self.preference)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            said = _said(first["type"], first["msg"], first["loc"], type(self).model_fields)
            raise SettingsError(_located(first["loc"], said, options)) from None
        except ValueError as error:
            raise SettingsError(_located(("preference",), str(error), options)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _YamlFile(settings_cls, config_path(init_settings()))

    @property
    def all_profiles(self) -> dict[str, Profile]:
        """Every preference by name, the operator's over the built-in ones."""
        return {**BUILTIN_PROFILES, **self.profiles}

    def profile(self, name: str) -> Profile:
        """The profile called ``name``. Raises ``ValueError`` listing the known ones."""
        known = self.all_profiles
        if name not in known:
            raise ValueError(f"unknown preference {name[:64]!r}; known: {', '.join(sorted(known))}")
        return known[name]


class _YamlFile(PydanticBaseSettingsSource):
    """Values from the YAML file, under arguments and variables."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path | None) -> None:
        super().__init__(settings_cls)
        self.values = read_yaml(path) if path else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self.values


def _located(loc: Sequence[int | str], message: str, options: dict[str, Any]) -> str:
    """``message`` with the place where the wrong value was written: argument, variable, or file and line."""
    field = ".".join(str(part) for part in loc) or "settings"
    top = str(loc[0]) if loc else ""
    variable = f"OFOX_{top.upper()}"
    if top in options:
        return f"argument {field}: {message}."
    if os.environ.get(variable):
        return f"variable {variable}: {message}."
    path = config_path(options)
    if path is None:
        return f"{field}: {message}."
    return f"{path}:{line_of(path, loc)}: {field}: {message}."
