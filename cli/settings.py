"""From command-line options and files to the analysis' `Config`."""

from __future__ import annotations

from dataclasses import replace

from driftline.analyzers import Config, InvalidConfig, known_anomalies, load_catalogue, load_config, parse_skew


def config_from(config: str | None, catalog: str | None, skew: str | None) -> Config:
    """The settings of a file, overridden by the options given.

    Raises:
        InvalidConfig, InvalidCatalogue: a file or an option cannot be used.
    """
    settings = load_config(config, known_anomalies())
    if catalog:
        settings = replace(settings, catalogue=load_catalogue(catalog))
    if skew:
        try:
            settings = replace(settings, skew_ms=parse_skew(skew))
        except InvalidConfig as error:
            raise InvalidConfig(f"--skew: {error.what}", error.todo) from error
    return settings
