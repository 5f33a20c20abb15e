from tests.aws.conftest import service_models

__all__ = ["service_models"]
