//! The endpoint-picker protocol over real gRPC streams, point by point.

mod drain;
mod health;
mod hostile;
mod limits;
mod memory;
mod messages;
mod picker;
mod refusals;
mod request;
mod response;
mod subset;
mod tls;
