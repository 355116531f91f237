"""Presentation format (RFC 1035 §5.1): records as text in `text`, records from text in `zonetext` and `entries`."""
