"""Normalised runs in, findings out."""
