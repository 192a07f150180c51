"""Settings: what the user wrote, checked, with the place of every mistake; and where secrets are looked for."""

from guardd.config.load import load_settings
from guardd.config.secrets import Credentials, Secrets
from guardd.config.settings import (
    AccountSettings,
    Environment,
    HeartbeatSettings,
    HttpSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    Mode,
    NotifySettings,
    Settings,
    Venue,
    account_name,
    is_loopback,
    settings_schema,
    venue_name,
)

__all__ = [
    "AccountSettings",
    "Credentials",
    "Environment",
    "HeartbeatSettings",
    "HttpSettings",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "Mode",
    "NotifySettings",
    "Secrets",
    "Settings",
    "Venue",
    "account_name",
    "is_loopback",
    "load_settings",
    "settings_schema",
    "venue_name",
]
