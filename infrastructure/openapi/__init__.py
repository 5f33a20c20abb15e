"""The API's OpenAPI 3.1 document, made of the code: routes of template.yaml, models of events and answers, problems."""
