//! Path patterns, and which of them a path matches on servers of each kind.

use std::borrow::Cow;

use globset::{Candidate, Glob, GlobBuilder, GlobSet};

/// A pattern as it is written, and as servers read it that ignore case.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    strict: Glob,
    any_case: Glob,
    folded: String,
    is_literal: bool,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, globset::Error> {
        // Folding would turn the range `Z-a` of a class around.
        let foldable = if text.contains('[') { Cow::Borrowed(text) } else { folded(text) };
        let glob = |text: &str, any_case: bool| {
            let mut glob = GlobBuilder::new(text);
            glob.literal_separator(true).backslash_escape(true).case_insensitive(any_case);
            glob.build()
        };
        Ok(Self {
            strict: glob(text, false)?,
            any_case: glob(&foldable, text.contains('['))?,
            folded: folded(without_last_slash(text)).into_owned(),
            is_literal: !text.contains(['*', '?', '[', '{', '\\']),
        })
    }

    /// Equal for patterns that differ in case and last slash only.
    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    /// Whether it is a path, without wildcards.
    pub(super) fn is_literal(&self) -> bool {
        self.is_literal
    }
}

/// The patterns of a table, compiled together.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    strict: GlobSet,
    any_case: GlobSet,
    /// No pattern has a letter that folding changes.
    is_folded: bool,
}

impl Patterns {
    pub(super) fn new<'a>(
        patterns: impl Iterator<Item = &'a Pattern> + Clone,
    ) -> Result<Self, globset::Error> {
        Ok(Self {
            strict: GlobSet::new(patterns.clone().map(|pattern| &pattern.strict))?,
            any_case: GlobSet::new(patterns.clone().map(|pattern| &pattern.any_case))?,
            is_folded: patterns.clone().all(|pattern| pattern.strict == pattern.any_case),
        })
    }

    /// The places in the table of the patterns that `path` matches, in order: first on a server that is strict,
    /// then on servers that ignore a last slash, case, or both.
    pub(super) fn on_servers(&self, path: &str) -> Vec<Vec<usize>> {
        let mut servers = Vec::with_capacity(4);
        with_any_last_slash(&self.strict, path, &mut servers);
        let folded = folded(path);
        if !self.is_folded || matches!(folded, Cow::Owned(_)) {
            with_any_last_slash(&self.any_case, &folded, &mut servers);
        }
        servers
    }
}

/// Adds the patterns that match `path` as it is, and those that match it with or without a last slash.
fn with_any_last_slash(patterns: &GlobSet, path: &str, servers: &mut Vec<Vec<usize>>) {
    let matching = |path: &str| {
        let mut matching = Vec::new();
        patterns.matches_candidate_into(&Candidate::from_bytes(path), &mut matching);
        matching
    };
    let as_is = matching(path);
    let mut either = match path.strip_suffix('/') {
        // The root has no other spelling.
        Some("") => Vec::new(),
        Some(path) => matching(path),
        None => matching(&[path, "/"].concat()),
    };
    either.extend(&as_is);
    either.sort_unstable();
    either.dedup();
    let more = either.len() > as_is.len();
    servers.push(as_is);
    if more {
        servers.push(either);
    }
}

/// `/a/` as `/a`; the root stays.
fn without_last_slash(path: &str) -> &str {
    path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path)
}

/// The text without case: letters that some server takes for the same are the same.
fn folded(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        return Cow::Owned(text.to_uppercase().to_lowercase());
    }
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}
