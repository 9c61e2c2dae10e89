//! `cargo dev`: the developer's commands.

fn main() {}
