from .exact import ExactSoak


class Day(ExactSoak):
    plan = "day"
