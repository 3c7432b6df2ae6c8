"""What users register: rules, views, hooks, error handlers and blueprints."""
