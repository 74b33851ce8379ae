//! A real Envoy, endpoint pickers and simulated engines: the acceptance suite.
