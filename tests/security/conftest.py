from tests.aws.conftest import patience, service_models

__all__ = ["patience", "service_models"]
