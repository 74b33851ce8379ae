//! kvatlas
fn main() {}
