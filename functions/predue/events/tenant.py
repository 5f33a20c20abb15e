"""Tenants: whose borrowers and loans are told apart inside of the ids under which they are kept."""

TENANT_MARK = "~"
"""Stands between a tenant and an id of its own, so no id that comes in may hold it."""


def split_tenant(kept: str) -> tuple[str, str]:
    """The tenant of an id as it is kept, "" for the lender itself, and the id as that tenant knows it."""
    tenant, parts, own = kept.partition(TENANT_MARK)
    return (tenant, own) if parts else ("", kept)
