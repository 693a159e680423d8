//! Where an HTTP/1.1 answer begins and ends. Anything but a well-formed answer is broken, and a
//! broken answer leaves the request's outcome open.

use crate::venue::ports::AnswerLimits;
use httparse::{EMPTY_HEADER, Response, Status};
use std::ops::Range;

/// Header lines in an answer; the venue sends about 20.
const HEADERS_MAX: usize = 64;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Framed {
    /// HTTP status.
    pub status: u16,
    /// Where its body is in the bytes read, without chunk marks.
    pub body: Range<usize>,
    /// The venue closes the connection behind it.
    pub closes: bool,
    /// What its head says of the limits.
    pub limits: AnswerLimits,
}

/// What the bytes read so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole answer.
    Whole(Framed),
    /// The beginning of one.
    More,
    /// No answer, and never will be.
    Broken(&'static str),
}

/// How long a body says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    ToTheEnd,
}

/// Looks at the bytes read so far; `closed` when no more will come. Chunks are moved together.
pub(super) fn parse(bytes: &mut [u8], closed: bool) -> Parsed {
    let mut limits = AnswerLimits::default();
    let (start, status, length, closes) = {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut response = Response::new(&mut headers);
        let start = match response.parse(bytes) {
            Ok(Status::Complete(start)) => start,
            Ok(Status::Partial) => return Parsed::More,
            Err(_) => return Parsed::Broken("not HTTP"),
        };
        let status = response.code.unwrap_or(0);
        let (mut length, mut closes) = (Length::ToTheEnd, response.version == Some(0));
        for header in response.headers.iter() {
            let value = header.value.trim_ascii();
            if header.name.eq_ignore_ascii_case("content-length") {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                let Some(number) = number else { return Parsed::Broken("content-length") };
                match length {
                    Length::Known(before) if before != number => {
                        return Parsed::Broken("two lengths");
                    }
                    Length::Chunked => {}
                    _ => length = Length::Known(number),
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Parsed::Broken("transfer-encoding");
                }
                length = Length::Chunked;
            } else if header.name.eq_ignore_ascii_case("connection") {
                closes |= value.eq_ignore_ascii_case(b"close");
            } else if header.name.eq_ignore_ascii_case("content-encoding") {
                return Parsed::Broken("content-encoding");
            } else {
                note_limit(&mut limits, header.name, value);
            }
        }
        (start, status, length, closes)
    };
    if (100..200).contains(&status) {
        // Nothing that we send asks for an interim answer.
        return Parsed::Broken("an interim answer");
    }
    let available = bytes.len() - start;
    match length {
        _ if matches!(status, 204 | 304) && available == 0 => {
            Parsed::Whole(Framed { status, body: start..start, closes, limits })
        }
        Length::Known(size) if available < size => Parsed::More,
        Length::Known(size) if available > size => Parsed::Broken("more than one answer"),
        Length::Known(size) => {
            Parsed::Whole(Framed { status, body: start..start + size, closes, limits })
        }
        Length::ToTheEnd if closed => {
            Parsed::Whole(Framed { status, body: start..bytes.len(), closes: true, limits })
        }
        Length::ToTheEnd => Parsed::More,
        Length::Chunked => match unchunk(&bytes[start..]) {
            Some(Ok(chunks)) => {
                let end = join(bytes, start, &chunks);
                Parsed::Whole(Framed { status, body: start..end, closes, limits })
            }
            Some(Err(what)) => Parsed::Broken(what),
            None => Parsed::More,
        },
    }
}

/// Takes a line of the head that tells of limits; a number that is none tells nothing.
fn note_limit(limits: &mut AnswerLimits, name: &str, value: &[u8]) {
    let told = match name {
        _ if name.eq_ignore_ascii_case("x-mbx-used-weight-1m") => &mut limits.used_weight,
        _ if name.eq_ignore_ascii_case("x-mbx-order-count-10s") => &mut limits.orders_10s,
        _ if name.eq_ignore_ascii_case("x-mbx-order-count-1m") => &mut limits.orders_1m,
        _ if name.eq_ignore_ascii_case("retry-after") => &mut limits.retry_after_s,
        _ => return,
    };
    *told = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
}

