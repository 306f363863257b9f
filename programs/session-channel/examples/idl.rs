//! Prints the program's interface description (an Anchor IDL) as JSON.

use anchor_lang_idl::build::IdlBuilder;

fn main() {
    // `cargo run` through rustup sets this, and the builder would pass it on in a form that cargo refuses.
    std::env::remove_var("RUSTUP_TOOLCHAIN");
    let mut idl = IdlBuilder::new()
        .program_path(env!("CARGO_MANIFEST_DIR").into())
        .skip_lint(true)
        .cargo_args(vec!["--lib".into(), "--locked".into()])
        .build()
        .expect("the program's idl-build tests describe it");
    // Anchor lists how it stores integers at odd offsets; the fields that use them say plainly `u64` and so on.
    idl.types.retain(|definition| !definition.name.starts_with("Pod"));
    println!("{}", serde_json::to_string_pretty(&idl).expect("an IDL is JSON"));
}
