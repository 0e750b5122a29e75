"""The archive tier: closed segments copied to S3-compatible storage, verified there, and read back from there.

`archivist` copies and looks after what was copied, `catalogue` knows what is there, `shelf` is what the rest of the
recorder sees of it. docs/recording.md, "The archive", says what holds.
"""
