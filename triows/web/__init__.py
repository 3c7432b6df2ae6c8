"""What a handler holds: requests, websockets, responses, sessions; all of it can be used and tested without an app."""
