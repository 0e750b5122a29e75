"""WebRTC egress: one UDP port, ICE-lite, DTLS, SRTP in place, segmentation offload."""
