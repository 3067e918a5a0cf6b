"""What one configuration comes to, worked out once: who judges difficulty, what preferences mean, who may be picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Candidate
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.errors import InvalidRoutingConfig, SettingsError
from ofox_middleware.model_names import names_of
from ofox_middleware.settings import RoutingConfig, Settings
from ofox_middleware.types import Profile


@dataclass(slots=True)
class Rules:
    """What one configuration comes to. Replaced whole by a reload, so that no decision mixes two of them.

    Attributes:
        builtin: judges difficulty where there is no classifier of the operator's.
        tuned: the abilities that ``ofox tune`` fitted to the operator's own traffic, by model.
        pool: the operator's, resolved when it is first asked for: the LiteLLM door has candidates of its own.
        made: by model, the facts that were given last and what became of them with the tuned ability.
    """

    settings: Settings
    builtin: DifficultyModel
    tuned: Mapping[str, tuple[float, ...]]
    pool: tuple[ModelFacts, ...] | None = None
    made: dict[str, tuple[ModelFacts, ModelFacts]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """The rules of ``settings``. Raises ``SettingsError`` when they cannot be used."""
        try:
            builtin = DifficultyModel.load(settings.difficulty_weights)
        except (OSError, ValueError) as error:
            raise SettingsError(f"difficulty_weights: {error}.", param="difficulty_weights") from None
        return cls(settings, builtin, builtin.abilities)

    def profile(self, preference: str) -> Profile:
        """What a preference means. Raises ``InvalidRoutingConfig`` when nobody has said so."""
        try:
            return self.settings.profile(preference)
        except ValueError as error:
            raise InvalidRoutingConfig(
                f"model_routing_config.preference: {error}.", param="model_routing_config.preference"
            ) from None

    def with_abilities(self, pool: Sequence[ModelFacts]) -> tuple[ModelFacts, ...]:
        """``pool`` with the tuned abilities. A door gives the same facts again and again, and a copy takes 4 us."""
        return tuple([self._with_ability(facts) if facts.name in self.tuned else facts for facts in pool])

    def candidates(
        self, config: RoutingConfig, pool: Sequence[ModelFacts]
    ) -> tuple[Sequence[ModelFacts], list[Candidate]]:
        """The part of ``pool`` that caller and operator let through, and rows for the rest."""
        exclude = (*self.settings.exclude, *config.exclude)
        if config.models is None and not exclude:
            return pool, []
        is_named = None if config.models is None else names_of(config.models)
        is_excluded = names_of(exclude)
        named: list[ModelFacts] = []
        left_out: list[Candidate] = []
        for facts in pool:
            if is_named is not None and not is_named(facts.name):
                left_out.append(Candidate(facts.name, "skipped", "not_named"))
            elif is_excluded(facts.name):
                left_out.append(Candidate(facts.name, "skipped", "excluded"))
            else:
                named.append(facts)
        return named, left_out

    def _with_ability(self, facts: ModelFacts) -> ModelFacts:
        given, made = self.made.get(facts.name, (None, facts))
        if given is not facts:
            made = replace(facts, ability=self.tuned[facts.name], ability_source="tuned")
            self.made[facts.name] = (facts, made)
        return made
