"""Parameters and secrets, read in clear."""

from collections.abc import Sequence

from predue.aws.clients import client, translated
from predue.errors import BadPolicy


def parameters(names: Sequence[str]) -> list[str]:
    """The values of parameters, in the order of their names, by one call; raises BadPolicy if one is missing and
    Unreachable if they cannot be read.
    """
    with translated("parameters"):
        found = client("ssm").get_parameters(Names=list(names))["Parameters"]
    values = {parameter["Name"]: str(parameter["Value"]) for parameter in found}
    if set(values) != set(names):
        raise BadPolicy(f"parameters are missing: {sorted(set(names) - set(values))}")
    return [values[name] for name in names]


def secret(secret_id: str, what: str) -> str:
    """A secret's text; raises Unreachable if it cannot be read."""
    with translated(what):
        return str(client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"])
