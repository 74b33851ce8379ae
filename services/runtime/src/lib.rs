//! Telemetry, configuration loading, drain and the admin listener.
