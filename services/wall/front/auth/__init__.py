"""Who signs in: accounts, sessions, throttling."""
