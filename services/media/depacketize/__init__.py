"""From RTP payloads to access units and audio frames, one payload format a file."""
