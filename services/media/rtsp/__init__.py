"""RTSP 1.0 (RFC 2326) without sockets: messages, framing, authentication, addresses, and the client's dialogue."""
