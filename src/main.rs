//! One binary, every process role.
fn main() {}
