//! The JSON schema of `toll.toml`, for editors and for the tests that go over every setting.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// The schema, from the structs that read the file: their fields, defaults and doc comments.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    serde_json::to_value(settings.into_generator().into_root_schema_for::<Config>())
        .expect("a schema is a JSON document")
}
