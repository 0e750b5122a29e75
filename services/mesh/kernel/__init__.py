"""What is done in C with what comes from NATS: usual pictures of media subscriptions, taken apart into columns.

It imports nothing: the build hook imports it before anything is installed.
"""
