//! One client connection that speaks as little HTTP/1.1 as it takes, so that the load generator costs little.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Failure;

/// Room for an answer's head.
const BUFFER: usize = 16 * 1_024;

/// A connection on which one request follows the other.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes up to the body.
    size: usize,
    body: usize,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends a rendered request and reads its whole answer, which must be a 200.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<(), Failure> {
        let head = self.answer(request).await?;
        if head.status == 200 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&self.buffer[head.size..]);
        Err(format!("a request was answered {}: {text}", head.status).into())
    }

    /// Sends a rendered request and returns a header of its answer, whatever the status.
    pub(super) async fn ask(&mut self, request: &[u8], name: &str) -> Result<String, Failure> {
        let head = self.answer(request).await?;
        let text = std::str::from_utf8(&self.buffer[..head.size])?;
        let value = header(text, name).ok_or_else(|| format!("an answer {} without {name}", head.status))?;
        Ok(value.to_owned())
    }

    async fn answer(&mut self, request: &[u8]) -> Result<Head, Failure> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed a connection".into());
            }
            let Some(head) = Head::read(&self.buffer)? else { continue };
            while self.buffer.len() < head.size + head.body {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err("the server closed a connection".into());
                }
            }
            return Ok(head);
        }
    }
}

impl Head {
    /// The head at the beginning of `bytes`, if it is whole.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&bytes[..end])?;
        let status =
            head.get(9..12).and_then(|status| status.parse().ok()).ok_or("an answer without a status")?;
        let length = header(head, "content-length").and_then(|value| value.parse().ok());
        let body = length.ok_or("an answer without a length")?;
        Ok(Some(Self { status, size: end + 4, body }))
    }
}

/// The value of the first header of that name.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A request without a body.
pub(super) fn render(host: SocketAddr, path: &str, authorization: Option<&str>) -> Vec<u8> {
    let authorization = authorization.map_or(String::new(), |value| format!("authorization: {value}\r\n"));
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello";
        assert_eq!(Head::read(&answer[..30]).unwrap(), None);
        assert_eq!(Head::read(answer).unwrap(), Some(Head { status: 200, size: answer.len() - 5, body: 5 }));
        assert!(Head::read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
