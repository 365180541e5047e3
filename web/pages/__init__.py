"""One page a module: its context, and the route that fills it."""
