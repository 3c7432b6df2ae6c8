LIMITS: dict[str, object] = {}


def add(app, notes):
    pass
