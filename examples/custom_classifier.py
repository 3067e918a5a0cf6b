"""Your own idea of what is hard: anything with a ``classify`` method can judge requests.

It runs on the request path, so it must be quick. When it fails, the built-in model judges instead.

    python examples/custom_classifier.py
"""

import math
from dataclasses import replace

from ofox_middleware import Difficulty, ModelCard, Settings, Signals, SmartRouter
from ofox_middleware.difficulty import DifficultyModel

CONTRACTS_ARE_HARDER_BY = 3.0  # logits: a model that was right 9 times in 10 is now right 3 times in 10


class HouseRules:
    """Questions about contracts look easy and are not, and an error in one is expensive."""

    def __init__(self) -> None:
        self._builtin = DifficultyModel.load()

    def classify(self, signals: Signals) -> Difficulty:
        judged = self._builtin.classify(signals)
        if "contract" not in signals.ask.lower():
            return judged
        logit = judged.logit + CONTRACTS_ARE_HARDER_BY
        return replace(
            judged,
            logit=logit,
            level=1 / (1 + math.exp(-logit)),
            evidence=(("house rule: contract", CONTRACTS_ARE_HARDER_BY), *judged.evidence),
            source="custom",
        )


settings = Settings(
    models=[
        ModelCard(name="house/large", ability=0.95, input_cost_per_token=5e-6, output_cost_per_token=25e-6),
        ModelCard(name="house/small", ability=0.50, input_cost_per_token=1e-7, output_cost_per_token=4e-7),
    ],
    preference="cost",
)
router = SmartRouter(settings, classifier=HouseRules())

for question in ("When is lunch?", "May we end this contract in March?"):
    decision = router.decide({"model": "auto", "messages": [{"role": "user", "content": question}]})
    print(f"{question:40} difficulty {decision.difficulty:.2f} -> {decision.model} ({decision.reason})")
