//! The `toll` command.

fn main() {}
