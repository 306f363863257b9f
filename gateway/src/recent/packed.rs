//! An answer in one piece of memory of its own: what it is copied from is a part of buffers that are far larger.

use bytes::Bytes;
use http::HeaderMap;
use toll_ledger::StoredResponse;

/// A status, headers and a body. Clones share it.
///
/// Status and number of headers, each two bytes; for each header two bytes and four that say how long name and value
/// are, then these; the body is what is left. Numbers are little-endian.
#[derive(Clone, Debug)]
pub(crate) struct Packed(Bytes);

impl Packed {
    /// Copies an answer. Headers that are no text are left out.
    pub(crate) fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let texts = || headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let size: usize = texts().map(|(name, value)| 6 + name.len() + value.len()).sum();
        let mut bytes = Vec::with_capacity(4 + size + body.len());
        bytes.extend_from_slice(&status.to_le_bytes());
        // The server reads far fewer headers than that, and shorter ones.
        bytes.extend_from_slice(&(texts().count() as u16).to_le_bytes());
        for (name, value) in texts() {
            bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        bytes.extend_from_slice(body);
        Self(bytes.into())
    }

    /// Bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The answer.
    pub(crate) fn unpack(&self) -> StoredResponse {
        let mut rest = &self.0[..];
        let (status, count) = (u16::from_le_bytes(take(&mut rest)), u16::from_le_bytes(take(&mut rest)));
        let headers = (0..count)
            .map(|_| {
                let name = u16::from_le_bytes(take(&mut rest)) as usize;
                let value = u32::from_le_bytes(take(&mut rest)) as usize;
                (text(&mut rest, name), text(&mut rest, value))
            })
            .collect();
        StoredResponse { status, headers, body: rest.to_vec() }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (first, rest) = bytes.split_first_chunk().expect("packed as it is unpacked");
    *bytes = rest;
    *first
}

fn text(bytes: &mut &[u8], length: usize) -> String {
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    std::str::from_utf8(text).expect("text when it was packed").to_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_is_unpacked_as_it_was_packed() {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        headers.append("x-empty", HeaderValue::from_static(""));
        headers.append("x-binary", HeaderValue::from_bytes(b"\xff").expect("a value"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let texts = vec![pair("set-cookie", "a=1"), pair("set-cookie", "b=2"), pair("x-empty", "")];
        for body in [&b"hello"[..], b""] {
            let answer = Packed::new(404, &headers, body).unpack();
            assert_eq!(answer, StoredResponse { status: 404, headers: texts.clone(), body: body.to_vec() });
        }
    }
}
