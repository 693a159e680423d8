//! WebSocket frames as bytes, sound and unsound ones, and the in-memory ends of a connection.

use std::io::{Error, ErrorKind, Read, Result, Write};

/// Part of a message that began in another frame.
pub const CONTINUATION: u8 = 0x0;
/// Text.
pub const TEXT: u8 = 0x1;
/// The end.
pub const CLOSE: u8 = 0x8;
/// A question whether the other side lives.
pub const PING: u8 = 0x9;
/// The answer to it.
pub const PONG: u8 = 0xA;
/// The bit of a frame that ends its message.
pub const FIN: u8 = 0x80;

/// Appends one whole unmasked frame.
pub fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    put_head(out, FIN | opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Appends the head of an unmasked frame of `length` bytes; `first` holds flags and opcode.
pub fn put_head(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    if length < 126 {
        out.push(length as u8);
    } else if let Ok(short) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Appends a close frame.
pub fn put_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut payload = code.to_be_bytes().to_vec();
    // 125 bytes is what a control frame may hold.
    payload.extend(reason.bytes().take(123));
    put(out, CLOSE, &payload);
}

/// What stands between a connection's socket and its protocol: bytes that came, bytes to send.
#[derive(Debug, Default)]
pub struct Pipe {
    /// Came and were not read yet.
    pub input: Vec<u8>,
    /// To be sent.
    pub output: Vec<u8>,
    at: usize,
}

impl Pipe {
    /// With bytes that came already.
    pub fn holding(input: Vec<u8>) -> Self {
        Self { input, output: Vec::new(), at: 0 }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = &self.input[self.at..];
        if left.is_empty() {
            self.input.clear();
            self.at = 0;
            return Err(Error::from(ErrorKind::WouldBlock));
        }
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, section 5.7.
    #[test]
    fn frames_are_those_of_the_standards_examples() {
        let bytes = |opcode, payload: &[u8]| {
            let mut out = Vec::new();
            put(&mut out, opcode, payload);
            out
        };
        assert_eq!(bytes(TEXT, b"Hello"), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(bytes(PING, b"Hello"), [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(bytes(0x2, &[0; 256])[..4], [0x82, 0x7E, 0x01, 0x00]);
        let long = bytes(0x2, &vec![0; 65_536]);
        assert_eq!(long[..10], [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]);
        let mut close = Vec::new();
        put_close(&mut close, 1_001, "bye");
        assert_eq!(close, [0x88, 5, 0x03, 0xe9, b'b', b'y', b'e']);
    }
}