/// Chunks in an answer.
const CHUNKS_MAX: usize = 32;

/// The chunks of a whole body, relative to its start; `None` while more must come.
fn unchunk(body: &[u8]) -> Option<Result<Vec<Range<usize>>, &'static str>> {
    let mut chunks = Vec::new();
    let mut at = 0;
    loop {
        let (head, size) = match httparse::parse_chunk_size(&body[at..]) {
            Ok(Status::Complete(found)) => found,
            Ok(Status::Partial) => return None,
            Err(_) => return Some(Err("chunk size")),
        };
        let Ok(size) = usize::try_from(size) else { return Some(Err("chunk size")) };
        let start = at + head;
        let end = start.checked_add(size).and_then(|end| end.checked_add(2));
        let Some(end) = end else { return Some(Err("chunk size")) };
        if body.len() < end {
            return None;
        }
        if &body[end - 2..end] != b"\r\n" {
            // Trailers would stand here; the venue sends none.
            return Some(Err("chunk end"));
        }
        if size == 0 {
            let whole = end == body.len();
            return Some(if whole { Ok(chunks) } else { Err("more than one answer") });
        }
        if chunks.len() == CHUNKS_MAX {
            return Some(Err("too many chunks"));
        }
        chunks.push(start..end - 2);
        at = end;
    }
}

/// Moves the chunks together behind `start`; the end of the last.
fn join(bytes: &mut [u8], start: usize, chunks: &[Range<usize>]) -> usize {
    let mut to = start;
    for chunk in chunks {
        bytes.copy_within(start + chunk.start..start + chunk.end, to);
        to += chunk.len();
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, closed: bool) -> Result<(u16, String, bool), Parsed> {
        let mut bytes = text.as_bytes().to_vec();
        match parse(&mut bytes, closed) {
            Parsed::Whole(framed) => {
                let body = String::from_utf8(bytes[framed.body].to_vec()).unwrap();
                Ok((framed.status, body, framed.closes))
            }
            other => Err(other),
        }
    }

    #[test]
    fn an_answer_is_whole_when_its_own_length_says_so_and_not_a_byte_earlier() {
        let fixed = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{\"\"}";
        let chunked = "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                       2\r\n{\"\r\n2\r\n\"}\r\n0\r\n\r\n";
        for (text, status, closes) in [(fixed, 200, false), (chunked, 400, true)] {
            assert_eq!(read(text, false), Ok((status, "{\"\"}".to_owned(), closes)));
            for cut in 0..text.len() {
                assert_eq!(read(&text[..cut], false), Err(Parsed::More), "{cut}");
            }
        }
        let open = "HTTP/1.1 502 Bad\r\n\r\n<html>";
        assert_eq!(read(open, false), Err(Parsed::More));
        assert_eq!(read(open, true), Ok((502, "<html>".to_owned(), true)));
    }

    #[test]
    fn the_head_tells_of_limits_in_either_case() {
        let told = |head: &str| {
            let text = format!("HTTP/1.1 429 Slow\r\n{head}\r\nContent-Length: 0\r\n\r\n");
            match parse(&mut text.into_bytes(), false) {
                Parsed::Whole(framed) => framed.limits,
                other => panic!("{other:?}"),
            }
        };
        let all = AnswerLimits {
            used_weight: Some(2_399),
            orders_10s: Some(7),
            orders_1m: Some(12),
            retry_after_s: Some(9),
        };
        let upper = "X-MBX-USED-WEIGHT-1M: 2399\r\nX-MBX-ORDER-COUNT-10S: 7\r\n\
                     X-MBX-ORDER-COUNT-1M: 12\r\nRetry-After: 9";
        assert_eq!(told(upper), all);
        assert_eq!(told(&upper.to_lowercase()), all);
        let senseless = "Retry-After: soon\r\nx-mbx-used-weight-1m: -4";
        assert_eq!(told(senseless), AnswerLimits::default());
    }

    #[test]
    fn what_is_no_single_answer_is_broken() {
        for text in [
            "<html>nothing here</html>\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            assert!(matches!(read(text, false), Err(Parsed::Broken(_))), "{text:?}");
        }
    }
}
