"""Makes exports as jobs: they outlive the request, the page and the processes (docs/decisions/0024)."""
