"""How routes are made: rules, blueprints, views, and what these may return."""
