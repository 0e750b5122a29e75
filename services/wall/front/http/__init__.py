"""The front's small HTTP kit: routes, requests, problems, guards, OpenAPI."""
