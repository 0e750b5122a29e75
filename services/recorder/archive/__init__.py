"""The archive tier: closed segments copied to S3-compatible storage, verified there, and read back from there.

`archive` is what the rest of the recorder sees; `uploader` copies, `audit` looks after the copies, `catalogue` knows
what is there, `reader` reads it. docs/recording.md, "The archive", says what holds.
"""
