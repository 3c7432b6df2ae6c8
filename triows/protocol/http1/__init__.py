"""HTTP/1.1 (RFC 9112): request heads and bodies taken out of bytes, responses made into bytes."""
