"""What the templates say of the functions that a simulation plays: schedules, queues, timeouts and variables; nothing
of it is made.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from infrastructure.local.aws.stack import PARAMETERS, ROOT
from infrastructure.local.sam.deployment import Deployment, deployed
from infrastructure.local.sam.resources import MADE, Resources, drawn_secret
from infrastructure.local.sam.template import Resource, TemplateFile
from infrastructure.local.virtual.provider_events import ProviderEvents
from predue.domain.keys import Keys


class _Named(Resources):
    """Resources that are only named: a queue by its name, and what else a stack would make by its path."""

    def physical(self, resource: Resource, attribute: str) -> Any:
        """See Resources."""
        if resource.type not in MADE:
            return super().physical(resource, attribute)
        return f"{resource.path}.{attribute}" if attribute else resource.get("QueueName", default=resource.path)


@dataclass(frozen=True)
class Described:
    """See the module; `variables` are those of all functions together."""

    made: Deployment
    variables: dict[str, str]
    keys: Keys
    events: ProviderEvents

    @property
    def lease(self) -> timedelta:
        """How long a claim may stay without a record."""
        return timedelta(seconds=int(self.variables["LEASE_SECONDS"]))


@lru_cache(maxsize=1)
def described() -> Described:
    """Read the templates, once in a process."""
    named = _Named(_nobody)
    root = TemplateFile(ROOT / "template.yaml", PARAMETERS, named.physical)
    made = deployed(root, named, {}, lambda _handler, _variables: _nobody)
    variables = {name: value for one in made.functions.values() for name, value in one.environment.items()}
    secrets = [drawn_secret(one) for one in made.resources if one.type == "AWS::SecretsManager::Secret"]
    root_key = next(found["root"] for one in secrets if "root" in (found := json.loads(one)))
    return Described(made, variables, Keys([root_key.encode()]), ProviderEvents(made.resources, _nobody))


def _nobody(*_: Any) -> Any:
    """Nothing is made, called or counted."""
