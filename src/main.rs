//! livegate
fn main() {}
