"""What both of Bitget's dialects say alike: keys and signatures, the envelope, limits, sockets, the public past."""
