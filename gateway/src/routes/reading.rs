//! Under which paths servers look for what a request path names.

use std::borrow::Cow;

/// The paths that servers may read a request path as, before they compare it in their own way with what they
/// serve.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Readings<'a> {
    /// Every escape decoded.
    decoded: Cow<'a, str>,
    /// What else it can be: see [`Readings::of`].
    others: Vec<String>,
}

impl<'a> Readings<'a> {
    /// The readings of `path`, or `None` where they lie too far apart to sell any of them: with dot segments,
    /// empty segments, `;` parameters, encoded slashes, backslashes, NUL or percent signs, or bytes that are
    /// not UTF-8. Proxies and servers resolve, merge, cut and decode these differently, and a request that one
    /// hop reads in one way and the next in another buys what it was not priced as.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let decoded = decoded(path)?;
        if !is_plain(&decoded.text) {
            return None;
        }
        let mut others = Vec::new();
        // Express compares first and decodes afterwards. A letter that was escaped without need makes a path
        // of its own there, which a route's pattern cannot mean but a wildcard takes.
        if let Some(undecoded) = decoded.undecoded {
            others.push(undecoded);
        }
        // Decoded and put together again, an escaped `?` begins a query.
        if let Some((before, _)) = decoded.text.split_once(['?', '#']) {
            others.push(before.to_owned());
        }
        Some(Self { decoded: decoded.text, others })
    }

    /// The readings, the decoded path first.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.decoded).chain(self.others.iter().map(String::as_str))
    }

    /// The path without the suffix of its last segment, `/a` for `/a.json`.
    pub(super) fn without_suffix(&self) -> Option<&str> {
        let (before, suffix) = self.decoded.trim_end_matches('/').rsplit_once('.')?;
        (!suffix.contains('/') && !before.ends_with('/')).then_some(before)
    }
}

struct Decoded<'a> {
    text: Cow<'a, str>,
    /// With the escapes left in that stand for characters which need none, if there are such.
    undecoded: Option<String>,
}

/// The path without its escapes; `None` for escapes that are broken or hide a separator.
fn decoded(path: &str) -> Option<Decoded<'_>> {
    if !path.contains('%') {
        return Some(Decoded { text: Cow::Borrowed(path), undecoded: None });
    }
    let (mut text, mut kept) = (Vec::with_capacity(path.len()), Vec::with_capacity(path.len()));
    let mut needless = false;
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            text.push(*first);
            kept.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>()?;
        let byte = match byte_of(*digits)? {
            b'/' | b'\\' | b'%' => return None,
            byte => byte,
        };
        text.push(byte);
        if is_path_character(byte) {
            needless = true;
            kept.extend([b'%', digits[0], digits[1]]);
        } else {
            kept.push(byte);
        }
        rest = after;
    }
    let undecoded = if needless { Some(String::from_utf8(kept).ok()?) } else { None };
    Some(Decoded { text: Cow::Owned(String::from_utf8(text).ok()?), undecoded })
}

fn byte_of(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// Whether the byte stands for itself in a path (RFC 3986, `pchar`).
fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// An absolute path of plain segments, with a last slash or without.
fn is_plain(path: &str) -> bool {
    let Some(inner) = path.strip_prefix('/') else { return false };
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let is_plain = |segment: &str| {
        !matches!(segment, "" | "." | "..") && !segment.contains(['\\', ';']) && !segment.contains('\0')
    };
    // `/` alone has no segment; `//` has an empty one.
    path == "/" || (!inner.is_empty() && inner.split('/').all(is_plain))
}
