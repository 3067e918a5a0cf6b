"""``model: "auto"`` that people trust: picks a model for each request by difficulty, price and live health."""

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.errors import OfoxError
from ofox_middleware.health import HealthBook
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import Classifier, Difficulty, Preference, Profile, Signals

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "Decision",
    "Difficulty",
    "HealthBook",
    "ModelCard",
    "OfoxError",
    "OfoxMiddleware",
    "Outcome",
    "Preference",
    "Profile",
    "Settings",
    "Signals",
    "SmartRouter",
    "__version__",
]
