"""Other clients against triows's own server and against Hypercorn."""
