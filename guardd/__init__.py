"""guardd: an asynchronous risk-guard daemon for crypto futures accounts."""

__version__ = "0.1.0"
