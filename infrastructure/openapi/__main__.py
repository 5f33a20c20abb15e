"""`make openapi`: writes docs/openapi.json anew."""

from infrastructure.openapi.document import SHIPPED, text

if __name__ == "__main__":
    SHIPPED.write_text(text(), encoding="utf-8")
    print(f"openapi: {SHIPPED.name}")
