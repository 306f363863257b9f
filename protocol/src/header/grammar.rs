//! The grammar of challenge lists (RFC 9110, section 11): `scheme params, scheme params, …`.
//!
//! Commas separate parameters and challenges alike, so a list is cut at its commas outside quotes, and each
//! piece says by its shape whether it opens a challenge or belongs to the one before.

use super::HeaderError;

/// One challenge of a list.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) scheme: String,
    pub(super) params: Vec<Param>,
}

/// `name=value`, the name in lower case, the value without its quotes.
#[derive(Debug)]
pub(super) struct Param {
    pub(super) name: String,
    pub(super) value: String,
}

/// What one piece between commas is.
enum Piece {
    /// `scheme`, `scheme token68` or `scheme name=value`; a parameter that breaks the grammar is an error.
    Opens(String, Result<Option<Param>, HeaderError>),
    /// `name=value`.
    Continues(Param),
}

/// The challenges of a list. One that breaks the grammar is an error in its place.
pub(super) fn groups(value: &[u8]) -> Vec<Result<Group, HeaderError>> {
    let mut groups: Vec<Result<Group, HeaderError>> = Vec::new();
    for piece in pieces(value) {
        match read(piece) {
            Ok(Piece::Opens(scheme, param)) => {
                groups.push(param.map(|param| Group { scheme, params: param.into_iter().collect() }));
            }
            Ok(Piece::Continues(param)) => match groups.last_mut() {
                Some(Ok(group)) => group.params.push(param),
                Some(Err(_)) => {}
                None => groups.push(Err(syntax(piece))),
            },
            Err(error) => match groups.last_mut() {
                Some(group @ Ok(_)) => *group = Err(error),
                Some(Err(_)) => {}
                None => groups.push(Err(error)),
            },
        }
    }
    groups
}

/// Cuts a list at its commas outside quotes. A quote opens only a value: right after `=`.
fn pieces(value: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let (mut start, mut index) = (0, 0);
    let mut after_equals = false;
    while index < value.len() {
        match value[index] {
            b',' => {
                pieces.push(&value[start..index]);
                start = index + 1;
                after_equals = false;
            }
            b'"' if after_equals => {
                index = quote_end(value, index);
                after_equals = false;
            }
            b'=' => after_equals = true,
            b' ' | b'\t' => {}
            _ => after_equals = false,
        }
        index += 1;
    }
    pieces.push(&value[start.min(value.len())..]);
    pieces.into_iter().map(<[u8]>::trim_ascii).filter(|piece| !piece.is_empty()).collect()
}

/// The index of the quote that ends the string opened at `open`, or of the last byte.
fn quote_end(value: &[u8], open: usize) -> usize {
    let mut index = open + 1;
    while index < value.len() {
        match value[index] {
            b'"' => return index,
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
    value.len()
}

fn read(piece: &[u8]) -> Result<Piece, HeaderError> {
    let (word, rest) = token(piece).ok_or_else(|| syntax(piece))?;
    let after = rest.trim_ascii_start();
    if after.is_empty() {
        return Ok(Piece::Opens(word, Ok(None)));
    }
    if after.starts_with(b"=") {
        return Ok(Piece::Continues(param(piece)?));
    }
    if after.len() == rest.len() {
        // A token and something glued to it that is neither a value nor a space.
        return Err(syntax(piece));
    }
    let content = if is_token68(after) { Ok(None) } else { param(after).map(Some) };
    Ok(Piece::Opens(word, content))
}

/// `name BWS "=" BWS (token / quoted-string)` and nothing after it.
fn param(piece: &[u8]) -> Result<Param, HeaderError> {
    let read = || {
        let (name, rest) = token(piece)?;
        let rest = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
        let value = match rest.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted)?,
            None => token(rest).filter(|(_, rest)| rest.is_empty())?.0,
        };
        Some(Param { name: name.to_ascii_lowercase(), value })
    };
    read().ok_or_else(|| syntax(piece))
}

/// The inside of a quoted string whose opening quote is gone; `None` unless it ends with the closing one.
fn unquote(quoted: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut rest = quoted.iter().copied();
    loop {
        match rest.next()? {
            b'"' => break,
            b'\\' => bytes.push(rest.next().filter(|byte| is_text(*byte))?),
            byte if is_text(byte) => bytes.push(byte),
            _ => return None,
        }
    }
    if rest.next().is_some() { None } else { String::from_utf8(bytes).ok() }
}

/// Appends `text` as a quoted string; `None` when it has a character that ASCII headers do not carry.
pub(super) fn quote(value: &mut String, text: &str) -> Option<()> {
    value.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => value.extend(['\\', character]),
            ' '..='~' => value.push(character),
            _ => return None,
        }
    }
    value.push('"');
    Some(())
}

/// The token that `bytes` start with, and what follows it.
fn token(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|byte| !is_token(*byte)).unwrap_or(bytes.len());
    let (token, rest) = bytes.split_at(end);
    let token = std::str::from_utf8(token).ok().filter(|token| !token.is_empty())?;
    Some((token.to_owned(), rest))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token68(bytes: &[u8]) -> bool {
    let body = bytes.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    body > 0 && bytes[..body].iter().all(plain)
}

/// What may stand between quotes: anything but control characters.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The error for a piece, shortened to what a log line carries.
fn syntax(piece: &[u8]) -> HeaderError {
    HeaderError::Syntax(piece.iter().take(32).flat_map(|byte| byte.escape_ascii()).map(char::from).collect())
}
