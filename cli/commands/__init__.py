"""One module a command; each `register`s itself on the app."""
